"""`ot2deploy index serve --mirror` as a program of its own, and installers that install from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests
from index_wheels import published
from loopback_index import Served, fill, serving
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from builder.pack import pip_pin
from builder.profile import load
from builder.profile_host import host_profile
from builder.uv import default_index

ROOT = Path(__file__).resolve().parents[3]
LAB, PUBLIC = "labtool-1.0-py3-none-any.whl", "helper-2.0-py3-none-any.whl"


@contextmanager
def serve(project: Path, *words: str) -> Iterator[str]:
    """The program on a free port; its address. It ends with 0 at SIGTERM, and its log stays in `serve.log`."""
    argv = [sys.executable, "-m", "ot2deploy", "index", "serve", "--port", "0", "--json", *words]
    with (project / "serve.log").open("a") as log:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(argv, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, (project / "serve.log").read_text()
            yield json.loads(line)["result"]["url"].rstrip("/")
        finally:
            process.terminate()
            assert process.wait(60) == 0


@pytest.fixture
def project(tmp_path) -> Path:
    path = tmp_path / "lab"
    (path / "environments").mkdir(parents=True)
    return path


@pytest.fixture
def public(tmp_path) -> Iterator[Served]:
    fill(tmp_path / "public", {"all": (PUBLIC, "labtool-9.0-py3-none-any.whl", "lab_x-1.0-py3-none-any.whl")})
    with serving(tmp_path / "public") as served:
        yield served


def pip(*words: str | Path, program: tuple[str | Path, ...] = ("-m", "pip")) -> subprocess.CompletedProcess[str]:
    quiet = ["--disable-pip-version-check", "--no-cache-dir"]
    argv = [sys.executable, *program, *words, *quiet]
    return subprocess.run(argv, capture_output=True, text=True, timeout=300)


def test_a_host_installs_its_own_and_public_packages_also_after_upstream_and_server_were_stopped(project, public):
    branch = host_profile().name
    fill(project / "index", {branch: [LAB]}, own=["labtool"])
    upstream = f"{public.url}/all/simple/"
    with ExitStack() as stack:
        url = stack.enter_context(serve(project, "--mirror", upstream, "--reserve", "lab-*"))
        index = f"{url}/{branch}/simple/"
        done = pip("install", "--target", project / "one", "--index-url", index, "labtool", "helper")
        assert done.returncode == 0, done.stderr
        assert pip("download", "-d", project / "x", "--index-url", index, "lab-x").returncode != 0
        assert requests.get(index, timeout=60).text.count("<a ") == 1  # what is mirrored stands on no list
    assert [path for path in public.asked if "lab" in path] == []
    public.login = "nobody", "else"  # from now on upstream opens to none
    before = len(public.asked)
    with serve(project, "--mirror", upstream, "--mirror-fresh", "0") as url:
        index = f"{url}/{branch}/simple/"
        done = pip("install", "--target", project / "two", "--index-url", index, "labtool", "helper")
        assert done.returncode == 0, done.stderr
        assert requests.get(f"{index}lab-x/", timeout=60).status_code == 404
    assert "CAME_AS" in (project / "two" / "helper" / "__init__.py").read_text()
    assert set(public.asked[before:]) == {"/all/simple/helper/"}
    log = (project / "serve.log").read_text()
    assert f"mirror: of {upstream}, but for lab-*, 1 own project" in log
    assert "what it had before counts" in log
    assert "Traceback" not in log


def test_what_belongs_to_a_mirror_is_checked_before_anything_is_served(project, run_cli, monkeypatch):
    monkeypatch.chdir(project)
    for words, said in [
        (["--reserve", "lab-*"], "Give --mirror, too"),
        (["--mirror", "--mirror-size", "much"], "no size"),
        (["--mirror", "ftp://index.example/"], "no address of an index"),
        (["--mirror", "http://me:s3cret@index.example/simple/"], "netrc"),
        (["--mirror", "--reserve", "../x"], "no pattern"),
    ]:
        ran = run_cli("index", "serve", "--project", project, *words)
        assert ran.status == 2, ran.err
        assert said in ran.err
        assert "s3cret" not in ran.err


@pytest.mark.network
def test_the_pip_of_the_robots_installs_through_the_mirror(project, public, shared_cache):
    pin = pip_pin(load("ot2-py310"))
    wheel = published(shared_cache, "pip", pin.filename, pin.sha256)
    fill(project / "index", {"ot2-py310": [LAB]}, own=["labtool"])
    with serve(project, "--mirror", f"{public.url}/all/simple/") as url:
        words = ["install", "--target", project / "got", "--only-binary", ":all:", "--platform", "linux_armv7l"]
        words += ["--python-version", "3.10", "--implementation", "cp", "--abi", "cp310"]
        index = f"{url}/ot2-py310/simple/"
        done = pip(*words, "--index-url", index, "labtool", "helper", program=(wheel / "pip",))
        assert done.returncode == 0, done.stderr
    assert {path.name for path in (project / "got").glob("*.dist-info")} == {
        "labtool-1.0.dist-info",
        "helper-2.0.dist-info",
    }
    fetched = [path for path in public.asked if path.endswith(".whl")]
    assert fetched == [f"/all/files/{PUBLIC}"]


@pytest.mark.network
def test_a_wheel_for_arm_comes_from_the_public_index_and_was_audited(project):
    fill(project / "index", {"ot2-py310": [LAB]}, own=["labtool"])
    with serve(project, "--mirror", default_index(os.environ) or PYPI_SIMPLE_ENDPOINT) as url:
        words = ["download", "--only-binary", ":all:", "--platform", "manylinux2014_armv7l", "--no-deps"]
        words += ["--python-version", "3.10", "--implementation", "cp", "--abi", "cp310", "-d", project / "got"]
        done = pip(*words, "--index-url", f"{url}/ot2-py310/simple/", "attrs==24.2.0", "rpds-py==0.20.0")
        assert done.returncode == 0, done.stderr + (project / "serve.log").read_text()
    kept = [path.name for path in (project / ".ot2deploy" / "index" / "mirror" / "files").rglob("*.whl")]
    assert "attrs-24.2.0-py3-none-any.whl" in kept
    assert any(name.startswith("rpds_py-") and "armv7l" in name for name in kept)


def test_an_own_project_that_went_with_its_channel_is_not_asked_for_elsewhere(project, public, run_cli):
    fill(project / "index", {"ot2-py310/dev": [LAB], "ot2-py310": ["other-1.0-py3-none-any.whl"]}, own=["labtool"])
    run_cli("index", "drop", "dev", "--project", project).good()
    with serve(project, "--mirror", f"{public.url}/all/simple/") as url:
        assert requests.get(f"{url}/ot2-py310/simple/labtool/", timeout=60).status_code == 404
    assert public.asked == []
