"""Becoming a program of the current release."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

SHOW = "import os, sys, json\ndef main(): print(json.dumps([dict(os.environ), sys.argv, sys.stdin.read()]))\n"


@pytest.fixture
def execute(robot: Any) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Runs the agent's `exec` on a robot; `rest` is what follows the request on standard input."""

    def run(*argv: str, rest: bytes = b"", **fields: Any) -> subprocess.CompletedProcess[bytes]:
        request = {"base": "/var/ot2deploy", "root": str(robot.root), "environment": "demo", "argv": argv, **fields}
        data = json.dumps(request).encode()
        return subprocess.run(
            [str(robot.python), "-I", str(robot.archive), "exec"],
            input=b"J %d\n" % len(data) + data + rest,
            capture_output=True,
            timeout=60,
            env=robot.env(),
        )

    return run


def test_program_gets_streams_words_and_variables(
    robot: Any, wheel: Callable[..., Any], execute: Callable[..., Any]
) -> None:
    made = wheel(files={"demo.py": SHOW}, scripts={"show": "demo:main"})
    manifest = robot.push(robot.begin(), [made], variables={"OF": "manifest", "BOTH": "manifest"})
    done = execute("show", "two words", "$HOME", rest=b"J 2\n{}", variables={"BOTH": "request"})
    assert done.returncode == 0, done.stderr
    env, argv, stdin = json.loads(done.stdout)
    assert argv[1:] == ["two words", "$HOME"]
    assert stdin == "J 2\n{}"
    release = str(robot.release(manifest))
    assert env["VIRTUAL_ENV"] == release
    assert env["PATH"] == f"{release}/bin:/usr/bin:/bin"
    assert (env["OF"], env["BOTH"]) == ("manifest", "request")
    assert env["TMPDIR"] == str(robot.base / "tmp/programs")
    assert not [name for name in env if name.startswith(("PYTHON", "PIP_"))]


def test_python_is_the_releases_and_other_programs_the_robots(
    robot: Any, wheel: Callable[..., Any], execute: Callable[..., Any]
) -> None:
    manifest = robot.push(robot.begin(), [wheel()])
    done = execute("python3", "-c", "import sys, demo; print(sys.prefix); sys.exit(7)")
    assert (done.returncode, done.stdout.decode().strip()) == (7, str(robot.release(manifest)))
    assert execute("sh", "-c", "kill -9 $$").returncode == -9
    assert execute("sh", "-c", "trap").stdout == b""  # no signal is left ignored


def test_what_cannot_be_run_is_said_on_standard_error(
    robot: Any, wheel: Callable[..., Any], execute: Callable[..., Any]
) -> None:
    done = execute("demo")
    assert (done.returncode, done.stdout) == (127, b"")
    assert b"environment demo is not installed" in done.stderr
    manifest = robot.push(robot.begin(), [wheel()])
    done = execute("nothing-like-it")
    assert done.returncode == 127
    assert b"neither the release nor the robot" in done.stderr
    broken = robot.release(manifest) / "bin/broken"
    broken.write_text("#!/not/there/python\n")
    broken.chmod(0o755)
    done = execute("broken")
    assert done.returncode == 126
    assert b"its interpreter is not there any more" in done.stderr


def test_storage_that_cannot_be_written_is_said(
    robot: Any, wheel: Callable[..., Any], execute: Callable[..., Any]
) -> None:
    robot.push(robot.begin(), [wheel()])
    shutil.rmtree(robot.base / "tmp")
    (robot.base / "tmp").write_text("in the way")
    done = execute("true")
    assert done.returncode == 127
    assert b"ot2deploy: Not a directory" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "data", [b"", b"J 5\n{}", b"X 2\n{}", b"J 2\n{}", b'J 24\n{"environment": "../.."}', b"J 999999999\n"]
)
def test_nonsense_is_refused(robot: Any, data: bytes) -> None:
    argv = [str(robot.python), "-I", str(robot.archive), "exec"]
    done = subprocess.run(argv, input=data, capture_output=True, timeout=60, env=robot.env())
    assert done.returncode == 127
    assert done.stderr.startswith(b"ot2deploy: ")
    assert b"Traceback" not in done.stderr
