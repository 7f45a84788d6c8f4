"""The request `unlock`: what a dead holder left in the lock is cleared; a live holder is ended, by force only."""

from __future__ import annotations

import os
import signal
import time

from ot2deploy.agent import journal
from ot2deploy.agent import layout as layouts
from ot2deploy.agent import lock as locks
from ot2deploy.agent.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ot2deploy.agent.layout import Layout

PATIENCE = 10.0  # seconds for a session to end its children and itself, before it is killed


def unlock(layout: Layout, run: str, who: str, force: bool) -> dict[str, Any]:
    """Leaves the lock free. `state` is "free" (nobody held it), "dead" or "ended"; `holder` is who that was.

    Refuses with `locked` while the holder lives, unless `force`; then with `holder-unknown` where it cannot be found.
    """
    if not os.path.lexists(layout.lock):
        return {"state": "free", "holder": None}
    try:
        lock = locks.take(layout.lock, run, who)
    except Refusal as refusal:
        if refusal.code != "locked" or not force:
            raise
        return _by_force(layout, run, who, refusal.data)
    _settle(layout, lock.taken_over)
    lock.release()
    return {"state": "dead" if lock.taken_over else "free", "holder": lock.taken_over}


def _settle(layout: Layout, holder: dict[str, Any] | None) -> None:
    journal.settle(layout.journal, holder, lambda name: layouts.current_digest(layout, name))


def _by_force(layout: Layout, run: str, who: str, holder: dict[str, Any]) -> dict[str, Any]:
    pid = holder.get("pid")
    if not isinstance(pid, int) or holder.get("boot_id") != locks.boot_id() or not _holds(pid, layout.lock):
        raise Refusal(
            "holder-unknown", "the process that holds the lock cannot be told",
            why="The lock's file names process %s, which does not have it open." % pid,
            next="Wait a minute and try again. If it stays, restart the robot: that frees the lock.",
        )  # fmt: skip
    lock = _taken_from(pid, layout.lock, run, who)
    try:
        _settle(layout, lock.taken_over)
        said = "ended the session of %s (run %s)" % (holder.get("who"), holder.get("run"))
        journal.append(layout.journal, {"run": run, "who": who, "op": "unlock", "result": "ok", "detail": said})
    finally:
        lock.release()
    return {"state": "ended", "holder": holder}


def _taken_from(pid: int, path: str, run: str, who: str) -> locks.Lock:
    """Ends the process that holds the lock, which the kernel then frees. Refuses where somebody waited for it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not _holds(pid, path):
            break
        os.kill(pid, number)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                return locks.take(path, run, who)
            except Refusal:
                time.sleep(locks.POLL)
    return locks.take(path, run, who)


def _holds(pid: int, path: str) -> bool:
    """Whether a process has the lock's file open. False where the system does not say it."""
    directory = "/proc/%d/fd" % pid
    try:
        return any(_same(os.path.join(directory, name), path) for name in os.listdir(directory))
    except OSError:
        return False


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
