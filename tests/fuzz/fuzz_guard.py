"""Watches what fuzzed code does to the system: every write, and that no program is started and nobody is ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Event -> which of its arguments are paths that change, and which one is the descriptor they may be relative to.
CHANGING = {
    "os.mkdir": ((0, 2),), "os.rmdir": ((0, 1),), "os.remove": ((0, 1),), "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),), "os.symlink": ((1, 2),), "os.truncate": ((0, None),), "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),), "os.utime": ((0, 3),), "os.setxattr": ((0, None),), "os.removexattr": ((0, None),),
    "shutil.rmtree": ((0, None),), "tempfile.mkstemp": ((0, None),), "tempfile.mkdtemp": ((0, None),),
}  # fmt: skip
NEVER = (
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.kill",
    "os.killpg", "socket.connect", "socket.bind", "os.chdir", "os.putenv", "pty.spawn", "ctypes.dlopen",
)  # fmt: skip
# What a request may rightly ask for and a fuzzed one must not get: it is denied, as by a system that forbids it.
DENIED = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.putenv", "ctypes.dlopen")
ANYWHERE = (os.devnull,)


class Violation(BaseException):
    """Something happened that must not; no handler of the fuzzed code can take it for an error of its own."""


class Guard:
    """While `on`, changes are possible below `inside` alone.

    A change elsewhere is denied with PermissionError; it is a violation unless the place is below one of `asked`, the
    directories that the input itself named, or on the way to one. Below `inside` the same is asked, and nothing denied.
    """

    def __init__(self, inside: str) -> None:
        self.inside = os.path.realpath(inside)
        self.asked: tuple[str, ...] = ()
        self.violations: list[str] = []
        self._on = False
        sys.addaudithook(self._hear)

    @contextmanager
    def on(self, *asked: str) -> Iterator[None]:
        """Watches the block; raises Violation at its end for anything that was seen."""
        self.asked, self.violations, self._on = tuple(map(os.path.realpath, asked)), [], True
        try:
            yield
        finally:
            self._on = False
        if self.violations:
            raise Violation("; ".join(self.violations))

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, (str, bytes)) and isinstance(flags, int) and flags & WRITING:
                self._judge(event, path, None)
        elif event in CHANGING:
            for at, relative in CHANGING[event]:
                where = arguments[relative] if relative is not None and relative < len(arguments) else None
                self._judge(event, arguments[at], where)
        elif event in NEVER:
            if event not in DENIED:
                self.violations.append(f"{event} {arguments!r}"[:300])
            raise PermissionError(13, "denied to fuzzed code")

    def _judge(self, event: str, path: Any, directory: Any) -> None:
        if isinstance(path, int):
            path = os.readlink(f"/proc/self/fd/{path}")
        path = os.fsdecode(path)
        if isinstance(directory, int) and directory >= 0 and not os.path.isabs(path):
            path = os.path.join(os.readlink(f"/proc/self/fd/{directory}"), path)
        parent, name = os.path.split(os.path.abspath(path))
        real = os.path.join(os.path.realpath(parent), name)
        if real in ANYWHERE:
            return
        wanted = any(real == one or real.startswith(one.rstrip("/") + "/") for one in self.asked)
        on_the_way = event == "os.mkdir" and any(one.startswith(real.rstrip("/") + "/") for one in self.asked)
        if not (wanted or on_the_way):
            self.violations.append(f"{event} of {real}")
        if not (real + "/").startswith(self.inside + "/"):
            raise PermissionError(13, "denied to fuzzed code", real)
