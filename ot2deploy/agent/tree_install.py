"""Fills a release by unpacking packs: trees that pip made of each wheel on the host, with their .pyc."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import itertools
import os
import re
import sys

from ot2deploy.agent import layout, tar
from ot2deploy.agent.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import IO

PLACEHOLDER = b"#!@OT2DEPLOY_PYTHON@"
SHEBANG_LIMIT = 127  # of older kernels; pip keeps to it, too
# What makes a release one, and no wheel may bring.
RESERVED = re.compile(r"(pyvenv\.cfg|manifest\.json|complete|verified\.json|bin/python[0-9.]*)(/.*)?")
LIBRARY = re.compile(r"lib(64)?/(python[0-9.]+)(/.*)?")


def install(release: str, packs: Sequence[str]) -> None:
    """Unpacks packs, in order, into a release. Refuses what would reach outside or is no plain file."""
    made: set[str] = set()
    for path in packs:
        try:
            with open(path, "rb") as archive:
                _unpack(archive, path, release, made)
        except tar.TarError as error:
            raise _unsafe(path, "cannot be read: %s" % error) from error


def _unpack(archive: IO[bytes], pack: str, release: str, made: set[str]) -> None:
    scripts: dict[str, bytes] = {}
    records: list[str] = []
    for member in tar.members(archive):
        name = _checked(member, pack)
        target = os.path.join(release, name)
        if member.is_directory:
            _make_directory(release, name, made)
            continue
        _make_directory(release, os.path.dirname(name), made)
        if name.endswith(".dist-info/RECORD"):
            records.append(target)
        first = next(member.content, b"") if name.startswith("bin/") else b""
        if first.startswith(PLACEHOLDER):
            text = first + b"".join(member.content)
            scripts[name] = shebang(layout.interpreter(release)) + text.partition(b"\n")[2]
            _write(target, [scripts[name]], member.mode)
        else:
            _write(target, itertools.chain([first], member.content), member.mode)
    for record in records if scripts else ():
        _correct_record(record, release, scripts)


def _checked(member: tar.Member, pack: str) -> str:
    """A member's path relative to the release."""
    name = member.name.rstrip("/") if member.is_directory else member.name
    while name.startswith("./"):
        name = name[2:]
    if name in ("", ".") and member.is_directory:
        return "."
    if any(part in ("", ".", "..") for part in name.split("/")) or "\0" in name:
        raise _unsafe(pack, "%r would be written outside the release" % member.name)
    if RESERVED.fullmatch(name):
        raise _unsafe(pack, "%r belongs to the release itself" % member.name)
    library = LIBRARY.fullmatch(name)
    running = "python%d.%d" % sys.version_info[:2]
    if library and library.group(2) != running:
        raise _unsafe(pack, "%r is for %s; this robot has %s" % (member.name, library.group(2), running))
    return name


def _make_directory(release: str, name: str, made: set[str]) -> None:
    if name not in made:
        os.makedirs(os.path.join(release, name), exist_ok=True)
        made.add(name)


def _write(target: str, content: Iterable[bytes], mode: int) -> None:
    """Writes one file anew. A file of an earlier wheel is replaced, as pip does; links are never followed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(target, flags, 0o600)
    except FileExistsError:
        os.unlink(target)
        fd = os.open(target, flags, 0o600)
    try:
        for piece in content:
            view = memoryview(piece)
            while view:
                view = view[os.write(fd, view) :]
        os.fchmod(fd, mode & 0o777)
    finally:
        os.close(fd)


def shebang(interpreter: str) -> bytes:
    """The first line of a script, or the two lines of shell that stand for one too long for it (as pip writes them)."""
    path = os.fsencode(interpreter)
    if b" " not in path and len(path) + 3 <= SHEBANG_LIMIT:
        return b"#!" + path + b"\n"
    return b"#!/bin/sh\n'''exec' " + (b'"%s"' % path if b" " in path else path) + b" \"$0\" \"$@\"\n' '''\n"


def _correct_record(record: str, release: str, scripts: dict[str, bytes]) -> None:
    """Gives the rows of rewritten scripts their new hash and size; every other byte of a RECORD stays."""
    site = os.path.dirname(os.path.dirname(record))
    rows = {os.path.relpath(os.path.join(release, name), site): data for name, data in scripts.items()}
    with open(record, encoding="utf-8", newline="") as file:
        lines = file.read().splitlines(keepends=True)
    for index, line in enumerate(lines):
        path = next(csv.reader([line]), [""])[0] if "bin/" in line else ""
        if path in rows:
            digest = base64.urlsafe_b64encode(hashlib.sha256(rows[path]).digest()).rstrip(b"=").decode()
            out = io.StringIO()
            ending = line[len(line.rstrip("\r\n")) :]
            csv.writer(out, lineterminator=ending).writerow([path, "sha256=" + digest, len(rows[path])])
            lines[index] = out.getvalue()
    with open(record, "w", encoding="utf-8", newline="") as file:
        file.write("".join(lines))


def _unsafe(pack: str, what: str) -> Refusal:
    return Refusal(
        "pack-unsafe", "%s: %s" % (os.path.basename(pack), what),
        why="A pack holds the files that pip made of one wheel, and nothing else.",
        next="Push with --install-method pip, and report this.",
    )  # fmt: skip
