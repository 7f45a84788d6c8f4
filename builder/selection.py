"""Selection: which packages of a lock a profile needs, and their wheels in the order in which they are tried. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from packaging.markers import Marker
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from builder.errors import BuildFailure
from builder.lock import Lock, Locked, LockedFile
from builder.profile import Profile

FITS, TOO_NEW = "fits", "too-new"
MANYLINUX = re.compile(r"manylinux_2_(\d+)_(\w+)")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A wheel that a profile may get. `fit` is fits, or too-new: right but for a newer glibc in its platform tag.

    `origin` is public, index (one named by the project) or local; `size` in bytes where the index says it.
    """

    filename: str
    url: str
    sha256: str
    size: int | None
    fit: str
    origin: str = "public"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A package that a profile needs: its wheels best first, its sdist, and who wants it, from the environment down.

    `native` is True when the version has platform wheels for some machine, so that a pure one is a failed build;
    `local` when it is the user's own project or file.
    """

    name: str
    version: str
    candidates: tuple[Candidate, ...]
    sdist: LockedFile | None
    chain: tuple[str, ...]
    requested: bool
    native: bool = False
    local: bool = False


def select(lock: Lock, profile: Profile, *, local: Collection[str] = ()) -> tuple[Wanted, ...]:
    """What the profile needs of a lock, sorted by name; `local` are sha256 of the user's own files.

    Raises BuildFailure when the lock has two versions of a package for it, or one that refuses its Python.
    """
    return choose(lock.packages, profile, local=local)


def choose(packages: Iterable[Locked], profile: Profile, *, local: Collection[str] = ()) -> tuple[Wanted, ...]:
    """`select` for packages that are already parsed."""
    chosen: dict[str, Locked] = {}
    for package in packages:
        if package.marker and not Marker(package.marker).evaluate({**profile.markers, "extra": ""}):
            continue
        if package.name in chosen:
            raise BuildFailure(
                f"{package.name} is locked in two versions for {profile.name}",
                why=f"{chosen[package.name].version} and {package.version} both have markers that hold there.",
            )
        python = profile.markers["python_full_version"]
        if package.requires_python and not SpecifierSet(package.requires_python).contains(python, prereleases=True):
            raise BuildFailure(
                f"{package.name} {package.version} needs Python {package.requires_python}, {profile.name} has {python}"
            )
        chosen[package.name] = package
    return tuple(_wanted(chosen[name], chosen, profile, local) for name in sorted(chosen))


def candidates(files: Iterable[LockedFile], profile: Profile, *, origin: str = "public") -> tuple[Candidate, ...]:
    """The wheels among `files` that a profile may get: fitting ones in the order of its tags, then too-new ones.

    Among equal tags a higher build number comes first, as pip has it; too-new ones are ordered by the glibc they ask.
    """
    ranks = {tag: rank for rank, tag in enumerate(profile.tags)}
    rated = []
    for file in files:
        try:
            _, _, build, tags = parse_wheel_filename(file.filename)
        except InvalidWheelFilename:
            continue
        number = build[0] if build else -1
        if (rank := min((ranks[tag] for tag in tags if tag in ranks), default=None)) is not None:
            rated.append(((0, 0, rank, -number, file.filename), FITS, file))
        elif (newer := _newer_glibc(tags, ranks, profile)) is not None:
            rated.append(((1, *newer, -number, file.filename), TOO_NEW, file))
    return tuple(
        Candidate(filename=file.filename, url=file.url, sha256=file.sha256, size=file.size, fit=fit, origin=origin)
        for _, fit, file in sorted(rated, key=lambda row: row[0])
    )


def _newer_glibc(tags: Iterable[Tag], ranks: dict[Tag, int], profile: Profile) -> tuple[int, int] | None:
    """The lowest (glibc minor, rank) of tags that would fit if the profile's glibc were newer, or None."""
    if profile.glibc is None:
        return None
    found = []
    for tag in tags:
        match = MANYLINUX.fullmatch(tag.platform)
        if not match or match[2] != profile.machine or int(match[1]) <= profile.glibc[1]:
            continue
        rank = ranks.get(Tag(tag.interpreter, tag.abi, f"linux_{profile.machine}"))
        if rank is not None:
            found.append((int(match[1]), rank))
    return min(found, default=None)


def _wanted(package: Locked, chosen: dict[str, Locked], profile: Profile, local: Collection[str]) -> Wanted:
    def origin(file: LockedFile) -> str:
        if file.sha256 in local:
            return "local"
        return "index" if package.index or file.url.startswith("file:") else "public"

    groups = ([file for file in package.wheels if origin(file) == kind] for kind in ("local", "index", "public"))
    rated = [
        candidate
        for kind, files in zip(("local", "index", "public"), groups, strict=True)
        for candidate in candidates(files, profile, origin=kind)
    ]
    return Wanted(
        name=package.name,
        version=package.version,
        candidates=tuple(sorted(rated, key=lambda candidate: candidate.fit != FITS)),
        sdist=package.sdist,
        chain=chain(package.name, {name: locked.parents for name, locked in chosen.items()}),
        requested="" in package.parents,
        native=any(not file.filename.endswith("-none-any.whl") for file in package.wheels),
        local=any(origin(file) == "local" for file in (*package.wheels, *filter(None, [package.sdist]))),
    )


def chain(name: str, parents: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The shortest way from a requirement of the environment down to `name`, both included."""
    ways: list[tuple[str, ...]] = [(name,)]
    seen = {name}
    while ways:
        following: list[tuple[str, ...]] = []
        for way in ways:
            above = parents.get(way[0], ())
            if "" in above or not above:
                return way
            for parent in above:
                if parent in parents and parent not in seen:
                    seen.add(parent)
                    following.append((parent, *way))
        ways = following
    return (name,)
