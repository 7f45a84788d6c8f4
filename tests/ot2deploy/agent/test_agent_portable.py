"""What travels to robots: its syntax, its imports, the archive, and interpreters that are too old."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import builder.checks
import ot2deploy.agent
from ot2deploy.agent_host import archive as agent_archive

SOURCES = sorted(
    path for package in (ot2deploy.agent, builder.checks) for path in Path(next(iter(package.__path__))).glob("*.py")
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_sources_parse_as_python_3_7(path: Path) -> None:
    ast.parse(path.read_text(), str(path), feature_version=(3, 7))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_sources_import_nothing_but_themselves_and_the_standard_library(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [node.module or ""]
        for name in names:
            ours = name.startswith(("ot2deploy.agent", "builder.checks"))
            assert ours or name.split(".")[0] in sys.stdlib_module_names, f"{path.name} imports {name}"


def test_archive_is_deterministic_and_whole(tmp_path: Path) -> None:
    data, sha256 = agent_archive.build()
    agent_archive.build.cache_clear()
    assert agent_archive.build() == (data, sha256)
    (tmp_path / "agent.pyz").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "agent.pyz") as archive:
        names = archive.namelist()
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert "ot2deploy/agent/session.py" in names
    assert "builder/checks/runner.py" in names
    assert {Path(name).name for name in names} == {path.name for path in SOURCES} - set(agent_archive.APART)
    assert len(names) == len(SOURCES) - len(agent_archive.APART) + 3
    assert len(data) < 200_000


def test_archive_is_made_once() -> None:
    agent_archive.build()
    start = time.process_time()
    agent_archive.build()
    assert time.process_time() - start < 0.02


def interpreter(version: str) -> str:
    """An interpreter of another version that really starts: on PATH, of pyenv, or of uv."""
    candidates = [shutil.which(f"python{version}")]
    for variable, pattern in (("PYENV_ROOT", "versions/*/bin"), ("UV_PYTHON_INSTALL_DIR", "*/bin")):
        candidates += map(str, Path(os.environ[variable]).glob(f"{pattern}/python{version}"))
    for path in filter(None, candidates):
        if subprocess.run([path, "-I", "-c", ""], capture_output=True, timeout=60).returncode == 0:
            return path
    pytest.skip(f"no Python {version} here")


def test_python_3_7_is_refused_in_words(robot: Any) -> None:
    python = interpreter("3.7")
    done = subprocess.run([python, "-I", robot.archive, "session"], input=b"", capture_output=True, timeout=60)
    assert done.returncode == 3
    assert done.stdout.count(b"\n") == 1
    assert b'"code": "robot-unsupported"' in done.stdout
    assert b"the robot has cpython 3.7" in done.stdout
    done = subprocess.run([python, "-I", robot.archive, "exec"], input=b"", capture_output=True, timeout=60)
    assert done.returncode == 126
    assert b"ot2deploy needs CPython 3.8 or newer" in done.stderr


@pytest.mark.parametrize("version", ["3.8", "3.10", "3.12", "3.13"])
def test_a_push_works_on_other_pythons(robot_of: Callable[..., Any], wheel: Callable[..., Any], version: str) -> None:
    robot = robot_of(interpreter(version), version)
    agent = robot.begin()
    made = wheel(files={"demo.py": "def main(): print('demo runs')\n"}, scripts={"demo": "demo:main"})
    manifest = robot.push(agent, [made])
    checks = [
        {"kind": "import", "name": "import demo", "module": "demo", "timeout": 60},
        {"kind": "run", "name": "demo", "argv": ["demo"], "expect": "^demo runs$", "timeout": 60},
        {"kind": "program", "name": "minor", "source": f"import sys; assert sys.version.startswith('{version}.')"},
    ]
    where = {"environment": "demo", "digest": manifest["digest"]}
    answer = agent.result("verify", **where, checks=checks, depth="deep", fingerprint="f1")
    assert answer["ok"], answer
    assert agent.close() == 0


def test_an_unknown_command_prints_its_use(robot: Any) -> None:
    argv = [str(robot.python), "-I", str(robot.archive), "dance"]
    done = subprocess.run(argv, capture_output=True, timeout=60)
    assert done.returncode == 2
    assert b"session|exec|checks" in done.stderr
