"""A file given over HTTP: validators, conditions and one range (RFC 9110), sent a piece at a time."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

SMALL = 1 << 16  # bytes that are read at once
PIECE = 1 << 20  # bytes that a client may have in memory, twice; each costs a change of threads
ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO)
SHORTER = "the file became shorter while it was sent"
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True, kw_only=True)
class Part:
    """What of a file is sent: `length` bytes from `start`, under a status."""

    status: int
    start: int = 0
    length: int = 0


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A file that is open, what it is sent as, and what tells it from what was there before under its name."""

    file: BinaryIO
    size: int
    etag: str
    modified: str

    def part(self, headers: Mapping[str, str]) -> Part:
        """What a request asks for. `headers` are found by their names in small letters."""
        if self._is_known(headers):
            return Part(status=304)
        whole = Part(status=200, length=self.size)
        asked = RANGE.fullmatch(headers.get("range", "").strip())
        if not asked or headers.get("if-range", self.etag).strip() not in (self.etag, self.modified):
            return whole  # also for several ranges at once and other units, as RFC 9110 lets a server do
        first, last = asked.groups()
        if not first and not last:
            return whole
        if not first:
            start, end = max(0, self.size - int(last)), self.size
        else:
            start, end = int(first), min(self.size, int(last) + 1 if last else self.size)
            if last and int(last) < start:
                return whole
        if start >= end:
            return Part(status=416)
        return Part(status=206, start=start, length=end - start)

    def ends(self, *endings: bytes) -> bool:
        """Whether it ends in one of these; a file that was cut short does not. Raises OSError."""
        longest = max(map(len, endings))
        self.file.seek(max(0, self.size - longest))
        return self.file.read(longest).endswith(endings)

    def headers(self, part: Part) -> dict[str, str]:
        """The headers that go with a part."""
        said = {"etag": self.etag, "last-modified": self.modified, "accept-ranges": "bytes"}
        if part.status == 206:
            said["content-range"] = f"bytes {part.start}-{part.start + part.length - 1}/{self.size}"
        if part.status == 416:
            said["content-range"] = f"bytes */{self.size}"
        if part.status != 304:
            said["content-length"] = str(part.length)
        return said

    def _is_known(self, headers: Mapping[str, str]) -> bool:
        """Whether the client has it already."""
        if (tags := headers.get("if-none-match")) is not None:
            known = (tag.strip().removeprefix("W/") for tag in tags.split(","))
            return tags.strip() == "*" or self.etag in known
        return headers.get("if-modified-since") == self.modified


def open_inside(root: Path, relative: os.PathLike[str], *, kind: str = "") -> Opened | None:
    """A regular file below `root`, also through symbolic links that stay there; None for everything else.

    `kind` tells two forms of a page apart that have the same bytes. Raises OSError for one that is there and cannot be
    opened.
    """
    real = os.path.realpath(root)
    path = os.path.realpath(os.path.join(real, relative))  # noqa: PTH118 - half the time of a request with pathlib
    inside = path.startswith(real + os.sep) and f"{os.sep}." not in path[len(real) :]
    if not inside:
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        if error.errno in ABSENT:
            return None
        raise  # too many files open, or no access: nobody shall take that for a file that is not there
    file = open(descriptor, "rb", buffering=0)  # noqa: SIM115 - whoever sends it closes it
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        file.close()
        return None
    version = f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"
    return Opened(
        file=file,
        size=found.st_size,
        etag=f'"{version}-{kind}"' if kind else f'"{version}"',
        modified=formatdate(found.st_mtime, usegmt=True),
    )


@dataclass(frozen=True, kw_only=True)
class FileAnswer:
    """An answer that is a file, or a part of it. It closes the file."""

    opened: Opened
    part: Part
    headers: Mapping[str, str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it as an ASGI application. Raises ClientDisconnect, and OSError where the disk does not give it all."""
        with self.opened.file as file:
            said = {**self.opened.headers(self.part), **self.headers}
            raw = [(name.encode(), value.encode("latin-1")) for name, value in said.items()]
            await send({"type": "http.response.start", "status": self.part.status, "headers": raw})
            if scope["method"] == "HEAD" or not self.part.length:
                await send({"type": "http.response.body", "body": b""})
                return
            file.seek(self.part.start)
            if self.part.length > SMALL:
                await self._pieces(file, receive, send)
            elif len(piece := file.read(self.part.length)) == self.part.length:
                await send({"type": "http.response.body", "body": piece})
            else:
                raise OSError(SHORTER)

    async def _pieces(self, file: BinaryIO, receive: Receive, send: Send) -> None:
        """Sends a large part. The disk is read in other threads, so that a slow one keeps nobody else waiting."""
        left = self.part.length
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            while left:
                piece = await asyncio.to_thread(file.read, min(PIECE, left))
                if gone.done():
                    raise ClientDisconnect
                if not piece:
                    raise OSError(SHORTER)
                left -= len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
        finally:
            gone.cancel()


async def _until_gone(receive: Receive) -> None:
    """Ends when the client has gone; uvicorn tells it nowhere else."""
    while (await receive())["type"] != "http.disconnect":
        pass
