"""Wheels and packs on a robot, by sha256: which are missing, how they arrive, and that they are what they should be."""

from __future__ import annotations

import errno
import hashlib
import os

from ot2deploy.agent import fields, statefile
from ot2deploy.agent.refusal import Refusal, disk_full

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from ot2deploy.agent.fields import Request
    from ot2deploy.agent.frames import Data
    from ot2deploy.agent.layout import Layout

CHUNK = 1 << 20


class Blobs:
    """The blobs below one base directory. Remembers which it has hashed, so that none is hashed twice in a session."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._proven: set[str] = set()

    def need(self, request: Request) -> dict[str, Any]:
        """Which of some blobs are missing, each with how many of its bytes are already there.

        A blob counts as there when it has the right size; its bytes are hashed when `path` first uses it.
        """
        kind, missing = fields.kind(request), []
        for item in fields.items(request, "blobs"):
            sha256, size = fields.digest(item, "sha256"), fields.number(item, "size")
            if _size(self._layout.blob(kind, sha256, fields.filename(item, kind))) != size:
                missing.append({"sha256": sha256, "offset": self._offset(kind, sha256, size)})
        return {"missing": missing}

    def receive(self, request: Request, pieces: Callable[[int], Iterator[Data]]) -> dict[str, Any]:
        """Takes a blob, from `offset` on, out of `pieces(bytes to come)`; it appears under its name only when whole.

        A first part from an earlier connection is hashed before what comes. Refuses with `blob-sha256` (the part is
        removed; send again from 0), `blob-offset` (data: the offset to send from) or `disk-full`.
        """
        kind = fields.kind(request)
        sha256, size = fields.digest(request, "sha256"), fields.number(request, "size")
        offset, filename = fields.number(request, "offset"), fields.filename(request, kind)
        part, target = self._layout.part(kind, sha256), self._layout.blob(kind, sha256, filename)
        os.makedirs(os.path.dirname(part), exist_ok=True)
        if offset > size or offset > (_size(part) or 0):
            there = self._offset(kind, sha256, size)
            raise Refusal("blob-offset", "%s: only %d bytes are there" % (filename, there), data={"offset": there})
        self._check_room(size - offset)
        try:
            found = _write_part(part, offset, pieces(size - offset))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            needed = size - (_size(part) or 0)
            statefile.remove(part)
            raise disk_full(self._layout.base, needed) from error
        if found != sha256:
            statefile.remove(part)
            raise _damaged(filename, "arrived")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        # Not synced: fsyncs of a hundred wheels take seconds on an SD card, and what a power cut damages is
        # found by its hash before it is used, and sent again.
        os.replace(part, target)
        self._proven.add(sha256)
        return {"ok": True}

    def paths(self, kind: str, wanted: Sequence[tuple[str, str]]) -> list[str]:
        """The paths of blobs (sha256, filename) whose bytes are proven. Refuses once, after every one was looked at:
        what is damaged has then been removed, and all of it can be sent again at once."""
        paths, refusals = [], []
        for sha256, filename in wanted:
            try:
                paths.append(self.path(kind, sha256, filename))
            except Refusal as refusal:
                refusals.append(refusal)
        if refusals:
            refusals[0].details = [refusal.what for refusal in refusals[1:]]
            raise refusals[0]
        return paths

    def path(self, kind: str, sha256: str, filename: str) -> str:
        """The path of a blob whose bytes are proven. A damaged or missing one is refused and will be needed again."""
        path = self._layout.blob(kind, sha256, filename)
        if not os.path.isfile(path):
            raise Refusal(
                "blob-missing", "%s is not on the robot" % filename,
                why="It was not sent, or has been removed since.", next="Push again.",
            )  # fmt: skip
        if sha256 not in self._proven:
            with open(path, "rb") as file:
                found = _hash(file.fileno(), None).hexdigest()
            if found != sha256:
                statefile.remove(path)
                raise _damaged(filename, "is stored")
            self._proven.add(sha256)
        return path

    def remove_parts(self) -> None:
        """Removes first parts of files: once a release is complete, nobody goes on with a transfer that was cut."""
        for kind in fields.FILENAME:
            directory = os.path.join(self._layout.base, kind)
            for name in os.listdir(directory) if os.path.isdir(directory) else ():
                if name.endswith(".part"):
                    statefile.remove(os.path.join(directory, name))

    def _offset(self, kind: str, sha256: str, size: int) -> int:
        there = _size(self._layout.part(kind, sha256)) or 0
        return there if there <= size else 0

    def _check_room(self, needed: int) -> None:
        stat = os.statvfs(self._layout.base)
        if stat.f_bavail * stat.f_frsize < needed:
            raise disk_full(self._layout.base, needed)


def _write_part(part: str, offset: int, pieces: Iterator[Data]) -> str:
    """Hashes what is there up to `offset`, adds the pieces, and returns the sha256 of all."""
    fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        os.ftruncate(fd, offset)
        digest = _hash(fd, offset)
        for piece in pieces:
            digest.update(piece)
            view = memoryview(piece)
            while view:
                view = view[os.write(fd, view) :]
    finally:
        os.close(fd)
    return digest.hexdigest()


def _hash(fd: int, length: int | None) -> hashlib._Hash:
    """The sha256 of a descriptor's first `length` bytes (None: of all), reading from its position."""
    digest = hashlib.sha256()
    while length is None or length > 0:
        chunk = os.read(fd, CHUNK if length is None else min(CHUNK, length))
        if not chunk:
            break
        digest.update(chunk)
        if length is not None:
            length -= len(chunk)
    return digest


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def _damaged(filename: str, how: str) -> Refusal:
    return Refusal(
        "blob-sha256", "%s %s with other bytes than it should have" % (filename, how),
        why="It was damaged on the way or in storage, and has been removed from the robot.",
        next="Push again; it will be sent anew.",
    )  # fmt: skip
