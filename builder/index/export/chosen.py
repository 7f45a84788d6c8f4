"""What an export is to hold: pages and where their wheels are, of an index or of bundles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from builder.bundle import Bundle
from builder.engine import Engine
from builder.errors import BuildFailure, UsageFailure
from builder.files import sha256_bytes
from builder.index.change import Arrival, Conflict
from builder.index.choose import branches
from builder.index.entry.admit import admit
from builder.index.layout import METADATA, Branch
from builder.index.page import File, Page
from builder.index.tree import Index
from builder.profile import Profile


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Pages of branches, and by profile and file name the wheels that they name.

    `targets` says of what the wheels are the closure, each as a row of the manifest; without any it is an index's copy.
    """

    pages: Mapping[Branch, tuple[Page, ...]]
    wheels: Mapping[tuple[str, str], Arrival]
    targets: tuple[Mapping[str, Any], ...] = ()

    @property
    def profiles(self) -> tuple[str, ...]:
        """The profiles that there is something for, sorted."""
        return tuple(sorted({branch.profile for branch in self.pages}))


def of_index(index: Index, profiles: Sequence[str] = (), channels: Sequence[str] = ()) -> Chosen:
    """All of an index, or some of its profiles and channels.

    Raises UsageFailure where it has nothing of one of them, BuildFailure for a damaged one.
    """
    made = _Making()
    for branch in branches(index.branches(), profiles, channels):
        for page in index.pages(branch):
            for file in page.files:
                made.add(branch, _arrival(index, branch, page, file))
    if not made.pages:
        raise UsageFailure(f"the index in {index.root} has no wheel to export", next="Run: ot2deploy index build")
    return made.chosen()


def of_bundles(
    bundles: Iterable[tuple[str, Profile, Bundle]], engine: Engine, channel: str, before: Index | None = None
) -> Chosen:
    """The wheels of bundles, each with the target that it was made of and its profile, in one channel.

    What an index had `before` keeps its day. Raises NotAdmitted, Conflict where two bundles differ in a file, and
    UsageFailure where there is no wheel at all.
    """
    made, targets = _Making(), []
    for target, profile, bundle in bundles:
        branch = Branch(profile=profile.name, channel=channel)
        for blob in bundle.blobs:
            arrival = admit(blob.path, profile, engine)
            known = before.page(branch, arrival.name).file(blob.filename) if before else None
            same = known is not None and known.sha256 == blob.sha256
            made.add(branch, replace(arrival, file=known) if known and same else arrival)
        targets.append(
            {
                "target": target,
                "environment": bundle.environment,
                "profile": profile.name,
                "digest": bundle.digest,
                "requirements": list(bundle.manifest["requirements"]),
            }
        )
    if not made.pages:
        raise UsageFailure("there is nothing to export", why="These targets need no wheel.")
    return made.chosen(targets)


@dataclass(kw_only=True)
class _Making:
    pages: dict[tuple[Branch, str], Page] = field(default_factory=dict)
    wheels: dict[tuple[str, str], Arrival] = field(default_factory=dict)

    def add(self, branch: Branch, arrival: Arrival) -> None:
        file = arrival.file
        known = self.wheels.setdefault((branch.profile, file.filename), arrival)
        if known.file.sha256 != file.sha256:
            raise Conflict(
                f"two different wheels for {branch.profile} have this name",
                subject=file.filename,
                why=f"Their sha256 are {known.file.sha256} and {file.sha256}.",
                next="Export one target at a time, or make their bundles anew on one computer.",
            )
        page = self.pages.get((branch, arrival.name), Page(name=arrival.name))
        self.pages[branch, arrival.name] = page.with_files([file])

    def chosen(self, targets: Iterable[Mapping[str, Any]] = ()) -> Chosen:
        by_branch: dict[Branch, list[Page]] = {}
        for (branch, _), page in sorted(self.pages.items()):
            by_branch.setdefault(branch, []).append(page)
        pages = {branch: tuple(found) for branch, found in by_branch.items()}
        return Chosen(pages=pages, wheels=self.wheels, targets=tuple(targets))


def _arrival(index: Index, branch: Branch, page: Page, file: File) -> Arrival:
    """A wheel of an index as its page has it. Raises BuildFailure where the wheel or its METADATA is not in order."""
    path = index.wheel(branch.profile, file.filename)
    metadata = _read(path.with_name(f"{file.filename}{METADATA}"))
    if not path.is_file() or metadata is None or sha256_bytes(metadata) != file.metadata:
        raise BuildFailure(
            f"its file in {path.parent} is damaged or gone",
            subject=file.filename,
            next="Put the wheel into the index again: ot2deploy index build WHEEL",
        )
    return Arrival(path=path, name=page.name, file=file, metadata=metadata)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
