"""What can be pushed: environments, recipes, requirements, directories, modules, wheels, URLs and bundle files."""

from __future__ import annotations

import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from builder.files import sha256_file

BACK_END = """
import base64, hashlib, io, tarfile, zipfile
PAPERS = "Metadata-Version: 2.1\\nName: rack-tools\\nVersion: 1.0\\n"

def build_sdist(directory, settings=None):
    name = "rack_tools-1.0"
    with tarfile.open(f"{directory}/{name}.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for path in ("pyproject.toml", "backend/rack_backend.py", "rack_tools.py"):
            archive.add(path, f"{name}/{path}")
        info = tarfile.TarInfo(f"{name}/PKG-INFO")
        info.size = len(PAPERS)
        archive.addfile(info, io.BytesIO(PAPERS.encode()))
    return f"{name}.tar.gz"

def build_wheel(directory, settings=None, metadata=None):
    name, info, rows = "rack_tools-1.0-py3-none-any.whl", "rack_tools-1.0.dist-info", []
    files = {
        "rack_tools.py": open("rack_tools.py").read(),
        f"{info}/METADATA": PAPERS,
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text)}\\n")
    files[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\\n"])
    with zipfile.ZipFile(f"{directory}/{name}", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return name
"""


class Quiet(SimpleHTTPRequestHandler):
    """A file server that says nothing."""

    def log_message(self, *args):
        pass


@pytest.fixture
def site(tmp_path):
    """Serves the directory `served`; gives its address."""
    directory = tmp_path / "served"
    directory.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def pushed(workplace, target, environment, module):
    """Pushes a target, and checks which environment came of it; gives the result."""
    result = workplace.run("push", target)
    assert (result["environment"], result["robots"][0]["outcome"]) == (environment, "pushed")
    assert [check["name"] for check in result["robots"][0]["checks"]] == [f"import {module}"]
    assert workplace.lab.current(environment)
    return result


def test_an_environment(workplace):
    workplace.environment("plates", workplace.wheel("plates"))
    result = pushed(workplace, "plates", "plates", "plates")
    assert result["origin"] == f"environment {workplace.directory}/environments/plates/environment.yaml"


def test_a_module(workplace):
    (workplace.directory / "helpers.py").write_text("VALUE = 1\n")
    assert pushed(workplace, "./helpers.py", "helpers", "helpers")["origin"] == "local ./helpers.py"


def test_a_directory_that_is_built_by_its_own_back_end(workplace):
    project = workplace.directory / "rack-tools"
    (project / "backend").mkdir(parents=True)
    (project / "backend" / "rack_backend.py").write_text(BACK_END)
    (project / "rack_tools.py").write_text("VALUE = 1\n")
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "rack_backend"\nbackend-path = ["backend"]\n'
        '[project]\nname = "rack-tools"\nversion = "1.0"\n'
    )
    result = pushed(workplace, "./rack-tools", "rack-tools", "rack_tools")
    assert result["origin"] == "local ./rack-tools"
    (again,) = workplace.run("push", "./rack-tools")["robots"]
    assert again["outcome"] == "no change"


def test_a_wheel(workplace):
    wheel = workplace.wheel("plates")
    assert pushed(workplace, wheel, "plates", "plates")["origin"] == f"wheel ./{wheel.name}"


def test_a_url_with_its_hash(workplace, site):
    wheel = workplace.wheel("plates")
    served = workplace.directory / "served" / wheel.name
    wheel.rename(served)
    url = f"{site}/{wheel.name}"
    assert pushed(workplace, f"{url}#sha256={sha256_file(served)}", "plates", "plates")["origin"] == "URL of plates"
    error = workplace.run("push", url, status=2)
    assert "needs #sha256=" in error["what"]
    error = workplace.run("push", f"{url}#sha256={'0' * 64}", status=1)
    text = json.dumps(error)
    assert "0" * 64 in text or "sha256" in text or "hash" in text.lower()


def test_a_bundle_file_needs_neither_uv_nor_store_nor_index(workplace, monkeypatch, tmp_path):
    workplace.environment("plates", workplace.wheel("plates"))
    written = workplace.run_cli("bundle", "plates", "--profile", "host", "-o", "plates.ot2bundle", "--json").good()
    (manifest,) = written.document["result"]["manifests"]
    for path in (tmp_path / "environments", tmp_path / "wheels"):
        path.rename(path.with_name(f"{path.name}-away"))

    def unavailable(**_):
        raise AssertionError("uv was asked for")

    monkeypatch.setattr("builder.uv.find", unavailable)
    monkeypatch.setattr("builder.uv.version", unavailable)
    monkeypatch.setattr("builder.pipeline.open_engine", unavailable)
    monkeypatch.setattr("builder.engine.open_engine", unavailable)
    monkeypatch.setenv("OT2DEPLOY_CACHE", str(tmp_path / "another-laptop"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    result = pushed(workplace, "plates.ot2bundle", "plates", "plates")
    assert result["origin"] == "bundle file plates.ot2bundle"
    assert result["robots"][0]["plan"]["digest"] == manifest["digest"]


def test_a_name_that_is_none_of_ours_needs_a_specifier(workplace):
    workplace.environment("plates", workplace.wheel("plates"))
    error = workplace.run("push", "platse", status=2)
    assert error["code"] == "usage"
    assert "no environment or recipe is named platse" in error["what"]
    assert "Did you mean plates?" in error["why"]
    assert "platse==<version>" in error["next"]
    assert not workplace.lab.base().exists()


@pytest.mark.network
def test_a_requirement_and_a_recipe_say_what_they_are(workplace, shared_cache):
    result = workplace.run("push", "six==1.17.0", "--dry-run")
    assert (result["environment"], result["origin"]) == ("six", "requirement six==1.17.0")
    recipe = workplace.directory / "package" / "six" / "1.17.0" / "build.py"
    recipe.parent.mkdir(parents=True)
    recipe.write_text("from builder.package_build import build_package\n\nbuild_package(native=[])\n")
    result = workplace.run("push", "six", "--dry-run")
    assert (result["environment"], result["origin"]) == ("six", "recipe, six==1.17")


def test_a_wrong_environment_file_is_told_with_its_lines(workplace):
    path = workplace.directory / "environments" / "plates" / "environment.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("requirements:\n  - numpy=1\nasof: 2025-01-01\n")
    error = workplace.run("push", "plates", status=2)
    assert error["code"] == "config"
    assert any(f"{path}:2:" in line for line in error["details"])
    assert any(f"{path}:3:" in line and "did you mean as_of?" in line for line in error["details"])
