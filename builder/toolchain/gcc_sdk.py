"""Where a GCC SDK comes from: a directory, an archive that is got once, or the distribution's own packages."""

from __future__ import annotations

import lzma
import platform
import re
import shutil
import tarfile
import zlib
from pathlib import Path

from builder.errors import UsageFailure
from builder.fetch import Fetcher
from builder.files import digest_of, locked, write_bytes, write_json
from builder.places import cache_root
from builder.run import environment, run
from builder.toolchain import apt

PINNED = re.compile(r"(?P<url>[a-z]+://.+)#sha256=(?P<sha256>[0-9a-f]{64})")
RELEASE, TRIPLE = "12", "arm-linux-gnueabihf"  # Debian 12's GCC; its libc is 2.36
DEBIAN = (
    *(f"{name}-{RELEASE}-{TRIPLE}" for name in ("gcc", "g++", "cpp")),
    f"binutils-{TRIPLE}",
    *(f"{name}-{RELEASE}-dev-armhf-cross" for name in ("libgcc", "libstdc++")),
    *(f"{name}-armhf-cross" for name in ("libc6-dev", "libc6", "linux-libc-dev", "libgcc-s1", "libstdc++6")),
)
DEBIAN_LIBRARIES = ("libisl23", "libmpc3", "libmpfr6", "libgmp10", "libzstd1", "zlib1g", "libjansson4")
LAUNCHER = """#!/bin/sh
root=${{0%/*}}/..
LD_LIBRARY_PATH="$root/usr/lib/{host}-linux-gnu" exec "$root/usr/bin/{program}" {options}"$@"
"""


def sdk_directory(place: str, *, installed: bool = True, offline: bool = False) -> Path:
    """The directory of the SDK that a name means: a path, URL#sha256=..., or debian. Got and unpacked once.

    Without `installed`, Debian's is one in a directory of its own, also where it is installed.

    Raises UsageFailure for a name that means none and what is no SDK, NetworkFailure, HashFailure, NoApt.
    """
    if place == "debian":
        return (_installed() if installed else None) or _debian(offline)
    if "://" in place:
        return _downloaded(place, offline)
    directory = Path(place).expanduser().absolute()
    if not directory.is_dir():
        raise UsageFailure(f"there is no directory {place}", next="Give an SDK's directory, its URL, or gcc:debian.")
    return directory


def _downloaded(place: str, offline: bool) -> Path:
    pinned = PINNED.fullmatch(place)
    if not pinned:
        raise UsageFailure(
            "the URL of an SDK must say which bytes are meant",
            next="Write it as gcc:URL#sha256=HEX, 64 digits; sha256sum prints them.",
        )
    directory = cache_root() / "toolchain" / f"sdk-{pinned['sha256'][:12]}"
    with locked(directory.with_suffix(".lock")):
        if not (directory / "ready").exists():
            archive = directory.with_suffix(".archive")
            Fetcher(offline=offline).download(pinned["url"], archive, sha256=pinned["sha256"])
            shutil.rmtree(directory, ignore_errors=True)
            _unpack(archive, directory)
            archive.unlink()
            write_bytes(directory / "ready", b"")
    entries = [entry for entry in directory.iterdir() if entry.is_dir()]
    return directory if (directory / "bin").is_dir() or len(entries) != 1 else entries[0]


def _unpack(archive: Path, directory: Path) -> None:
    """Unpacks an SDK at its final place and lets it write that place into its files, as Buildroot's must."""
    directory.mkdir(parents=True)
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(directory, filter=_without_strange_links)
    except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise UsageFailure(
            f"the SDK cannot be unpacked: {error}",
            why="It has the right bytes; it is no tar archive, or one that would write outside its directory.",
            next="Name the archive of the SDK itself, as Buildroot's `make sdk` writes it.",
        ) from error
    for script in (*directory.glob("relocate-sdk.sh"), *directory.glob("*/relocate-sdk.sh")):
        run(["sh", script], cwd=script.parent, env=environment(), timeout=600)


def _without_strange_links(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
    try:
        return tarfile.data_filter(member, path)
    except (tarfile.AbsoluteLinkError, tarfile.LinkOutsideDestinationError):
        return None  # a sysroot's etc/mtab and its like: of the system, not of the compiler


def _installed() -> Path | None:
    own = shutil.which(f"{TRIPLE}-g++")
    return Path(own).parent.parent if own and shutil.which(f"{TRIPLE}-gcc") else None


def _debian(offline: bool) -> Path:
    """Debian's cross compiler: its packages unpacked in the cache beside launchers."""
    host = platform.machine()
    packages = (*DEBIAN, *DEBIAN_LIBRARIES)
    directory = cache_root() / "toolchain" / f"gcc-debian-{digest_of([host, packages, LAUNCHER])[:12]}"
    with locked(directory.with_suffix(".lock")):
        if not (directory / "packages.json").exists():
            shutil.rmtree(directory, ignore_errors=True)
            fetched = apt.unpack(packages, host, directory, offline=offline)
            for name in ("gcc", "g++", "ar", "ranlib"):
                driver = name in ("gcc", "g++")
                program = f"{TRIPLE}-{name}{f'-{RELEASE}' if driver else ''}"
                text = LAUNCHER.format(host=host, program=program, options='--sysroot="$root" ' if driver else "")
                write_bytes(directory / "bin" / f"{TRIPLE}-{name}", text.encode(), mode=0o755)
            write_json(directory / "packages.json", {package.filename: package.sha256 for package in fetched})
    return directory
