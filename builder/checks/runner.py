"""Runs an environment's checks, one after the other, each in a process of its own with a time limit.

As a program it reads {"checks": [...]} as one line of JSON on standard input, which has to stay open: its end, or
SIGTERM, ends the checks. It writes one line of JSON for each check begun and a last one with the results. The request
may name another interpreter than the one that runs this, as "python", and its variables, as "env".
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time

from builder.checks import child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Check = Mapping[str, Any]
    Result = dict[str, Any]

OUTPUT = 4096  # characters of a check's output that its result keeps
SEARCHED = 1 << 18  # bytes of it in which `expect` is looked for
TIMEOUT = 120.0
SIGNALS = {
    "SIGSEGV": "invalid memory access: a native module is broken or was built for another system",
    "SIGILL": "illegal instruction: a native module was compiled for another CPU",
    "SIGBUS": "misaligned or missing memory: a native module is broken or a file was cut short",
    "SIGABRT": "it gave up itself: a native module found its own state broken",
    "SIGFPE": "an arithmetic fault in a native module",
    "SIGKILL": "killed from outside: probably memory ran out",
}


def run_checks(
    checks: Sequence[Check],
    *,
    python: str = sys.executable,
    env: Mapping[str, str] | None = None,
    report: Callable[[int, Check], None] | None = None,
) -> list[Result]:
    """Runs checks in the environment of an interpreter and returns their results, in order.

    A result is {"name", "kind", "ok", "seconds", "version", "file", "output", "why"}; `why` is empty when it is ok.
    `report` is told the index and the check before each one. A check that is not understood fails with its reason.
    """
    results = []
    for index, check in enumerate(checks):
        if report is not None:
            report(index, check)
        results.append(run_check(check, python, dict(os.environ if env is None else env)))
    return results


def run_check(check: Check, python: str, env: dict[str, str]) -> Result:
    """Runs one check in a temporary directory that is also its home, and removes that afterwards."""
    result: Result = {
        "name": str(check.get("name", "")), "kind": str(check.get("kind", "")), "ok": False, "seconds": 0.0,
        "version": "", "file": "", "output": "", "why": "",
    }  # fmt: skip
    start = time.monotonic()
    directory = tempfile.mkdtemp(prefix="check-")
    try:
        kind = KINDS.get(result["kind"])
        if kind is None:
            raise ValueError("unknown kind of check: %r" % result["kind"])
        kind(check, python, dict(env, HOME=directory, TMPDIR=directory), directory, result)
    except (KeyError, TypeError, ValueError, OSError, re.error) as error:
        result["why"] = "the check cannot be run: %s: %s" % (type(error).__name__, error)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    result["seconds"] = round(time.monotonic() - start, 3)
    result["ok"] = not result["why"]
    return result


def _import(check: Check, python: str, env: dict[str, str], directory: str, result: Result) -> None:
    answer = os.path.join(directory, "answer.json")
    argv = [python, "-I", "-c", _program("builder.checks.importing"), str(check["module"]), answer]
    ended = _child(check, argv, env, directory, result)
    result["why"] = _why(ended, check)
    if os.path.exists(answer):
        with open(answer, encoding="utf-8") as file:
            found = json.load(file)
        result.update(version=found["version"], file=found["file"], why=result["why"] or found["why"])
    elif not result["why"]:
        result["why"] = "importing %s ended the interpreter quietly" % check["module"]


def _run(check: Check, python: str, env: dict[str, str], directory: str, result: Result) -> None:
    words = [str(word) for word in check["argv"]]
    bin_directory = os.path.dirname(python)
    program = os.path.join(bin_directory, words[0])
    if os.path.basename(words[0]) != words[0] or not os.path.isfile(program):
        result["why"] = "the release has no program %s (looked in %s)" % (words[0], bin_directory)
        return
    expect = re.compile(check["expect"], re.MULTILINE) if check.get("expect") else None
    result["file"] = program
    ended = _child(check, [program, *words[1:]], env, directory, result)
    result["why"] = _why(ended, check)
    if not result["why"] and expect is not None and not expect.search(ended.output):
        result["why"] = "its output does not match %r" % expect.pattern


def _program_check(check: Check, python: str, env: dict[str, str], directory: str, result: Result) -> None:
    # A file, not -c: tracebacks show its lines, and child processes that multiprocessing spawns can load it.
    source = os.path.join(directory, "check.py")
    with open(source, "w", encoding="utf-8") as file:
        file.write(check["source"])
    result["why"] = _why(_child(check, [python, "-I", source], env, directory, result), check)


KINDS = {"import": _import, "run": _run, "program": _program_check}


def _child(check: Check, argv: list[str], env: dict[str, str], directory: str, result: Result) -> child.Ended:
    ended = child.run(argv, env=env, cwd=directory, timeout=_timeout(check), memory=_memory(check), keep=SEARCHED)
    result["output"] = ended.output[-OUTPUT:]
    return ended


def _timeout(check: Check) -> float:
    return float(check.get("timeout") or TIMEOUT)


def _memory(check: Check) -> int | None:
    """A check's `memory` (MB) in bytes; only what is run beside the robot's own work has one."""
    return int(check["memory"]) << 20 if check.get("memory") else None


def _why(ended: child.Ended, check: Check) -> str:
    """Why a check's process did not end well, in one line; "" when it did."""
    if ended.limit == "time":
        return "it did not end within %g s" % _timeout(check)
    if ended.limit == "memory":
        return "it used more than %g MB of memory" % check["memory"]
    if ended.status == 0:
        return ""
    lines = [line.strip() for line in ended.output.splitlines() if line.strip()]
    last = lines[-1][:500] if lines else ""
    if ended.status < 0:
        return "ended by %s" % _signal_words(-ended.status)
    if ended.status > 128 and ended.status - 128 in _signal_numbers():
        return "ended with status %d, as after %s" % (ended.status, _signal_words(ended.status - 128))
    return last if check["kind"] != "run" and last else "ended with status %d: %s" % (ended.status, last or "no output")


def _signal_words(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return "signal %d" % number
    return "%s (%s)" % (name, SIGNALS[name]) if name in SIGNALS else name


def _signal_numbers() -> set[int]:
    return {int(getattr(signal, name)) for name in SIGNALS}


def _program(module: str) -> str:
    """A sibling module's source, out of the archive or the directory that this module was loaded from."""
    loader: Any = globals()["__loader__"]
    path = os.path.join(os.path.dirname(__file__), module.rsplit(".", 1)[1] + ".py")
    data: bytes = loader.get_data(path)
    return data.decode("utf-8")


def main() -> int:
    """Serves one list of checks from standard input; the agent's `checks` command."""
    answers = os.dup(1)
    os.dup2(2, 1)  # a stray print must not break the protocol
    request = _read_line(0)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=_end).start())

    def report(index: int, check: Check) -> None:
        _write(answers, {"begins": index, "name": check.get("name", "")})

    try:
        python = request.get("python") or sys.executable
        results = run_checks(request["checks"], python=python, env=request.get("env"), report=report)
    except child.Stopped:
        return 1
    _write(answers, {"results": results})
    return 0


def _read_line(fd: int) -> dict[str, Any]:
    line = bytearray()
    while not line.endswith(b"\n"):
        chunk = os.read(fd, 1 << 16)
        if not chunk:
            break
        line += chunk
    request: dict[str, Any] = json.loads(line)
    return request


def _write(fd: int, value: object) -> None:
    data = memoryview(json.dumps(value).encode() + b"\n")
    while data:
        data = data[os.write(fd, data) :]


def _end_with_parent() -> None:
    while os.read(0, 1 << 16):
        pass
    _end()


def _end() -> None:
    child.stop_all()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
