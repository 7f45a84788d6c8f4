"""`env local`: the robots' versions in the robots' Python, here, at a path that stays."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from wheel_factory import make_wheel


@pytest.fixture
def project(tmp_path):
    """A project with an environment of one wheel; a function writes that wheel's version."""

    def write(version):
        directory = tmp_path / "wheels" / version
        directory.mkdir(parents=True, exist_ok=True)
        wheel = make_wheel(directory, f"plates-{version}-py3-none-any.whl", {"plates.py": b"VALUE = 1\n"})
        file = tmp_path / "environments" / "plates" / "environment.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"requirements:\n  - {wheel}\n")

    write("1.0")
    return write


def imported(python, code="import plates, sys; print(plates.VALUE, *sys.version_info[:2])"):
    return subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.split()


def installed_version(python):
    return imported(python, "import importlib.metadata as m; print(m.version('plates'))")[0]


def test_it_has_the_robots_python_and_is_made_once(project, run_cli):
    result = run_cli("env", "local", "plates", "--json").good().document["result"]
    assert imported(result["python"]) == ["1", "3", "10"]
    assert (result["made"], result["for_app"]) == (True, False)
    again = run_cli("env", "local", "plates", "--json").good().document["result"]
    assert (again["made"], again["python"]) == (False, result["python"])


def test_a_newer_one_has_the_same_path_and_a_cut_one_is_made_again(project, run_cli):
    first = run_cli("env", "local", "plates", "--json").good().document["result"]
    project("2.0")
    second = run_cli("env", "local", "plates", "--json").good().document["result"]
    assert second["python"] == first["python"]
    assert installed_version(second["python"]) == "2.0"
    assert Path(first["directory"]).is_dir()  # for who runs in it
    (Path(second["directory"]) / "ot2deploy.json").unlink()
    (Path(second["directory"]) / "lib" / "python3.10" / "site-packages" / "plates.py").unlink()
    assert run_cli("env", "local", "plates", "--json").good().document["result"]["made"]
    assert installed_version(second["python"]) == "2.0"
    project("3.0")
    third = run_cli("env", "local", "plates", "--json").good().document["result"]
    kept = {path.name for path in Path(third["directory"]).parent.iterdir() if path.is_dir() and not path.is_symlink()}
    assert kept == {Path(second["directory"]).name, Path(third["directory"]).name}


def test_a_person_is_told_the_path_and_what_the_app_lacks(project, run_cli):
    ran = run_cli("env", "local", "plates", "--profile", "host").good()
    assert Path(ran.out.splitlines()[0]).exists()
    assert "--with opentrons==VERSION" in ran.out


def test_what_cannot_be_had_is_told_and_nothing_becomes_current(project, run_cli, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple/")
    ran = run_cli("env", "local", "plates", "--with", "opentrons==7.3.1", "--json")
    assert ran.status == 1
    assert not list(Path().glob(".ot2deploy/local/plates/current"))


@pytest.mark.parametrize("words", [["--with", "-r x"], ["--profile", "ot3"]])
def test_nonsense_is_a_usage_error(project, run_cli, words):
    assert run_cli("env", "local", "plates", *words).status == 2


def test_a_python_that_is_not_here_is_named(project, run_cli, monkeypatch):
    for place in ("PATH", "PYENV_ROOT", "UV_PYTHON_INSTALL_DIR"):
        monkeypatch.setenv(place, "/nowhere")
    ran = run_cli("env", "local", "plates", "--profile", "ot2-py312")
    assert ran.status == 1
    assert "uv python install 3.12" in ran.err


@pytest.mark.network
@pytest.mark.slow
def test_the_app_can_analyse_a_protocol_with_it(project, run_cli, tmp_path, shared_cache):
    """What the Opentrons App runs, run as it does: opentrons of a robot's version, a protocol that imports ours."""
    words = ("env", "local", "plates", "--with", "opentrons==7.3.1", "--json")
    result = run_cli(*words).good().document["result"]
    assert result["for_app"]
    protocol = tmp_path / "protocol.py"
    protocol.write_text(
        'metadata = {"apiLevel": "2.14"}\nimport plates\n'
        "def run(protocol):\n    protocol.comment('value %d' % plates.VALUE)\n"
    )
    words = [result["python"], "-m", "opentrons.cli", "analyze", "--json-output=-", str(protocol)]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert "value 1" in ran.stdout, ran.stderr
