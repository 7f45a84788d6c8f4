"""The lock on a robot's base directory: a flock that dies with its holder, in a file that says who that is."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time

from ot2deploy.agent import SCHEMA
from ot2deploy.agent.clock import now
from ot2deploy.agent.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

BOOT_ID = "/proc/sys/kernel/random/boot_id"
POLL = 0.1  # seconds


class Lock:
    """The lock, held. `taken_over` is what a holder that died without releasing it had written, or None."""

    def __init__(self, fd: int, me: dict[str, Any], taken_over: dict[str, Any] | None) -> None:
        self._fd, self._me, self.taken_over = fd, me, taken_over
        self._doing = False

    def tell(self, doing: dict[str, Any] | None) -> None:
        """Adds what its holder is about to do, for whoever takes the lock over from a dead one (journal.settle)."""
        if self._fd >= 0:
            self._doing = doing is not None
            _write(self._fd, dict(self._me, doing=doing) if doing else self._me)

    def release(self) -> None:
        """Empties the file, unless in the middle of something, and lets go.

        The file stays: only a purge removes it, and `take` looks whether one has.
        """
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            if not self._doing:
                os.ftruncate(fd, 0)
            os.close(fd)


def take(path: str, run: str, who: str, wait: Callable[[str], None] | None = None) -> Lock:
    """Takes the lock, or refuses with its holder; with `wait`, keeps trying and tells it whom it waits for.

    The kernel releases a flock when its holder ends, however it ends: what such a holder left in the file is stale
    and is written over. The descriptor is closed in children, so that none of them can hold the lock.
    """
    fd = _locked(path, wait)
    try:
        stale = _holder(fd)
        me = {"schema": SCHEMA, "run": run, "who": who, "pid": os.getpid(), "since": now(), "boot_id": boot_id()}
        _write(fd, me)
    except BaseException:
        os.close(fd)
        raise
    return Lock(fd, me, stale)


def boot_id() -> str | None:
    """The kernel's id of this boot, or None where there is none."""
    try:
        with open(BOOT_ID, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None


def _write(fd: int, holder: dict[str, Any]) -> None:
    os.ftruncate(fd, 0)
    os.pwrite(fd, json.dumps(holder).encode() + b"\n", 0)


def _locked(path: str, wait: Callable[[str], None] | None) -> int:
    """The lock's file, open and locked. A purge removes the file: what was waited for may not be it any more."""
    while True:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            while not _try(fd):
                holder = _holder(fd)
                if wait is None:
                    raise _refusal(holder)
                wait(_words(holder))
                time.sleep(POLL)
            if _is_at(fd, path):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _is_at(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def _try(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _holder(fd: int) -> dict[str, Any] | None:
    try:
        value = json.loads(os.pread(fd, 1 << 16, 0) or b"null")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else None


def _words(holder: dict[str, Any] | None) -> str:
    holder = holder or {}
    return "held by %s since %s" % (holder.get("who") or "an unknown run", holder.get("since") or "just now")


def _refusal(holder: dict[str, Any] | None) -> Refusal:
    known = {key: (holder or {}).get(key) for key in ("who", "since", "run", "pid", "boot_id")}
    return Refusal(
        "locked", _words(holder),
        why="Another run of ot2deploy is changing this robot (run %s)." % (known["run"] or "unknown"),
        next="Wait for it to end and try again. A run that has died gives the lock back within 30 s.",
        data=known,
    )  # fmt: skip
