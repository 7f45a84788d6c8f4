"""Reads a pack's tar, file by file. tarfile would take four times as long on a robot, for formats a pack never has.

Understood are gzip'd GNU and ustar archives of regular files and directories (POSIX.1-1988, GNU tar's `L` for long
names); everything else is an error, not a guess.
"""

from __future__ import annotations

import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

BLOCK = 512
CHUNK = 1 << 18
LONGEST_NAME = 4096
GZIP = 31  # zlib's wbits for a gzip header and its checksum


class TarError(Exception):
    """The archive is damaged, or has something in it that a pack never has."""


class Member:
    """One file or directory: `name`, `mode`, `size` in bytes, and its `content` piece by piece (to be read at once)."""

    def __init__(self, name: str, mode: int, size: int, is_directory: bool, content: Iterator[bytes]) -> None:
        self.name, self.mode, self.size, self.is_directory, self.content = name, mode, size, is_directory, content


def members(file: IO[bytes]) -> Iterator[Member]:
    """The members of a gzip'd tar, in its order. Raises TarError."""
    stream = _Inflated(file)
    long_name = b""
    while True:
        header = stream.take(BLOCK)
        if not header.strip(b"\0"):
            return
        name, mode, size, kind = _parsed(header)
        if kind == b"L":
            if size > LONGEST_NAME:
                raise TarError("a name of %d bytes" % size)
            long_name = b"".join(stream.pieces(size)).rstrip(b"\0")
            continue
        if kind not in (b"0", b"\0", b"5"):
            raise TarError("%r is neither a file nor a directory" % _text(long_name or name))
        content = stream.pieces(size)
        yield Member(_text(long_name or name), mode, size, kind == b"5", content)
        for _ in content:  # what the caller left
            pass
        long_name = b""


def _parsed(header: bytes) -> tuple[bytes, int, int, bytes]:
    try:
        mode, size = int(header[100:108].strip(b" \0") or b"0", 8), int(header[124:136].strip(b" \0") or b"0", 8)
        told = int(header[148:156].strip(b" \0"), 8)
    except ValueError as error:
        raise TarError("a header that is none") from error
    if told != sum(header) - sum(header[148:156]) + 8 * 32 or size < 0:
        raise TarError("a damaged header")
    name = header[:100].rstrip(b"\0")
    prefix = header[345:500].rstrip(b"\0") if header[257:263] == b"ustar\0" else b""
    return (prefix + b"/" + name if prefix else name), mode, size, header[156:157]


def _text(name: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TarError("a name that is not UTF-8: %r" % name) from error


class _Inflated:
    """The bytes of a gzip file, taken in pieces of any size without ever holding much of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._zlib = file, zlib.decompressobj(GZIP)
        self._held, self._at = b"", 0

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes. Raises TarError at a premature end."""
        end = self._at + size
        if end <= len(self._held):
            taken = self._held[self._at : end]
            self._at = end
            return taken
        parts = [self._held[self._at :]]
        missing = size - len(parts[0])
        while missing:
            self._held, self._at = self._next(), min(missing, CHUNK)
            taken = self._held[: self._at]
            self._at = len(taken)
            parts.append(taken)
            missing -= len(taken)
        return b"".join(parts)

    def pieces(self, size: int) -> Iterator[bytes]:
        """A member's content; the padding after it is passed over."""
        padding = -size % BLOCK
        while size:
            piece = self.take(min(size, CHUNK))
            size -= len(piece)
            yield piece
        if padding:
            self.take(padding)

    def _next(self) -> bytes:
        try:
            while True:
                if self._zlib.eof:
                    raise TarError("it ends too early")
                data = self._zlib.unconsumed_tail or self._file.read(CHUNK)
                out = self._zlib.decompress(data, CHUNK)
                if out:
                    return out
                if not data and not self._zlib.eof:
                    raise TarError("it ends too early")
        except zlib.error as error:
            raise TarError("no gzip data, or damaged: %s" % error) from error
