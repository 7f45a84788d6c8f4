"""Wheels as values: what a wheel file says of itself, read without trusting it (PEP 427)."""

from __future__ import annotations

import configparser
import contextlib
import csv
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from functools import cached_property
from pathlib import Path, PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement
from packaging.tags import Tag, parse_tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from builder.errors import AuditFailure

Headers = tuple[tuple[str, str], ...]
ZIP_MAGIC = b"PK\x03\x04"
# What reading a damaged zip member may raise; NotImplementedError is an unknown compression method.
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, UnicodeDecodeError)
SOURCES = (".tar.gz", ".zip")  # of sdists (PEP 625, and before it)
SIGNATURES = ("RECORD", "RECORD.jws", "RECORD.p7s")


class NotAWheel(AuditFailure):
    """A file that is called .whl and cannot be read as one."""

    code = "not-a-wheel"


class UnsafeWheel(AuditFailure):
    """A wheel with members that would be written outside of where it is installed, or over each other."""

    code = "member-unsafe"

    def __init__(self, path: Path, members: tuple[tuple[str, str], ...]) -> None:
        self.members = members
        super().__init__(
            f"{len(members)} of its members are unsafe to unpack",
            subject=path.name,
            why="No tool writes such a wheel by accident.",
            next="Do not install it; find out where the file comes from.",
            details=tuple(f"{name}: {why}" for name, why in members),
        )


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file of a wheel: its name, size unpacked (bytes) and permission bits (0 where the zip holds none)."""

    name: str
    size: int
    mode: int


@dataclass(frozen=True, kw_only=True)
class RecordRow:
    """One line of RECORD: `digest` is urlsafe base64 without padding; None stands for a field left empty."""

    path: str
    algorithm: str | None
    digest: str | None
    size: int | None


@dataclass(frozen=True, kw_only=True)
class WheelFile:
    """A wheel that was opened: `name` and `version` are the file name's, normalised; nothing was unpacked.

    `metadata` and `wheel` are the headers of METADATA and WHEEL in their order; `members` are the files, without
    directories, in the order of the zip.
    """

    path: Path
    name: str
    version: str
    build: str
    tags: frozenset[Tag]
    dist_info: str
    metadata: Headers
    wheel: Headers
    record: tuple[RecordRow, ...]
    members: tuple[Member, ...]
    scripts: tuple[str, ...]

    @classmethod
    def open(cls, path: Path) -> WheelFile:
        """Reads a wheel's directory and its metadata files. Raises NotAWheel, UnsafeWheel (both AuditFailure)."""
        name, version, build, tags = parse_filename(path)
        with _open_zip(path) as archive:
            infos = archive.infolist()
            if unsafe := tuple(unsafe_members(infos)):
                raise UnsafeWheel(path, unsafe)
            dist_info = _dist_info(path, infos)
            files = {info.filename: info for info in infos if not info.is_dir()}
            texts = {part: _read_text(path, archive, f"{dist_info}/{part}") for part in ("METADATA", "WHEEL", "RECORD")}
            entry_points = f"{dist_info}/entry_points.txt"
            points = _read_text(path, archive, entry_points) if entry_points in files else ""
        return cls(
            path=path,
            name=name,
            version=version,
            build=build,
            tags=tags,
            dist_info=dist_info,
            metadata=_headers(texts["METADATA"]),
            wheel=_headers(texts["WHEEL"]),
            record=_record(path, texts["RECORD"]),
            members=tuple(
                Member(name=info.filename, size=info.file_size, mode=(info.external_attr >> 16) & 0o7777)
                for info in files.values()
            ),
            scripts=_scripts(points, files),
        )

    def header(self, name: str) -> str:
        """The first value of a METADATA header, or an empty string."""
        return next((value for key, value in self.metadata if key.lower() == name.lower()), "")

    def headers(self, name: str) -> tuple[str, ...]:
        """All values of a METADATA header."""
        return tuple(value for key, value in self.metadata if key.lower() == name.lower())

    @property
    def filename(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def wheel_version(self) -> str:
        """Wheel-Version, such as "1.0", or an empty string."""
        return next((value for key, value in self.wheel if key.lower() == "wheel-version"), "")

    @property
    def wheel_tags(self) -> frozenset[Tag]:
        """The tags that the WHEEL file names, compressed sets expanded; values that are no tags are left out."""
        found: set[Tag] = set()
        for key, value in self.wheel:
            if key.lower() == "tag":
                with contextlib.suppress(ValueError):
                    found |= parse_tag(value)
        return frozenset(found)

    @property
    def requires_python(self) -> str:
        """Requires-Python, or an empty string."""
        return self.header("Requires-Python")

    @cached_property
    def requires_dist(self) -> tuple[Requirement, ...]:
        """The requirements with their markers. Raises NotAWheel for one that is not PEP 508."""
        try:
            return tuple(Requirement(value) for value in self.headers("Requires-Dist"))
        except InvalidRequirement as error:
            raise NotAWheel(f"its metadata has a requirement that is none: {error}", subject=self.filename) from error

    @property
    def is_pure(self) -> bool:
        """Whether every tag is for any platform."""
        return all(tag.platform == "any" for tag in self.tags)

    @property
    def unpacked_size(self) -> int:
        """Bytes of all files unpacked."""
        return sum(member.size for member in self.members)

    @property
    def file_count(self) -> int:
        """Number of files."""
        return len(self.members)

    @cached_property
    def top_level(self) -> tuple[str, ...]:
        """Names that can be imported, sorted: packages, namespace packages, single modules, extension modules.

        Taken from the files and not from top_level.txt, which many back ends leave out and some let go stale.
        """
        return tuple(sorted({name for member in self.members if (name := _import_name(member.name))}))

    def read(self, member: str) -> bytes:
        """The bytes of one member. Raises NotAWheel when they are damaged."""
        with _open_zip(self.path) as archive:
            return _read(self.path, archive, member)

    def contents(self, *, by_name: bool = False) -> Iterator[tuple[Member, bytes | None]]:
        """Every member with its bytes, in one pass over the file or sorted by name; None where they are damaged."""
        members = sorted(self.members, key=lambda member: member.name) if by_name else self.members
        with _open_zip(self.path) as archive:
            for member in members:
                try:
                    data = archive.read(member.name)
                except DAMAGED:
                    yield member, None
                else:
                    yield member, data


def unsafe_members(infos: Iterable[zipfile.ZipInfo]) -> Iterator[tuple[str, str]]:
    """The zip members that must not be unpacked, each with the reason."""
    infos = tuple(infos)
    times = Counter(info.filename for info in infos)
    for info in infos:
        raw = info.orig_filename  # zipfile itself cuts names at a zero byte
        parts = raw.removesuffix("/").split("/")
        if raw.startswith("/") or (len(raw) > 1 and raw[1] == ":"):
            yield raw, "absolute path"
        elif "\\" in raw or "\0" in raw:
            yield raw, "backslash or zero byte in its name"
        elif ".." in parts:
            yield raw, "leaves the wheel by .."
        elif "" in parts or "." in parts:
            yield raw, "path is not normal"
        elif stat.S_ISLNK(info.external_attr >> 16):
            yield raw, "symbolic link"
        elif times[info.filename] > 1:
            yield raw, f"stands {times[info.filename]} times in the zip"


def parse_filename(path: Path) -> tuple[str, str, str, frozenset[Tag]]:
    """The normalised name, version, build number ("" without one) and tags in a wheel's name. Raises NotAWheel."""
    if path.name.endswith(SOURCES):
        raise NotAWheel(
            "it is source code, not a wheel",
            subject=path.name,
            why="Robots have no compiler, and their pip cannot unpack it.",
            next="Build its wheel, and give that: ot2deploy wheel build FILE",
        )
    try:
        name, version, build, tags = parse_wheel_filename(path.name)
    except InvalidWheelFilename as error:
        raise NotAWheel(
            "its name is not a wheel's",
            subject=path.name,
            why=f"{error}. A wheel is named name-version[-build]-python-abi-platform.whl.",
            next="Give the file the name under which it was published.",
        ) from error
    return str(name), str(version), "".join(map(str, build)), tags


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        with path.open("rb") as file:
            start = file.read(60)
        return zipfile.ZipFile(path)
    except OSError as error:
        raise NotAWheel(f"cannot be read: {error.strerror or error}", subject=path.name) from error
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        if start.startswith(ZIP_MAGIC):
            why = f"It begins as a zip file and its end is damaged ({error}): cut off on the way?"
        elif not start:
            why = "It is empty."
        else:
            text = start.decode("ascii", "replace").split("\n")[0]
            why = f"It begins with {text!r}: a placeholder or an error page in the place of the wheel?"
        raise NotAWheel("is not a zip file", subject=path.name, why=why, next="Get the file again.") from error


def _read(path: Path, archive: zipfile.ZipFile, member: str) -> bytes:
    try:
        return archive.read(member)
    except KeyError:
        raise NotAWheel(f"has no {member}", subject=path.name) from None
    except DAMAGED as error:
        raise NotAWheel(f"{member} is damaged: {error}", subject=path.name, next="Get the file again.") from error


def _read_text(path: Path, archive: zipfile.ZipFile, member: str) -> str:
    return _read(path, archive, member).decode("utf-8", "replace")


def _dist_info(path: Path, infos: list[zipfile.ZipInfo]) -> str:
    tops = {info.filename.split("/")[0] for info in infos if "/" in info.filename}
    found = sorted(top for top in tops if top.endswith(".dist-info"))
    if len(found) != 1:
        which = " and ".join(found) if found else "none"
        raise NotAWheel(f"must have one .dist-info directory, has {which}", subject=path.name)
    return found[0]


def _headers(text: str) -> Headers:
    return tuple((key, str(value)) for key, value in HeaderParser().parsestr(text).items())


def _record(path: Path, text: str) -> tuple[RecordRow, ...]:
    rows = []
    try:
        for fields in csv.reader(text.splitlines()):
            if not fields:
                continue
            name, hashed, size = (*fields, "", "")[:3]
            algorithm, _, digest = hashed.partition("=")
            rows.append(
                RecordRow(
                    path=name, algorithm=algorithm or None, digest=digest or None, size=int(size) if size else None
                )
            )
    except (csv.Error, ValueError) as error:
        raise NotAWheel(f"its RECORD cannot be read: {error}", subject=path.name) from error
    return tuple(rows)


def _scripts(entry_points: str, files: Iterable[str]) -> tuple[str, ...]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    try:
        parser.read_string(entry_points)
    except configparser.Error:
        parser.clear()  # pip finds no entry points in such a file either
    made = {name for group in ("console_scripts", "gui_scripts") if parser.has_section(group) for name in parser[group]}
    shipped = {file.split("/", 2)[2] for file in files if file.split("/")[0].endswith(".data") and "/scripts/" in file}
    return tuple(sorted(made | shipped))


def _import_name(member: str) -> str | None:
    parts = PurePosixPath(member).parts
    if parts[0].endswith(".data"):
        if len(parts) < 3 or parts[1] not in ("purelib", "platlib"):
            return None
        parts = parts[2:]
    if not parts[-1].endswith((".py", ".so", ".pyd")):
        return None
    name = parts[0] if len(parts) > 1 else parts[0].split(".")[0]
    return name if name.isidentifier() and name != "__pycache__" else None
