"""The processes of an embedded robot: its commands, its orphans, and their end. POSIX; sweeping orphans is Linux."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


@dataclass(kw_only=True)
class Child:
    """A command in a process group of its own, and our ends of its three streams."""

    pid: int
    stdin: int
    stdout: int
    stderr: int
    process: subprocess.Popen[bytes] = field(repr=False)

    def wait(self) -> int:
        """The exit status; 128 + N when signal N ended it, as shells say it."""
        status = self.process.wait()
        return status if status >= 0 else 128 - status


def spawn(command: bytes, *, cwd: Path, environment: Mapping[str, str]) -> Child:
    """Starts `/bin/sh -c command` in a session and process group of its own."""
    process = subprocess.Popen(
        [b"/bin/sh", b"-c", command],
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    ends = []
    for stream in (process.stdin, process.stdout, process.stderr):
        assert stream is not None
        ends.append(os.dup(stream.fileno()))
        stream.close()
    return Child(pid=process.pid, stdin=ends[0], stdout=ends[1], stderr=ends[2], process=process)


def kill_group(pid: int) -> None:
    """Kills the process group that `pid` leads; one that is gone is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def adopt_orphans() -> None:
    """Makes us the parent of descendants whose parent dies, as init is on a robot (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap() -> set[int]:
    """Collects every child that has ended; returns their pids."""
    gone = set()
    with contextlib.suppress(ChildProcessError):
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            gone.add(pid)
    return gone


def kill_descendants(grace: float = 0.05, rounds: int = 40) -> None:
    """Kills all processes below us, also those that left their group; returns when none is left."""
    for _ in range(rounds):
        reap()
        left = descendants(os.getpid())
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(grace)


def descendants(ancestor: int) -> list[int]:
    """The pids below a process, read from /proc; empty where there is no /proc."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # the name, in parentheses, may hold spaces and parentheses: fields count from the last one
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found: list[int] = []
    level = {ancestor}
    while level:
        level = {pid for pid, parent in parents.items() if parent in level}
        found += level
    return found


def detach_streams(log: Path) -> None:
    """Points stdin at nothing and stdout and stderr at a log file."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(nothing, 0)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.close(nothing)
    os.close(sink)
