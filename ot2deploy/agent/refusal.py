"""Errors as the agent reports them: a stable code, what happened, likely why, what to do next."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


class Refusal(Exception):
    """A request that was not carried out. `code` is stable; `details` are further lines, `data` values for the host."""

    def __init__(
        self,
        code: str,
        what: str,
        why: str = "",
        next: str = "",
        details: Sequence[str] = (),
        data: Mapping[str, Any] | None = None,
    ) -> None:
        Exception.__init__(self, what)
        self.code, self.what, self.why, self.next = code, what, why, next
        self.details, self.data = list(details), dict(data or {})

    def as_message(self) -> dict[str, Any]:
        """The refusal as a protocol message."""
        return {
            "type": "error", "code": self.code, "what": self.what, "why": self.why, "next": self.next,
            "details": self.details, "data": self.data,
        }  # fmt: skip


def bad_request(what: str) -> Refusal:
    """A request that no ot2deploy of ours would send."""
    return Refusal("bad-request", what, why="Host and agent do not agree on the protocol.")


def disk_full(where: str, needed: int = 0) -> Refusal:
    """No space left; with the numbers of the file system that holds `where`."""
    free = free_bytes(where)
    what = "no space left on the robot: %s has %d bytes free" % (where, free)
    if needed:
        what += ", %d more are needed" % needed
    return Refusal(
        "disk-full", what,
        why="What was begun has been removed again; the current release is untouched.",
        next="Make room on the robot (ot2deploy robot clean NAME; logs under /var) and push again.",
        data={"free": free, "needed": needed},
    )  # fmt: skip


def free_bytes(where: str) -> int:
    """Bytes that can still be written below a directory, or below its nearest parent that exists."""
    while where and not os.path.isdir(where):
        where = os.path.dirname(where)
    stat = os.statvfs(where or "/")
    return int(stat.f_bavail * stat.f_frsize)


def from_os_error(error: OSError, base: str) -> Refusal:
    """The refusal for an operating system's error that nothing nearer has explained."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(base)
    place = ": %s" % error.filename if error.filename else ""
    if error.errno == errno.EROFS:
        return Refusal(
            "read-only", "the robot's file system is read-only%s" % place,
            why="Releases live under %s, which has to be writable." % base,
        )  # fmt: skip
    return Refusal(
        "robot-io", "%s%s" % (error.strerror or error, place),
        why="The robot's file system refused what an installation needs.",
        next="Look at the robot's storage (`df`, `dmesg`).",
    )  # fmt: skip
