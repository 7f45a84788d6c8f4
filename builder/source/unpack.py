"""Source archives unpacked so that nothing is written outside: tar and zip, verified first."""

from __future__ import annotations

import lzma
import os
import stat
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from builder.errors import BuildFailure, HashFailure
from builder.files import FULL, sha256_file
from builder.wheel import DAMAGED


class BadSource(BuildFailure):
    """A source archive that cannot be unpacked, or must not be."""

    code = "bad-source"


def verify(path: Path, sha256: str, *, subject: str = "") -> None:
    """Raises HashFailure unless the file has this sha256."""
    found = sha256_file(path)
    if found != sha256:
        raise HashFailure(
            f"sha256 mismatch for {path.name}",
            subject=subject,
            why=f"Expected {sha256}, got {found}.",
            next="Nothing was unpacked. Run the command again; if it stays, the source was changed.",
        )


def unpack(archive: Path, destination: Path, *, subdirectory: str | None = None) -> Path:
    """Unpacks a tar or zip into `destination`; the source tree: the one top directory, or one below it.

    Modes of programs are kept. Raises BadSource for members that would leave `destination`, devices, links that point
    outside, and files that are no archive.
    """
    destination.mkdir(parents=True, exist_ok=True)
    try:
        if zipfile.is_zipfile(archive):
            _unzip(archive, destination)
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(destination, filter="data")
    except (tarfile.TarError, lzma.LZMAError, *DAMAGED, ValueError) as error:
        if isinstance(error, OSError) and error.errno in FULL:  # not the archive's fault
            raise
        raise BadSource(f"cannot unpack: {error}", subject=archive.name) from error
    entries = [entry for entry in destination.iterdir() if entry.name != "pax_global_header"]
    top = entries[0] if len(entries) == 1 and entries[0].is_dir() else destination
    if subdirectory is None:
        return top
    tree = (top / subdirectory).resolve()
    if not tree.is_relative_to(top.resolve()) or not tree.is_dir():
        raise BadSource(f"has no directory {subdirectory}", subject=archive.name)
    return tree


def _unzip(archive: Path, destination: Path) -> None:
    links: list[tuple[Path, str]] = []
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            mode = info.external_attr >> 16
            path = PurePosixPath(info.orig_filename)
            if path.is_absolute() or ".." in path.parts or "\\" in info.orig_filename or ":" in "".join(path.parts[:1]):
                raise BadSource(f"member {info.orig_filename!r} leaves the archive", subject=archive.name)
            if stat.S_ISLNK(mode):
                links.append((destination / path, file.read(info).decode()))
                continue
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise BadSource(f"member {info.orig_filename!r} is a device", subject=archive.name)
            written = Path(file.extract(info, destination))
            if mode & 0o111 and written.is_file():  # extract() drops modes, and configure must stay a program
                written.chmod(0o755)
    _link(links, destination, archive.name)


def _link(links: list[tuple[Path, str]], destination: Path, archive: str) -> None:
    """Makes the links of an archive when all else is written, so that nothing is written through one."""
    inside = destination.resolve()
    for path, target in links:
        if not path.parent.resolve().is_relative_to(inside):  # through a link made before
            raise BadSource(f"member {path.name!r} lies outside", subject=archive)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
    for path, target in links:  # where one leads may hang on another
        if Path(target).is_absolute() or not Path(os.path.realpath(path)).is_relative_to(inside):
            raise BadSource(
                f"member {path.relative_to(destination).as_posix()!r} links to the outside", subject=archive
            )
