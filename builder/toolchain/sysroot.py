"""Static libraries of the target that a few extensions link: those a recipe asks for, in a directory of their own."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.errors import BuildFailure, ConfigFailure
from builder.files import digest_of, locked, write_json
from builder.places import cache_root
from builder.profile import Profile
from builder.toolchain import apt
from builder.toolchain.library_sources import SOURCES, build_library
from builder.toolchain.pkgconfig import relocate

FORMAT = 3  # raise it when what stands in the directory changes
# What a newer glibc calls otherwise: since when, and the name before. fcntl64 differs in locks of open file
# descriptions only, which the libraries here do not take.
RENAMED = {b"fcntl64": ((2, 28), b"fcntl")}
TRIPLES = {"armv7l": "arm-linux-gnueabihf", "aarch64": "aarch64-linux-gnu", "x86_64": "x86_64-linux-gnu"}


@dataclass(frozen=True, kw_only=True)
class Library:
    """A library: the Debian package that has it, its archives (or as `called` by Debian), and what it needs in turn.

    Debian's are built for glibc 2.36, so that names change for an older one; every wheel's audit proves anew that
    nothing is lacking. Only those in C are taken: another C++ runtime would come with them.
    """

    package: str
    archives: tuple[str, ...]
    called: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()


LIBRARIES = {
    "brotli": Library(package="libbrotli-dev", archives=("libbrotlidec.a", "libbrotlienc.a", "libbrotlicommon.a")),
    "freetype": Library(package="libfreetype-dev", archives=("libfreetype.a",), needs=("brotli", "libpng", "zlib")),
    "libffi": Library(package="libffi-dev", archives=("libffi.a",)),
    "libjpeg": Library(package="libjpeg62-turbo-dev", archives=("libjpeg.a",)),
    "libpng": Library(package="libpng-dev", archives=("libpng16.a",), needs=("zlib",)),
    "libsodium": Library(package="libsodium-dev", archives=("libsodium.a",)),
    "libyaml": Library(package="libyaml-dev", archives=("libyaml.a",)),
    "openssl": Library(package="libssl-dev", archives=("libssl.a", "libcrypto.a")),
    "qhull": Library(package="libqhull-dev", archives=("libqhull_r.a",), called={"libqhull_r.a": "libqhullstatic_r.a"}),
    "yajl": Library(package="libyajl-dev", archives=("libyajl.a",), called={"libyajl.a": "libyajl_s.a"}),
    "zlib": Library(package="zlib1g-dev", archives=("libz.a",)),
}


@dataclass(frozen=True, kw_only=True)
class Sysroot:
    """A directory with include/ and lib/ of just the libraries asked for; `packages`: what they come from -> sha256."""

    path: Path
    packages: Mapping[str, str]


def prepare_sysroot(profile: Profile, libraries: tuple[str, ...], *, offline: bool = False) -> Sysroot | None:
    """The static libraries for a profile's machine, from the cache or made; None where none are asked for.

    Debian's packages of the machine where this host's apt has them, else built from source. Raises ConfigFailure for
    an unknown library, BuildFailure where there is no way.
    """
    if not libraries:
        return None
    unknown = sorted(set(libraries) - set(LIBRARIES))
    if unknown:
        raise ConfigFailure(f"unknown library {', '.join(unknown)}", next=f"Known: {', '.join(sorted(LIBRARIES))}")
    names = sorted(_with_needs(libraries))
    key = digest_of([FORMAT, names, profile.machine, profile.glibc, profile.cpu])[:12]
    directory = cache_root() / "toolchain" / f"sysroot-{profile.machine}-{key}"
    with locked(directory.with_suffix(".lock")):
        if not (directory / "packages.json").exists():
            _make(directory, names, profile, offline)
    return Sysroot(path=directory, packages=json.loads((directory / "packages.json").read_text()))


def _with_needs(names: Iterable[str]) -> set[str]:
    return {found for name in names for found in (name, *_with_needs(LIBRARIES[name].needs))}


def _make(directory: Path, names: list[str], profile: Profile, offline: bool) -> None:
    """Fills the directory and puts it in its place in one rename."""
    shutil.rmtree(directory, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".sysroot-") as name:
        fresh = Path(name) / "new"
        try:
            origin = _from_debian(Path(name) / "tree", fresh, names, profile, offline)
        except apt.NoApt as lacking:
            if not SOURCES.keys() >= set(names):
                raise
            try:
                origin = {library: build_library(library, profile, fresh, offline=offline) for library in names}
            except BuildFailure as failure:
                failure.next = failure.next or lacking.next
                raise
        (fresh / "lib" / "pkgconfig").mkdir(parents=True, exist_ok=True)
        relocate(fresh / "lib" / "pkgconfig", directory)
        write_json(fresh / "packages.json", origin)
        fresh.rename(directory)


def _from_debian(tree: Path, fresh: Path, names: list[str], profile: Profile, offline: bool) -> dict[str, str]:
    libraries = [LIBRARIES[name] for name in names]
    packages = apt.unpack([library.package for library in libraries], profile.machine, tree, offline=offline)
    include, triple = tree / "usr/include", TRIPLES[profile.machine]
    shutil.copytree(include, fresh / "include", ignore=shutil.ignore_patterns(triple))
    if (include / triple).is_dir():  # headers that differ between architectures
        shutil.copytree(include / triple, fresh / "include", dirs_exist_ok=True)
    (fresh / "lib").mkdir()
    for library in libraries:
        for archive in library.archives:
            found = tree / "usr/lib" / triple / library.called.get(archive, archive)
            (fresh / "lib" / archive).write_bytes(for_glibc(found.read_bytes(), profile.glibc or (0, 0)))
    answers = tree / "usr/lib" / triple / "pkgconfig"
    if answers.is_dir():
        shutil.copytree(answers, fresh / "lib" / "pkgconfig")
    return {package.filename: package.sha256 for package in packages}


def for_glibc(archive: bytes, glibc: tuple[int, int]) -> bytes:
    """A static library whose objects ask for names that an older glibc has; no longer than before, so nothing moves."""
    for name, (since, before) in RENAMED.items():
        if glibc < since:
            archive = archive.replace(b"\0%b\0" % name, b"\0%b\0" % before.ljust(len(name), b"\0"))
    return archive
