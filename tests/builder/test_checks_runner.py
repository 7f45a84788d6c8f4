"""The check runner in a real virtual environment: what passes, what fails, and how it is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.checks import child, runner

ROOT = Path(runner.__file__).parents[2]
FILES = {
    "demo.py": "__version__ = 'of the module'\n",
    "package/__init__.py": "",
    "package/inner.py": "",
    "space/portion/part.py": "",
    "noisy.py": "print('x' * 100000)\nprint('{\"file\": 1}')\n",
    "broken.py": "import sys\nprint('trying', file=sys.stderr)\nraise ImportError('libGL.so.1: cannot open')\n",
    "crash.py": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
    "illegal.py": "import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n",
    "quits.py": "import os\nos._exit(0)\n",
    "unlisted.py": "",
}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of a release with one distribution and one script, made by hand."""
    release = tmp_path_factory.mktemp("release")
    real = Path(sys.executable).resolve()
    site = release / "lib/python{}.{}/site-packages".format(*sys.version_info[:2])
    info = site / "demo-1.5.dist-info"
    info.mkdir(parents=True)
    (release / "bin").mkdir()
    (release / "bin/python3").symlink_to(real)
    (release / "pyvenv.cfg").write_text(f"home = {real.parent}\ninclude-system-site-packages = false\n")
    for name, text in FILES.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: demo\nVersion: 1.5\n\nVersion: of the text\n")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in FILES if name != "unlisted.py"))
    script = release / "bin/greet"
    script.write_text('#!/bin/sh\necho "hello $1" >&2\ntouch here\nexit ${2:-0}\n')
    script.chmod(0o755)
    return str(release / "bin/python3")


@pytest.fixture
def run(python: str) -> Callable[..., dict[str, Any]]:
    """Runs one check."""

    def one(kind: str, **fields: Any) -> dict[str, Any]:
        check = {"kind": kind, "name": "it", "timeout": 60, **fields}
        (result,) = runner.run_checks([check], python=python, env={"PATH": os.environ["PATH"]})
        assert set(result) == {"name", "kind", "ok", "seconds", "version", "file", "output", "why"}
        assert result["ok"] == (not result["why"])
        assert len(result["output"]) <= runner.OUTPUT
        return result

    return one


@pytest.mark.parametrize(
    ("module", "file"),
    [
        ("demo", "demo.py"),
        ("package", "package/__init__.py"),
        ("package.inner", "package/inner.py"),
        ("space", "space"),
        ("space.portion.part", "space/portion/part.py"),
        ("noisy", "noisy.py"),
    ],
)
def test_import_tells_version_and_file(run: Callable[..., Any], python: str, module: str, file: str) -> None:
    result = run("import", module=module)
    assert result["ok"], result
    assert result["version"] == "1.5"
    assert result["file"].startswith(str(Path(python).parents[1]))
    assert result["file"].endswith("/site-packages/" + file)


@pytest.mark.parametrize(
    ("module", "why"),
    [
        ("broken", "ImportError: libGL.so.1: cannot open"),
        ("absent", "ModuleNotFoundError: No module named 'absent'"),
        ("crash", "ended by SIGSEGV (invalid memory access"),
        ("illegal", "ended by SIGILL (illegal instruction: a native module was compiled for another CPU)"),
        ("quits", "importing quits ended the interpreter quietly"),
        ("unlisted", "unlisted.py stands in no RECORD of the release"),
    ],
)
def test_import_that_fails_says_why(run: Callable[..., Any], module: str, why: str) -> None:
    result = run("import", module=module)
    assert not result["ok"]
    assert why in result["why"]


def test_an_import_that_fails_shows_the_modules_own_lines_only(run: Callable[..., Any]) -> None:
    shown = [line.strip() for line in run("import", module="broken")["output"].splitlines()]
    (frame,) = (line for line in shown if line.startswith("File "))
    assert "broken.py" in frame


def test_import_from_outside_names_both_paths(run: Callable[..., Any], python: str) -> None:
    why = run("import", module="json")["why"]
    assert f"found at {Path(json.__file__).resolve()}, outside the release" in why
    assert f"does not have it at {Path(python).parents[1]}" in why
    assert "built into the interpreter" in run("import", module="sys")["why"]


def test_run_checks_status_and_output(run: Callable[..., Any], python: str) -> None:
    assert run("run", argv=["greet", "you"], expect="^hello you$")["ok"]
    assert run("run", argv=["greet", "you"])["file"] == str(Path(python).with_name("greet"))
    assert run("run", argv=["greet", "you"], expect="^bye")["why"] == "its output does not match '^bye'"
    assert run("run", argv=["greet", "you", "3"])["why"] == "ended with status 3: hello you"
    assert "the release has no program ls" in run("run", argv=["ls"])["why"]
    assert "the release has no program ../bin/greet" in run("run", argv=["../bin/greet"])["why"]


def test_program_runs_in_the_release_with_a_directory_of_its_own(run: Callable[..., Any]) -> None:
    source = "import os, demo, json\nassert os.environ['HOME'] == os.getcwd()\nprint(os.getcwd())\n"
    result = run("program", source=source)
    assert result["ok"], result
    assert not Path(result["output"].strip()).exists()
    failed = run("program", source="x = 1\nassert x == 2, 'not two'\n")
    assert failed["why"] == "AssertionError: not two"
    assert "check.py" in failed["output"]


def test_time_limit_kills_the_whole_group(run: Callable[..., Any], tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    source = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'])\n"
        f"open({str(marker)!r}, 'w').write(str(child.pid))\ntime.sleep(300)\n"
    )
    for timeout in (2, 20, 200):  # on a busy machine the child may not be there after the shorter ones
        result = run("program", source=source, timeout=timeout)
        assert result["why"] == f"it did not end within {timeout} s"
        if marker.exists() and marker.read_text():
            break
    assert gone(int(marker.read_text()))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="memory is looked at in /proc")
def test_a_check_that_takes_too_much_memory_is_ended_with_its_children(run: Callable[..., Any], tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    hungry = "import sys, time; sys.stdin.read(); held = bytearray(200 << 20); time.sleep(300)"
    source = (
        f"import subprocess, sys\nargv = [sys.executable, '-c', {hungry!r}]\n"
        "child = subprocess.Popen(argv, start_new_session=True, stdin=subprocess.PIPE)\n"
        f"open({str(marker)!r}, 'w').write(str(child.pid))\nchild.stdin.close()\nchild.wait()\n"
    )
    result = run("program", source=source, memory=100)
    assert result["why"] == "it used more than 100 MB of memory"
    assert gone(int(marker.read_text()))


def test_what_a_check_leaves_behind_is_ended(run: Callable[..., Any], tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    source = (
        "import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'])\n"
        f"open({str(marker)!r}, 'w').write(str(child.pid))\n"
    )
    assert run("program", source=source)["ok"]
    assert gone(int(marker.read_text()))


@pytest.mark.parametrize(
    "check",
    [{}, {"kind": "dance"}, {"kind": "import"}, {"kind": "run", "argv": ["greet"], "expect": "("}, {"kind": "run"},
     {"kind": "program", "source": 5}, {"kind": "import", "module": "demo", "timeout": "soon"}],
)  # fmt: skip
def test_a_check_that_is_not_understood_fails_with_its_reason(python: str, check: dict[str, Any]) -> None:
    (result,) = runner.run_checks([check], python=python, env={})
    assert result["why"].startswith("the check cannot be run: ")


def gone(pid: int) -> bool:
    """Whether a process ends soon (or is a zombie that somebody else has to take)."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def serve(python: str, checks: list[dict[str, Any]]) -> subprocess.Popen[bytes]:
    """The runner as a program of the release."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom builder.checks.runner import main\nsys.exit(main())"
    process = subprocess.Popen([python, "-I", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(json.dumps({"checks": checks}).encode() + b"\n")
    process.stdin.flush()
    return process


def test_as_a_program_it_tells_each_check_and_then_the_results(python: str) -> None:
    process = serve(python, [{"kind": "import", "name": name, "module": name} for name in ("demo", "absent")])
    assert process.stdout is not None
    lines = [json.loads(line) for line in process.stdout]
    assert lines[:2] == [{"begins": 0, "name": "demo"}, {"begins": 1, "name": "absent"}]
    assert [result["ok"] for result in lines[2]["results"]] == [True, False]
    assert process.wait(30) == 0


@pytest.mark.parametrize("ending", ["eof", "term"])
def test_as_a_program_it_ends_with_its_parent(python: str, tmp_path: Path, ending: str) -> None:
    marker = tmp_path / "pid"
    source = f"import os, time\nopen({str(marker)!r}, 'w').write(str(os.getpid()))\ntime.sleep(300)\n"
    process = serve(python, [{"kind": "program", "name": "sleeps", "source": source}])
    deadline = time.monotonic() + 30
    while not (marker.exists() and marker.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert process.stdin is not None
    if ending == "eof":
        process.stdin.close()
    else:
        process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 1
    assert gone(int(marker.read_text()))


def test_child_keeps_the_tail_and_shows_everything(tmp_path: Path) -> None:
    seen: list[bytes] = []
    argv = [sys.executable, "-c", "print('a' * 300000 + 'end', end='')"]
    ended = child.run(argv, env={}, cwd=str(tmp_path), timeout=60, keep=10, on_output=seen.append)
    assert (ended.status, ended.output, ended.limit) == (0, "aaaaaaaend", "")
    assert len(b"".join(seen)) == 300003


def test_leash_is_data_and_then_open_until_the_end(tmp_path: Path) -> None:
    code = "import os; print(os.read(0, 9)); import select; print(select.select([0], [], [], 0)[0])"
    ended = child.run([sys.executable, "-c", code], env={}, cwd=str(tmp_path), timeout=60, leash=b"hello")
    assert ended.output.split() == ["b'hello'", "[]"]
