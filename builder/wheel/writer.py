"""Writing wheels, always the same bytes for the same content: fixed times, sorted members, RECORD made anew."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.errors import AuditFailure
from builder.files import replacing
from builder.wheel.file import SIGNATURES, WheelFile
from builder.wheel.zip_writer import ZipWriter

EXECUTABLE = 0o111


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file to be written: where it lies in the wheel, its bytes and permission bits."""

    name: str
    data: bytes
    mode: int = 0o644


def write_wheel(destination: Path, dist_info: str, entries: Iterable[Entry]) -> Path:
    """Writes a wheel of these files plus its RECORD, whole or not at all; `entries` come in the order wanted.

    `dist_info` is the name of the .dist-info directory. Returns `destination`.
    """
    rows: list[tuple[str, str, str]] = []
    record = f"{dist_info}/RECORD"
    with replacing(destination) as temporary, temporary.open("wb") as file:
        archive = ZipWriter(file)
        for entry in entries:
            archive.add(entry.name, entry.data, mode=entry.mode)
            rows.append((entry.name, record_hash(entry.data), str(len(entry.data))))
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([*rows, (record, "", "")])
        archive.add(record, text.getvalue().encode())
        archive.finish()
    return destination


def rewrite(
    wheel: WheelFile,
    out_dir: Path,
    *,
    platform: str | None = None,
    build: str | None = None,
    change: Callable[[str, bytes], bytes] | None = None,
    added: Iterable[Entry] = (),
) -> Path:
    """Writes a changed copy of a wheel into `out_dir`: another platform tag, build tag or content of members.

    `platform` (one tag or several joined by dots) and `build` go into the file name and WHEEL; `change` gets each
    member's name and bytes. `added` come last, instead of members of the same names. Signatures are left out, as they
    no longer hold. Raises AuditFailure for damaged members.
    """
    filename = renamed(wheel.filename, platform=platform, build=build)

    last = tuple(added)
    left_out = {*(f"{wheel.dist_info}/{part}" for part in SIGNATURES), *(entry.name for entry in last)}

    def entries() -> Iterator[Entry]:
        for member, data in wheel.contents(by_name=True):
            if data is None:
                raise AuditFailure(f"{member.name} is damaged", subject=wheel.filename, next="Get the file again.")
            if member.name in left_out:
                continue
            if member.name == f"{wheel.dist_info}/WHEEL":
                data = _wheel_headers(data, filename)
            mode = 0o755 if member.mode & EXECUTABLE else 0o644
            yield Entry(name=member.name, data=change(member.name, data) if change else data, mode=mode)
        yield from last

    return write_wheel(out_dir / filename, wheel.dist_info, entries())


def renamed(filename: str, *, platform: str | None = None, build: str | None = None) -> str:
    """A wheel's file name with another platform tag or build tag; None keeps what is there."""
    *front, python, abi, old = filename.removesuffix(".whl").split("-")
    name, version, *had = front
    number = [build] if build is not None else had
    return "-".join([name, version, *filter(None, number), python, abi, platform or old]) + ".whl"


def record_hash(data: bytes) -> str:
    """A file's hash as RECORD writes it: sha256, urlsafe base64 without padding."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _wheel_headers(data: bytes, filename: str) -> bytes:
    """WHEEL with the Tag and Build headers that the file name asks for, the other lines as they were."""
    *front, pythons, abis, platforms = filename.removesuffix(".whl").split("-")
    lines = [
        line
        for line in data.decode("utf-8", "replace").splitlines()
        if line.strip() and not line.lower().startswith(("tag:", "build:"))
    ]
    if len(front) > 2:
        lines.append(f"Build: {front[2]}")
    for python in pythons.split("."):
        for abi in abis.split("."):
            lines += [f"Tag: {python}-{abi}-{platform}" for platform in platforms.split(".")]
    return ("\n".join(lines) + "\n").encode()
