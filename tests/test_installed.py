"""The wheel: what is in it, and that the product works from it alone, in a clean environment outside the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = [pytest.mark.network, pytest.mark.xdist_group("installed")]  # one build for all of them

TOOL = """\
[build-system]
requires = ["flit_core >=3.9,<4"]
build-backend = "flit_core.buildapi"

[project]
name = "plate-tools"
version = "1.0"
description = "A package of one's own"
requires-python = ">=3.10"
dependencies = ["six==1.17.0"]

[project.scripts]
plate-count = "plate_tools:main"
"""
CODE = '''"""Counts plates."""
import sys
import six


def main():
    print(len(sys.argv[1:]), "plates with", six.__name__)
'''


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """ot2deploy's own wheel, built from the checkout."""
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--installer", "uv", "--outdir", out, ROOT],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = out.glob("*.whl")
    return made


def tracked(*tops: str) -> list[str]:
    """The checkout's files below some directories: those git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *tops],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_the_wheel_holds_the_two_packages_and_what_they_ship(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = next(name.partition("/")[0] for name in names if name.endswith("/METADATA"))
    assert {name.partition("/")[0] for name in names} == {"builder", "ot2deploy", info}
    ours = {*tracked("builder", "ot2deploy")}
    shipped = {f"builder/_shipped/{name}" for name in tracked("package", "environments")}
    assert {name for name in names if not name.startswith(info)} == ours | shipped
    assert {"builder/py.typed", "ot2deploy/py.typed", f"{info}/licenses/LICENSE"} <= names


def test_the_wheel_says_what_it_needs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        text = archive.read(metadata).decode()
    assert "Requires-Python: >=3.11" in text
    for extra in ("build", "sim", "all"):
        assert f"Provides-Extra: {extra}" in text


@pytest.mark.slow
def test_the_product_works_from_its_wheel(wheel, tmp_path):
    """init, an embedded robot, pushes of a package of one's own, verify, status, exec, and the end of the robot."""
    python = installed(wheel, tmp_path / "venv")
    lab = tmp_path / "lab"
    package = tmp_path / "lab" / "plate-tools"

    def run(*words: str, status: int = 0) -> dict[str, object]:
        done = subprocess.run(
            [python.with_name("ot2deploy"), *words, "--json"],
            cwd=lab if lab.exists() else tmp_path,
            capture_output=True,
            text=True,
            timeout=600,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == status, f"{words} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        result: dict[str, object] = json.loads(done.stdout)["result"]
        return result

    run("init", "lab")
    package.mkdir()
    (package / "pyproject.toml").write_text(TOOL)
    (package / "plate_tools.py").write_text(CODE)
    shipped = run("env", "show", "prefect")["path"]
    assert str(shipped).startswith(str(tmp_path / "venv")), "the shipped environments are not the wheel's own"
    try:
        run("sim", "up", "--kind", "embedded", "--count", "1")
        (row,) = run("push", "./plate-tools", "--robots", "lab.yaml")["robots"]
        assert row["outcome"] == "pushed"
        (again,) = run("push", "./plate-tools", "--robots", "lab.yaml")["robots"]
        assert again["outcome"] == "no change"
        (verified,) = run("verify", "plate-tools", "--robots", "lab.yaml")["robots"]
        assert all(check["ok"] for check in verified["result"]["checks"])
        (state,) = run("status", "--robots", "lab.yaml")["robots"]
        assert "plate-tools" in state["result"]["environments"]
        (refused,) = run("rollback", "plate-tools", "--robots", "lab.yaml", status=1)["robots"]
        assert refused["error"]["code"] == "no-previous"
        program = ("exec", "--robots", "lab.yaml", "-e", "plate-tools", "--json", "--", "plate-count", "a", "b c")
        ran = subprocess.run(
            [python.with_name("ot2deploy"), *program], cwd=lab, capture_output=True, text=True, timeout=120
        )
        assert json.loads(ran.stdout)["result"]["robots"][0]["stdout"] == "2 plates with six\n"
    finally:
        run("sim", "down")


def installed(wheel: Path, directory: Path) -> Path:
    """A clean virtual environment with the wheel and its extras; the path of its Python."""
    uv = [sys.executable, "-m", "uv"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    python = directory / "bin" / "python"
    for words in (
        ["venv", "-q", "--python", sys.executable, directory],
        ["pip", "install", "-q", "--python", python, f"{wheel}[all]"],
    ):
        done = subprocess.run([*uv, *words], capture_output=True, text=True, timeout=600, env=environment)
        assert done.returncode == 0, done.stderr
    return python
