"""`ot2deploy index export`, and the real clients that install from what it wrote: pip, the robots' own pip, uv."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from index_wheels import published
from loopback_index import fill
from web_server import web_server
from wheel_factory import make_wheel

from builder.pack import pip_pin
from builder.profile import load
from builder.profile_host import host_profile
from builder.uv import find

Run = Callable[..., Any]
HOST = host_profile().name
ROBOT = ("--platform", "linux_armv7l", "--python-version", "3.10", "--implementation", "cp", "--abi", "cp310")


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> Path:
    """A project with the environment `lab`: an application, and the library that it needs."""
    directory = tmp_path / "environments" / "lab"
    directory.mkdir(parents=True)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    needs = "Requires-Dist: Lab.Library>=1\nRequires-Python: >=3.8\n"
    app = make_wheel(wheels, "lab_app-1.0-py3-none-any.whl", {"lab_app.py": b"import lab_library\n"}, metadata=needs)
    library = make_wheel(wheels, "Lab.Library-1.0-py3-none-any.whl", {"lab_library.py": b"VERSION = '1.0'\n"})
    (directory / "environment.yaml").write_text(f"requirements:\n  - {app}\n  - {library}\n")
    return tmp_path


@pytest.fixture
def export(run_cli: Run) -> Run:
    def run(*words: str | Path, status: int = 0) -> Any:
        ran = run_cli("index", "export", *words, "--json")
        assert ran.status == status, ran.out + ran.err
        return ran.document["result"] or ran.document["error"]

    return run


def pip_today(cache: Path) -> list[str]:
    return [sys.executable, "-m", "pip"]


def pip_of_robots(cache: Path) -> list[str]:
    pin = pip_pin(load("ot2-py310"))
    return [sys.executable, str(published(cache, "pip", pin.filename, pin.sha256) / "pip")]


def uv(cache: Path) -> list[str]:
    return [str(find().program), "pip"]


CLIENTS = [
    pytest.param(pip_today, id="pip"),
    pytest.param(pip_of_robots, id="pip 22.3.1", marks=pytest.mark.network),
    pytest.param(uv, id="uv"),
]


def install(client: list[str], target: Path, url: str, *words: str) -> str:
    """Installs for this computer's Python; what the client said."""
    python = ["--python", sys.executable] if client[-1] == "pip" and "uv" in client[0] else []
    argv = [*client, "install", *python, "--target", str(target), "--index-url", url, "--no-cache-dir", *words]
    environment = {**os.environ, "PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1"}
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "UV_INDEX", "UV_DEFAULT_INDEX"):
        environment.pop(name, None)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def installed(target: Path) -> list[str]:
    return sorted(path.name.removesuffix(".dist-info") for path in target.glob("*.dist-info"))


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_needs_nothing_but_the_tree_wherever_it_was_moved(
    client: Any, export: Run, project: Path, shared_cache: Path
) -> None:
    export("out", "lab", "--profile", "host")
    moved = project / "media" / "a stick"
    moved.parent.mkdir()
    shutil.move(project / "out", moved)
    simple = (moved / HOST / "simple").as_uri()
    install(client(shared_cache), project / "from files", f"{simple}/", "lab-app")
    with web_server(moved, project / "log") as server:
        install(client(shared_cache), project / "from web", f"{server.url}{HOST}/simple/", "lab-app")
    for place in ("from files", "from web"):
        assert installed(project / place) == ["Lab.Library-1.0", "lab_app-1.0"]
    assert sorted(server.given(".whl")) == [
        f"/{HOST}/files/Lab.Library-1.0-py3-none-any.whl",
        f"/{HOST}/files/lab_app-1.0-py3-none-any.whl",
    ]
    assert len(server.given(".metadata")) == len(set(server.given(".metadata")))


@pytest.mark.parametrize("client", CLIENTS)
def test_of_several_versions_a_client_takes_the_newest(
    client: Any, export: Run, project: Path, shared_cache: Path
) -> None:
    """Why an export of one environment has one version of each."""
    export("one", "lab", "--profile", "host")
    names = [f"lab_library-{version}-py3-none-any.whl" for version in ("1.0", "1.5", "1.10")]
    fill(project / "index", {HOST: names})
    export("several")
    for tree, version in (("one", "1.0"), ("several", "1.10")):
        simple = (project / tree / HOST / "simple").as_uri()
        install(client(shared_cache), project / f"from {tree}", f"{simple}/", "lab-library")
        assert [name.lower() for name in installed(project / f"from {tree}")] in (
            [f"lab.library-{version}"],
            [f"lab_library-{version}"],
        )


def test_a_wheel_of_other_robots_is_not_there(export: Run, project: Path) -> None:
    native = {f"ot2-py3{minor}": [f"native-1.0-cp3{minor}-cp3{minor}-linux_armv7l.whl"] for minor in (10, 12)}
    fill(project / "index", native)
    export("out", "--profile", "ot2-py310")
    assert not [path for path in (project / "out").rglob("*") if "cp312" in path.name or "py312" in path.name]
    simple = (project / "out" / "ot2-py310" / "simple").as_uri()
    install(pip_today(project), project / "got", f"{simple}/", "--only-binary", ":all:", *ROBOT, "native")
    assert installed(project / "got") == ["native-1.0"]


def test_a_stick_is_tried_on_a_laptop_as_the_page_says(export: Run, project: Path) -> None:
    """docs/package-index.md, "Install from it"."""
    names = ["native-1.0-cp310-cp310-manylinux_2_17_armv7l.whl", "other-1.0-cp310-cp310-linux_armv7l.whl"]
    fill(project / "index", {"ot2-py310": names})
    export("out")
    simple = (project / "out" / "ot2-py310" / "simple").as_uri()
    both = ("--only-binary", ":all:", "--platform", "manylinux_2_17_armv7l", *ROBOT)
    install(pip_today(project), project / "got", f"{simple}/", *both, "native", "other")
    assert installed(project / "got") == ["native-1.0", "other-1.0"]


def test_the_manifest_has_the_targets_with_their_digests(export: Run, run_cli: Run, project: Path) -> None:
    found = export("out", "lab", "./wheels/Lab.Library-1.0-py3-none-any.whl", "--profile", "ot2-py310")
    manifest = found["manifest"]
    bundle = run_cli("bundle", "lab", "--profile", "ot2-py310", "--offline", "--json").good().document["result"]
    assert [(row["target"], row["environment"], row["profile"]) for row in manifest["targets"]] == [
        ("lab", "lab", "ot2-py310"),
        ("./wheels/Lab.Library-1.0-py3-none-any.whl", "lab-library", "ot2-py310"),
    ]
    assert manifest["targets"][0]["digest"] == bundle["manifests"][0]["digest"]
    assert {row["project"] for row in manifest["files"]} == {"lab-app", "lab-library"}
    assert all(row["own"] for row in manifest["files"])
    again = run_cli("index", "export", "out", "lab", "wheels/Lab.Library-1.0-py3-none-any.whl", "--offline")
    assert "no change" not in again.good().out  # another word for the same target stands in the manifest
    alone = ("index", "export", "out", "lab", "--profile", "ot2-py310")
    assert run_cli(*alone, "--replace").good().out.startswith("2 wheels in")
    assert export("out", "lab")["changed"] is False


def test_a_wrong_name_is_told_before_anything_is_resolved(export: Run, project: Path) -> None:
    assert export("out", "lab", "nothing", status=2)["what"] == "no environment or recipe is named nothing"
    assert not list(project.glob(".ot2deploy/locks/*.toml"))
    export("out", "lab")
    assert list(project.glob(".ot2deploy/locks/*.toml"))


def test_what_an_export_of_other_targets_has_is_not_removed_unasked(export: Run, run_cli: Run, project: Path) -> None:
    library = "./wheels/Lab.Library-1.0-py3-none-any.whl"
    export("out", "lab")
    before = sorted(project.joinpath("out").rglob("*.whl"))
    assert export("out", library, status=2)["why"] == "It has lab for ot2-py310."
    assert export("out", "lab", "--profile", "ot2-py312", status=2)["why"] == "It has lab for ot2-py310."
    assert sorted(project.joinpath("out").rglob("*.whl")) == before
    assert len(export("out", "lab", library)["manifest"]["targets"]) == 2
    gone = "ot2-py310/files/lab_app-1.0-py3-none-any.whl"
    assert f"removed {gone}\n" in run_cli("index", "export", "out", library, "--replace").good().out
    fill(project / "index", {"ot2-py310": ["demo-1.0-py3-none-any.whl"]})
    assert "which would be removed" in export("out", status=2)["what"]
    assert export("out", "--replace")["removed"] == ["ot2-py310/files/Lab.Library-1.0-py3-none-any.whl"]
    assert export("out", "lab", status=2)["why"] == "It has the copy of an index."


def test_a_bundle_file_is_exported_for_the_profiles_that_it_holds(export: Run, run_cli: Run, project: Path) -> None:
    run_cli("bundle", "lab", "--profile", "ot2-py310", "--profile", "ot2-py312", "-o", "lab.ot2bundle").good()
    assert export("out", "lab.ot2bundle")["manifest"]["profiles"] == ["ot2-py310", "ot2-py312"]
    found = export("flat", "lab.ot2bundle", "--profile", "ot2-py312", "--flat")
    assert found["manifest"]["profiles"] == ["ot2-py312"]
    argv = [*pip_today(project), "install", "--no-index", "--find-links", str(project / "flat"), "--target", "got"]
    environment = {**os.environ, "PIP_CONFIG_FILE": os.devnull}
    subprocess.run([*argv, "lab-app"], cwd=project, check=True, capture_output=True, timeout=120, env=environment)
    assert installed(project / "got") == ["Lab.Library-1.0", "lab_app-1.0"]


def test_targets_that_differ_in_a_wheel_of_one_name_are_not_mixed(export: Run, run_cli: Run, project: Path) -> None:
    for number in (1, 2):
        where = project / str(number)
        where.mkdir()
        make_wheel(where, "differs-1.0-py3-none-any.whl", {"differs.py": b"N = %d\n" % number})
    found = export("out", "./1/differs-1.0-py3-none-any.whl", "./2/differs-1.0-py3-none-any.whl", status=1)
    assert found["code"] == "index-conflict"
    assert not (project / "out").exists()


def test_people_are_told_what_to_do_with_it(export: Run, run_cli: Run, project: Path) -> None:
    ran = run_cli("index", "export", "out", "lab", "--channel", "dev").good()
    simple = (project / "out" / "ot2-py310" / "dev" / "simple").as_uri()
    assert f"pip install NAME --index-url {simple}/" in ran.out
    assert "sha256sum -c SHA256SUMS" in ran.out
    ran = run_cli("index", "export", "web", "lab", "--index-root-url", "http://index.example/w").good()
    assert "--index-url http://index.example/w/ot2-py310/simple/ --trusted-host index.example" in ran.out
    ran = run_cli("index", "export", "flat", "lab", "--flat").good()
    assert f"--find-links {project / 'flat'}" in ran.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("out",), "there is no index in"),
        (("out", "nothing-at-all"), "no environment or recipe is named nothing-at-all"),
        (("out", "no.ot2bundle"), "no.ot2bundle does not exist"),
        (("out", "lab", "--profile", "ot2-py39"), "no profile is named ot2-py39"),
        (("filled/out",), "is in the index itself"),
        (("filled",), "is in the index itself"),
        (("environments", "lab"), "holds something that is no export"),
        (("wheels/Lab.Library-1.0-py3-none-any.whl", "lab"), "is a file"),
    ],
)
def test_what_is_wrong_ends_with_2(run_cli: Run, project: Path, words: tuple[str, ...], said: str) -> None:
    fill(project / "filled", {HOST: ["demo-1.0-py3-none-any.whl"]})
    ran = run_cli("index", "export", *words, *(("--index", "filled") if words[0].startswith("filled") else ()))
    assert ran.status == 2
    assert said in ran.err
    assert not (project / "out").exists()
