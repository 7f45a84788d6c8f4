"""Child processes on a robot: each in a process group of its own, with a time limit and the tail of its output."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time

TYPE_CHECKING = False  # the module typing takes noticeable time to load on a robot
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import IO

READ = 1 << 16
DRAIN = 0.2  # seconds to wait for output that grandchildren still hold after their parent has ended
GRACE = 1.0  # seconds between SIGTERM and SIGKILL
TICK = 5.0
WEIGH = 0.25  # seconds between two looks at a child's memory

_live: dict[int, subprocess.Popen[bytes]] = {}
_guard = threading.RLock()
_stopped = False


class Stopped(Exception):
    """This process is ending and starts no more children."""


class Ended:
    """A child that has ended: exit `status` (negative: the signal), tail of its output, seconds, and which of its
    limits it was ended by: "time", "memory" or "".
    """

    def __init__(self, status: int, output: str, seconds: float, limit: str) -> None:
        self.status, self.output, self.seconds, self.limit = status, output, seconds, limit


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str,
    timeout: float,
    memory: int | None = None,
    leash: bytes | None = None,
    keep: int = READ,
    on_output: Callable[[bytes], None] | None = None,
    on_tick: Callable[[float], None] | None = None,
) -> Ended:
    """Runs a program to its end and then kills what it left behind in its process group.

    `timeout` in seconds; `memory` in bytes is how much it and its descendants may have resident (Linux only).
    `leash` (bytes, may be empty) is written to its standard input, which then stays open until the child ends: it
    reads EOF exactly when we die, however we die. Without a leash its standard input is empty.
    `on_output` gets the raw output as it comes (both streams), `on_tick` the seconds passed, every 5 s.
    Raises OSError when the program cannot be started, Stopped while this process is ending.
    """
    start = time.monotonic()
    process = _start(argv, env, cwd, leash is not None)
    try:
        if leash is not None and process.stdin is not None:
            _feed(process, leash)
        assert process.stdout is not None
        output = _Output(process.stdout, keep, on_output)
        limit = _watch(process, output, timeout, memory, on_tick)
    finally:
        _kill_group(process)
        with _guard:
            _live.pop(process.pid, None)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
    if _stopped:  # whoever waits for this child must not take the way it was ended for an answer
        raise Stopped
    return Ended(process.returncode, output.tail.decode("utf-8", "replace"), time.monotonic() - start, limit)


def stop_all() -> None:
    """Ends every child with its process group, politely for a second and then not; none can be started afterwards."""
    global _stopped
    with _guard:
        _stopped = True
        children = list(_live.values())
    for process in children:
        _signal_group(process, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline and any(_group_exists(process) for process in children):
        time.sleep(0.02)
    for process in children:
        _signal_group(process, signal.SIGKILL)


def _start(argv: Sequence[str], env: Mapping[str, str], cwd: str, leashed: bool) -> subprocess.Popen[bytes]:
    with _guard:
        if _stopped:
            raise Stopped
        process = subprocess.Popen(
            list(argv),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.PIPE if leashed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            bufsize=0,
        )
        _live[process.pid] = process
    return process


def _feed(process: subprocess.Popen[bytes], data: bytes) -> None:
    assert process.stdin is not None
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(process.stdin.fileno(), view) :]
    except BrokenPipeError:
        pass  # it ended before reading everything; its output says why


class _Output:
    """What comes out of a child: its tail is kept, each piece is shown to `on_output`."""

    def __init__(self, stream: IO[bytes], keep: int, on_output: Callable[[bytes], None] | None) -> None:
        self.tail = bytearray()
        self._fd, self._keep, self._on_output, self._open = stream.fileno(), keep, on_output, True

    def read(self, wait: float) -> bool:
        """Takes the next piece, waiting up to `wait` seconds for it; False once nobody can write any more."""
        if not self._open:
            time.sleep(min(wait, 0.01))
            return False
        if select.select([self._fd], [], [], wait)[0]:
            chunk = os.read(self._fd, READ)
            self._open = bool(chunk)
            self.tail += chunk
            del self.tail[: -self._keep]
            if chunk and self._on_output is not None:
                self._on_output(chunk)
        return self._open


def _watch(
    process: subprocess.Popen[bytes],
    output: _Output,
    timeout: float,
    memory: int | None,
    on_tick: Callable[[float], None] | None,
) -> str:
    """Waits for a child's end, reading what it writes; the limit by which it had to be ended, or ""."""
    start = ticked = weighed = time.monotonic()
    limit, ended = "", 0.0
    while True:
        now = time.monotonic()
        if process.poll() is not None:
            ended = ended or now
        elif now - start > timeout:
            limit = "time"
            _kill_all(process)
        elif memory is not None and now - weighed >= WEIGH:
            weighed = now
            if sum(_family(process.pid).values()) > memory:
                limit = "memory"
                _kill_all(process)
        if not output.read(0.05) and ended:
            return limit
        if ended and now - ended > DRAIN:
            return limit
        if on_tick is not None and now - ticked >= TICK:
            ticked = now
            on_tick(now - start)


def _family(pid: int) -> dict[int, int]:
    """The resident bytes of a process and of all its descendants, by pid; empty where there is no /proc."""
    parents: dict[int, int] = {}
    resident: dict[int, int] = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        try:
            with open("/proc/%s/stat" % int(name), "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except (ValueError, OSError):
            continue  # no process, or gone
        parents[int(name)], resident[int(name)] = int(fields[1]), int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    family, fresh = {pid}, {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh} - family
        family |= fresh
    return {member: resident[member] for member in family if member in resident}


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    """Kills a child and its descendants, those too that made a session of their own."""
    for pid in _family(process.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass  # it ended by itself
    _kill_group(process)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # the group is empty; its leader may be a zombie that wait() takes


def _group_exists(process: subprocess.Popen[bytes]) -> bool:
    """Whether anybody but an unreaped leader is left; a zombie leader counts as there, which only costs the grace."""
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
