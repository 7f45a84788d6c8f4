"""Sweeping: what retention lets go leaves the pages, and what no page names leaves the disk."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from builder.errors import UsageFailure
from builder.files import PARTS, disk_failures, locked
from builder.index.change import Change
from builder.index.choose import Named, branches
from builder.index.journal import Act
from builder.index.layout import FILES, METADATA, OWN, PROD, SIMPLE, Branch
from builder.index.page import Page
from builder.index.tree import LOCK, Index
from builder.index.upkeep.retention import Judged, Policy, Uses, judge

WRITING = 3600  # seconds that a part may be somebody's who is still writing


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """A file or page directory of the tree that no page leads to; `uses` are why it stays. `size` in bytes."""

    path: Path
    size: int
    uses: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What went, or would go, and what stays because it is used.

    `elsewhere` are the branches whose pages go on naming a file of a version that went, and so keep it on the disk.
    """

    versions: tuple[Judged, ...]
    leftovers: tuple[Leftover, ...]
    elsewhere: tuple[Branch, ...] = ()

    @property
    def freed(self) -> int:
        """Bytes of the disk that are free now."""
        return sum(one.size for one in self.leftovers if not one.uses)

    @property
    def changed(self) -> bool:
        """Whether anything went, or would go."""
        return any(one.goes for one in self.versions) or not all(one.uses for one in self.leftovers)

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "changed": self.changed,
            "removed": [_told(one) for one in self.versions if one.goes],
            "kept": [_told(one) for one in self.versions if not one.goes],
            "leftovers": [{"path": str(one.path), "bytes": one.size, "uses": list(one.uses)} for one in self.leftovers],
            "elsewhere": list(map(str, self.elsewhere)),
            "bytes": self.freed,
        }

    def acts(self, who: str) -> Iterator[Act]:
        """The journal's lines: one for each version that went, one for the files."""
        for one in self.versions:
            if one.goes:
                used = f", although used by {'; '.join(one.uses)}" if one.uses else ""
                yield Act(
                    op="remove",
                    who=who,
                    branches=(str(one.branch),),
                    name=one.version.name,
                    files={file.filename: file.sha256 for file in one.files},
                    detail=f"{one.version.version}{used}",
                )
        gone = [one for one in self.leftovers if not one.uses]
        if gone:
            yield Act(op="gc", who=who, detail=f"{len(gone)} files, {self.freed} bytes")


Pages = dict[tuple[Branch, str], Page]
Record = Callable[[Swept], None]


def sweep(index: Index, policy: Policy, uses: Uses, *, record: Record | None = None, dry_run: bool = False) -> Swept:
    """Takes what the policy lets go off the pages, then removes files that no page names. `record` is told before.

    Writers wait meanwhile, readers need not: pages go before files. Killed half-way, it leaves a whole index with
    leftovers, which the next one removes. Raises UsageFailure for a channel or a forced version that is not there,
    DiskFailure.
    """
    branches(index.branches(), channels=policy.channels)
    with disk_failures(index.root), nullcontext() if dry_run else locked(index.root / LOCK):
        change = Change(index)
        names = [(branch, name) for branch in index.branches() for name in index.names(branch)]
        pages = {(branch, name): change.page(branch, name) for branch, name in names}
        judged = tuple(judge(((branch, page) for (branch, _), page in pages.items()), policy, uses))
        for one in judged:
            if one.goes:
                key = one.branch, one.version.name
                pages[key] = pages[key].without(file.filename for file in one.files)
        leftovers = tuple(_leftovers(index, pages, policy, uses))
        _raise_unknown(policy, judged, leftovers, pages)
        swept = Swept(versions=judged, leftovers=leftovers, elsewhere=_elsewhere(judged, pages))
        if not dry_run:
            if record:
                record(swept)
            _draw(index, change, pages)
            change.write()
            for leftover in leftovers:
                if not leftover.uses:
                    _remove(leftover.path)
    return swept


def _leftovers(index: Index, pages: Pages, policy: Policy, uses: Uses) -> Iterator[Leftover]:
    """Wheels and METADATA that no page names, pages without their JSON, parts of killed writers."""
    for directory in sorted(index.root.glob(f"*/{FILES}")):
        profile = directory.parent.name
        of_profile = [page for (branch, _), page in pages.items() if branch.profile == profile]
        on_pages = {file.filename for page in of_profile for file in page.files}
        for path in sorted(directory.iterdir()):
            name = path.name.removesuffix(METADATA)
            if name.endswith(".whl") and name not in on_pages:
                yield from _leftover(path, uses=_uses_of(name, policy, uses))
    # Own pages that a killed writer did not finish are drawn now.
    own = {Branch(profile=OWN, channel=branch.channel).page(name) for (branch, name), page in pages.items() if page.own}
    drawn = {index.root / page for page in own}
    for simple in (*index.root.glob(f"*/{SIMPLE}"), *index.root.glob(f"*/*/{SIMPLE}")):
        for path in sorted(simple.iterdir()) if simple.parent.name != SIMPLE else ():  # not a project of that name
            if path.is_dir() and not (path / "index.json").exists() and path not in drawn:
                yield Leftover(path=path, size=0)
    for path in sorted(index.root.rglob(PARTS)):
        yield from _leftover(path, before=time.time() - WRITING)


def _leftover(path: Path, *, before: float = float("inf"), uses: tuple[str, ...] = ()) -> Iterator[Leftover]:
    """A file that was written before a time; a dry run may see it go meanwhile."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return
    if stat.st_mtime < before:
        yield Leftover(path=path, size=stat.st_size, uses=uses)


def _uses_of(filename: str, policy: Policy, uses: Uses) -> tuple[str, ...]:
    """What uses a wheel that no page names: its address in a lock still works."""
    version = _version(filename)
    return uses.of(version) if version and version not in policy.forced else ()


def _version(filename: str) -> Named | None:
    try:
        name, version, *_ = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return None
    return Named(name=name, version=version)


def _elsewhere(judged: Sequence[Judged], pages: Pages) -> tuple[Branch, ...]:
    gone = {(one.branch.profile, file.filename) for one in judged if one.goes for file in one.files}
    left = {
        branch for (branch, _), page in pages.items() for file in page.files if (branch.profile, file.filename) in gone
    }
    return tuple(sorted(left))


def _raise_unknown(policy: Policy, judged: Sequence[Judged], leftovers: Sequence[Leftover], pages: Pages) -> None:
    """Raises UsageFailure for forced versions that nothing was found of, with the channels that have them."""
    found = {one.version for one in judged} | {_version(one.path.name.removesuffix(METADATA)) for one in leftovers}
    elsewhere: dict[str, set[str]] = {}
    for one in sorted(policy.forced - found, key=str):
        there = {branch.channel for (branch, _), page in pages.items() if _names(page, one)}
        if not there:
            raise UsageFailure(f"{one} is not in this index", next="See what it has: ot2deploy index list")
        elsewhere[str(one)] = there
    if elsewhere:
        looked = f"the channels {', '.join(policy.channels)}" if policy.channels else f"the channels other than {PROD}"
        raise UsageFailure(
            f"{', '.join(elsewhere)} is not in {looked}",
            details=tuple(f"{one} is in {', '.join(sorted(there))}" for one, there in elsewhere.items()),
            next="Name the channel, too: --channel NAME",
        )


def _names(page: Page, version: Named) -> bool:
    return page.name == version.name and bool(version.files(page))


def _draw(index: Index, change: Change, pages: Pages) -> None:
    """Has every page drawn, so that what a killed writer left half-drawn is mended too."""
    for (branch, _), page in pages.items():
        change.put(branch, page)
    for channel in index.channels(OWN):
        of_channel = [branch for branch in index.branches() if branch.channel == channel]
        if not of_channel:
            change.drop(channel)
            continue
        known = {name for branch, name in pages if branch.channel == channel}
        for name in index.names(Branch(profile=OWN, channel=channel)):
            if name not in known:  # the page in the own branch goes with an empty one
                change.put(of_channel[0], Page(name=name))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _told(one: Judged) -> dict[str, Any]:
    return {
        "profile": one.branch.profile,
        "channel": one.branch.channel,
        "name": one.version.name,
        "version": str(one.version.version),
        "files": [file.filename for file in one.files],
        "uses": list(one.uses),
        "forced": one.forced,
    }
