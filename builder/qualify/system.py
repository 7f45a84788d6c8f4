"""A small 32-bit ARM Debian to run things in: its packages unpacked into the cache; nothing is installed."""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from builder.checks.facts import machine
from builder.errors import BuildFailure
from builder.files import digest_of, locked, write_json
from builder.places import cache_root
from builder.toolchain import apt

NAME, MINOR, MACHINE = "debian-12-armhf", "3.11", "armv7l"
FORMAT = 1  # raise it when the same packages shall be laid out anew
# CPython with its whole standard library, what that links, and the data that packages look for. libstdc++ and libgcc
# are on every robot; distutils is a package of its own in Debian and part of a robot's Python.
PACKAGES = (
    "ca-certificates", "libbz2-1.0", "libc6", "libcom-err2", "libcrypt1", "libdb5.3", "libexpat1", "libffi8",
    "libgcc-s1", "libgssapi-krb5-2", "libk5crypto3", "libkeyutils1", "libkrb5-3", "libkrb5support0", "liblzma5",
    "libncursesw6", "libnsl2", f"libpython{MINOR}-minimal", f"libpython{MINOR}-stdlib", "libreadline8", "libsqlite3-0",
    "libssl3", "libstdc++6", "libtinfo6", "libtirpc3", "libuuid1", "media-types", "netbase", "python3-distutils",
    "python3-lib2to3", f"python{MINOR}", f"python{MINOR}-minimal", "tzdata", "zlib1g",
)  # fmt: skip
QEMU = ("qemu-arm-static", "qemu-arm")
QEMU_PACKAGE = "qemu-user-static"


class NoEmulation(BuildFailure):
    """This computer cannot run 32-bit ARM programs."""

    code = "no-emulation"


@dataclass(frozen=True, kw_only=True)
class System:
    """The unpacked system: its root directory, and the packages (file names with versions) that are in it."""

    root: Path
    packages: tuple[str, ...]


def prepare(*, offline: bool = False) -> System:
    """The system, from the cache or unpacked now. Raises NoApt or OfflineFailure where it cannot be had."""
    directory = cache_root() / "qualify" / f"{NAME}-{digest_of([FORMAT, PACKAGES])[:12]}"
    with locked(directory.with_suffix(".lock")):
        if not (directory / "packages.json").exists():
            _unpack(PACKAGES, MACHINE, directory, offline=offline)
    return System(root=directory, packages=tuple(json.loads((directory / "packages.json").read_text())))


def find_qemu(*, offline: bool = False) -> Path:
    """QEMU's user emulation of 32-bit ARM: on PATH, else Debian's package for this computer, unpacked into the cache.

    Raises NoEmulation, NoApt or OfflineFailure with what to install.
    """
    for name in QEMU:
        if found := shutil.which(name):
            return Path(found)
    if platform.system() != "Linux" or machine() not in apt.ARCHITECTURES:
        raise NoEmulation(
            "32-bit ARM programs cannot be run on this computer",
            why=f"QEMU emulates single programs on Linux only; this is {platform.system()} {platform.machine()}.",
            next="Qualify on a Linux computer, or push to a simulated robot: ot2deploy sim up",
        )
    directory = cache_root() / "qualify" / QEMU_PACKAGE
    program = directory / "usr" / "bin" / QEMU[0]
    with locked(directory.with_suffix(".lock")):
        if not program.exists():
            _unpack((QEMU_PACKAGE,), machine(), directory, offline=offline)
    return program


def _unpack(packages: Iterable[str], architecture: str, directory: Path, *, offline: bool) -> None:
    """Unpacks packages into a directory that is not there until all of them are."""
    shutil.rmtree(directory, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".unpack-") as name:
        fresh = Path(name) / "new"
        fetched = apt.unpack(tuple(packages), architecture, fresh, offline=offline)
        _join_certificates(fresh)
        write_json(fresh / "packages.json", [package.filename for package in fetched])
        fresh.rename(directory)


def _join_certificates(root: Path) -> None:
    """Writes the one file of all certificates, which Debian makes when the package is installed."""
    pieces = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    if pieces:
        bundle = root / "etc/ssl/certs/ca-certificates.crt"
        bundle.parent.mkdir(parents=True, exist_ok=True)
        bundle.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
