"""What is published of an index: a complete static tree of its own, every file with its sha256, in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from builder.events import Report, silent
from builder.files import sha256_bytes
from builder.index.export.chosen import Chosen
from builder.index.export.export import FRONT, export
from builder.index.export.manifest import SUMS, sums
from builder.index.front import front
from builder.index.layout import FILES, METADATA, OWN, SIMPLE, Branch
from builder.index.page import Page
from builder.index.tree import LOCK

PAGES = ("index.html", "index.json")


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A file that is published: its path relative to the root, with slashes; `size` in bytes."""

    path: str
    sha256: str
    size: int

    @property
    def lasting(self) -> bool:
        """Whether it is a wheel or its METADATA, which never change under one name."""
        return self.path.split("/")[1:2] == [FILES]


@dataclass(frozen=True, kw_only=True)
class Publication:
    """A tree to publish, in the directory `root`: `files` in the order in which they are to appear.

    `pages` are what its branches list; `whole` where they are all that the index has of their profiles.
    """

    root: Path
    files: tuple[Listed, ...]
    pages: Mapping[Branch, tuple[Page, ...]]
    whole: bool

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The branches, sorted."""
        return tuple(sorted(self.pages))

    @property
    def wheels(self) -> int:
        """How many wheels there are."""
        return sum(file.path.endswith(".whl") for file in self.files)

    @property
    def tops(self) -> tuple[str, ...]:
        """The names right below the root."""
        return tuple(dict.fromkeys(file.path.split("/")[0] for file in self.files))


def prepare(
    chosen: Chosen, root: Path, *, flat: bool = False, whole: bool = True, root_url: str = "", report: Report = silent
) -> Publication:
    """The publication of what was chosen, drawn as an export in the new directory `root`; see `builder.index.export`.

    Own pages and the first page list the chosen branches alone. Raises BuildFailure, DiskFailure.
    """
    export(chosen, root, flat=flat, root_url=root_url, report=report)
    (root / LOCK).unlink()  # nobody else writes here, and a program that is given the tree would publish it
    rows = [line.split("  ", 1) for line in (root / SUMS).read_text(encoding="utf-8").splitlines()]
    files = [_listed(root, path, sha256) for sha256, path in rows]
    return _with_sums(Publication(root=root, files=_in_order(files), pages=chosen.pages, whole=whole))


def with_front(publication: Publication, there: Iterable[str]) -> Publication:
    """The publication with a first page that also names the branches whose pages are `there` already, by path."""
    found = {branch for path in there if (branch := branch_of(path)) and branch.profile != OWN}
    data = front(sorted({*publication.branches, *found}))
    (publication.root / FRONT).write_bytes(data)
    new = _listed(publication.root, FRONT, sha256_bytes(data))
    files = tuple(new if file.path == FRONT else file for file in publication.files if file.path != SUMS)
    return _with_sums(replace(publication, files=files))


def branch_of(path: str) -> Branch | None:
    """The branch that a page belongs to, by the page's path; None for every other file."""
    match PurePosixPath(path).parts:
        case (profile, "simple", *names, last) if last in PAGES and len(names) <= 1:
            return Branch(profile=profile)
        case (profile, channel, "simple", *names, last) if last in PAGES and len(names) <= 1:
            return Branch(profile=profile, channel=channel)
    return None


def stale(publication: Publication, there: Iterable[str]) -> tuple[str, ...]:
    """What is there and is of the kind that is published, but is no longer: pages before the wheels that they name.

    A file that an index has no place for is never one of them, nor one of another profile, nor, where only some of a
    profile's channels are published, a wheel or a page of the others. Pure.
    """
    ours = {file.path for file in publication.files}
    profiles = {branch.profile for branch in publication.branches}
    channels = {branch.channel for branch in publication.branches}
    gone: list[tuple[bool, bool, str]] = []  # wheels last, and of pages those of the own branch
    for path in set(there) - ours:
        branch = branch_of(path)
        if branch and branch.profile in {*profiles, OWN}:
            if publication.whole or branch.channel in channels:
                gone.append((False, branch.profile == OWN, path))
        elif publication.whole and _is_wheels(path, profiles):
            gone.append((True, False, path))
    return tuple(path for _, _, path in sorted(gone))


def _is_wheels(path: str, profiles: set[str]) -> bool:
    match PurePosixPath(path).parts:
        case (profile, directory, name):
            return profile in profiles and directory == FILES and name.endswith((".whl", f".whl{METADATA}"))
    return False


def _listed(root: Path, path: str, sha256: str) -> Listed:
    return Listed(path=path, sha256=sha256, size=(root / path).stat().st_size)


def _in_order(files: Iterable[Listed]) -> tuple[Listed, ...]:
    """Wheels, projects' pages, lists of projects, the rest: whoever follows a link finds what it leads to.

    Of pages those of the own branch come first: a private name that is missing there is looked up elsewhere.
    """

    def order(file: Listed) -> tuple[int, bool, str]:
        parts = PurePosixPath(file.path).parts
        rank = 1 if file.lasting else 4 if len(parts) == 1 else 3 if parts[-2] == SIMPLE else 2
        return rank, parts[0] != OWN, file.path

    return tuple(sorted(files, key=order))


def _with_sums(publication: Publication) -> Publication:
    """The publication with the sums of its files, written anew, as the last of them."""
    data = sums({file.path: file.sha256 for file in publication.files})
    (publication.root / SUMS).write_bytes(data)
    return replace(publication, files=(*publication.files, _listed(publication.root, SUMS, sha256_bytes(data))))
