"""Zip files whose bytes depend on their contents alone: deflated by libdeflate, whatever zlib Python came with."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from builder.errors import BuildFailure, MissingExtra

LEVEL = 9  # a third of the time of zlib's 9 and one per cent smaller; 12 takes four to eight times as long for 2% more
STORED, DEFLATED = 0, 8
VERSION = 20  # of the zip format: deflate, directories
UNIX = 3 << 8  # who made it, whatever the host: else the modes would not count
DATE = (1 << 5) | 1  # 1980-01-01 in MS-DOS terms, the earliest there is
UTF_8 = 0x800
REGULAR = 0o100000
MOST_FILES, MOST_BYTES = 0xFFFF, 0xFFFFFFFF  # more needs zip64, and no wheel for a robot has it
LOCAL, CENTRAL, END = "<4sHHHHHIIIHH", "<4sHHHHHHIIIHHHHHII", "<4sHHHHIIH"


@dataclass(frozen=True, kw_only=True)
class _Written:
    """What the directory at the end says of one file: the fields that both headers have, its mode and place."""

    fields: tuple[int, ...]
    name: bytes
    mode: int
    at: int


class ZipWriter:
    """Writes files one after the other into an open file; `finish` writes the directory. Raises MissingExtra."""

    def __init__(self, file: BinaryIO) -> None:
        try:
            from deflate import deflate_compress
        except ImportError:
            raise MissingExtra("build", "deflate") from None
        self._file, self._deflate, self._written = file, deflate_compress, list[_Written]()

    def add(self, name: str, data: bytes, *, mode: int = 0o644) -> None:
        """Adds a file with permission bits; it is stored where deflating does not make it smaller."""
        packed = bytes(self._deflate(data, LEVEL)) if data else b""
        method = DEFLATED if len(packed) < len(data) else STORED
        body = packed if method == DEFLATED else data
        raw = name.encode()
        flags = 0 if name.isascii() else UTF_8
        fields = (VERSION, flags, method, 0, DATE, zlib.crc32(data), len(body), len(data), len(raw), 0)
        at = self._file.tell()
        if max(at, len(data)) > MOST_BYTES:
            raise BuildFailure(f"{name} makes a wheel of more than 4 GB, which needs zip64")
        self._written.append(_Written(fields=fields, name=raw, mode=mode, at=at))
        self._file.write(struct.pack(LOCAL, b"PK\3\4", *fields) + raw + body)

    def finish(self) -> None:
        """Writes the directory."""
        at = self._file.tell()
        for one in self._written:
            made = (UNIX | VERSION, *one.fields, 0, 0, 0, (REGULAR | one.mode) << 16, one.at)
            self._file.write(struct.pack(CENTRAL, b"PK\1\2", *made) + one.name)
        size, count = self._file.tell() - at, len(self._written)
        if count > MOST_FILES or at + size > MOST_BYTES:
            raise BuildFailure(f"{count} files of {at + size} bytes are more than a zip file can hold")
        self._file.write(struct.pack(END, b"PK\5\6", 0, 0, count, count, size, at, 0))
