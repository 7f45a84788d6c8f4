"""The form of an upload, read as it comes: its file goes to disk, and of its fields only the known ones are kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from builder.index.server.parts import Refused
from builder.store import FILENAME

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FILE = "content"  # the field that has the file
MOST_OF_FIELD = 4096  # bytes; all that we look at are short
MOST_FIELDS = 64  # that are kept
ROOM = 32 << 20  # bytes for all that is not the file: twine sends the project's whole description along


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A file that came; its name is safe. `digests` are hexadecimal, by the form's names for them."""

    path: Path
    digests: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form that came whole."""

    fields: Mapping[str, tuple[str, ...]]
    file: Sent

    def one(self, name: str) -> str:
        """A field's value, "" where there is none."""
        return (self.fields.get(name) or ("",))[0]


class FormReader:
    """Takes the body of a multipart form (RFC 7578) in pieces, and writes its file into `directory`.

    `known` are the fields that are kept; the file may have `most` bytes. Whatever is called raises Refused for what is
    no upload, and OSError.
    """

    def __init__(self, content_type: str, directory: Path, *, known: frozenset[str], most: int) -> None:
        # A server's part; our own client, which needs only the names in this module, does without.
        from python_multipart import MultipartParser
        from python_multipart.exceptions import FormParserError
        from python_multipart.multipart import parse_options_header

        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise Refused(400, "this is no upload: send multipart/form-data, as twine and uv publish do")
        self._directory, self._known, self._most = directory, known, most
        self._options_of = parse_options_header
        self._fields: dict[str, list[_Field]] = {}
        self._file: _File | None = None
        self._part: _Part = _Ignored()
        self._header, self._value, self._disposition = bytearray(), bytearray(), b""
        self._size = 0
        self._whole = False
        try:
            self._parser = MultipartParser(options[b"boundary"], self._callbacks())
        except FormParserError as error:
            raise _unreadable(error) from error

    def feed(self, data: bytes) -> None:
        """One more piece of the body, of whatever size."""
        from python_multipart.exceptions import FormParserError

        self._size += len(data)
        if self._size > self._most + ROOM:
            raise too_large(self._most)
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise _unreadable(error) from error

    def form(self) -> Form:
        """What came, when all of the body has."""
        if not self._whole:
            raise Refused(400, "the upload is cut off before its end")
        if self._file is None:
            raise Refused(400, f"the upload has no file: its field is called {FILE}")
        fields = {name: tuple(one.text() for one in values) for name, values in self._fields.items()}
        return Form(fields=fields, file=self._file.sent())

    def close(self) -> None:
        """Closes the file of a form that did not come whole."""
        self._part.close()

    def _callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_data,
            "on_part_data": lambda data, start, end: self._part.write(data[start:end]),
            "on_part_end": lambda: self._part.close(),
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._part, self._disposition = _Ignored(), b""

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _begin_data(self) -> None:
        _, options = self._options_of(self._disposition)
        name = options.get(b"name", b"").decode(errors="replace")
        if name == FILE:
            if self._file:
                raise Refused(400, "an upload is one file, and this one has two")
            filename = options.get(b"filename", b"").decode(errors="replace")
            self._part = self._file = _File(_place(self._directory, filename), self._most)
        elif name in self._known:
            if sum(map(len, self._fields.values())) == MOST_FIELDS:
                raise Refused(400, "the form has too many fields")
            self._part = kept = _Field(name=name)
            self._fields.setdefault(name, []).append(kept)

    def _end(self) -> None:
        self._whole = True


class _Digest(Protocol):
    """What hashlib gives."""

    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class _Part(Protocol):
    """Where the data of a form's part go."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class _Ignored:
    """A field that nobody asks for."""

    def write(self, data: bytes) -> None:
        """Keeps nothing."""

    def close(self) -> None:
        """There is nothing to close."""


@dataclass
class _Field:
    """A field that is kept."""

    name: str
    value: bytearray = field(default_factory=bytearray)

    def write(self, data: bytes) -> None:
        self.value += data
        if len(self.value) > MOST_OF_FIELD:
            raise Refused(400, f"the field {self.name} is longer than {MOST_OF_FIELD} bytes")

    def close(self) -> None:
        """There is nothing to close."""

    def text(self) -> str:
        return self.value.decode(errors="replace").strip()


class _File:
    """The file, on its way to the disk."""

    def __init__(self, path: Path, most: int) -> None:
        self.path = path
        self._most, self._left = most, most
        self._out = path.open("wb")
        self._digests: dict[str, _Digest] = {
            "sha256_digest": hashlib.sha256(),
            "blake2_256_digest": hashlib.blake2b(digest_size=32),
            "md5_digest": hashlib.md5(usedforsecurity=False),
        }

    def write(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            raise too_large(self._most)
        self._out.write(data)
        for one in self._digests.values():
            one.update(data)

    def close(self) -> None:
        self._out.close()

    def sent(self) -> Sent:
        return Sent(path=self.path, digests={name: one.hexdigest() for name, one in self._digests.items()})


def too_large(most: int) -> Refused:
    """The refusal of a file of more than `most` bytes."""
    return Refused(413, f"the file is too large: this index takes at most {most / 1_000_000:g} MB")


def _place(directory: Path, filename: str) -> Path:
    if not FILENAME.fullmatch(filename):
        raise Refused(400, f"{filename[:80]!r} is no name of a wheel")
    if not filename.endswith(".whl"):
        raise Refused(400, f"{filename} is no wheel: robots never get an sdist, so this index takes wheels only")
    return directory / filename


def _unreadable(error: Exception) -> Refused:
    return Refused(400, f"the form of the upload cannot be read: {error}")
