"""Wheels that are offered, into the branches of an index: what fits enters, all at once; the rest is told with why."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from builder.engine import Engine
from builder.errors import AuditFailure, Failure
from builder.events import Event, Report, silent
from builder.files import disk_failures, locked, sha256_bytes, sha256_file
from builder.index.change import Arrival, Change, Conflict
from builder.index.entry.admit import NotAdmitted, admit
from builder.index.entry.fitting import chosen, fits, hint, host_of
from builder.index.entry.offers import Offer
from builder.index.journal import Act
from builder.index.layout import METADATA, Branch
from builder.index.page import File
from builder.index.tree import LOCK, Index


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A wheel on a branch's page of the project `name`; `new` when it was not there before, or as another's project;
    `mended` when it was on a page, and its file missing or damaged.
    """

    branch: Branch
    name: str
    file: File
    new: bool = False
    mended: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Where it is, and what it is."""
        return {
            "branch": str(self.branch),
            "name": self.name,
            "version": self.file.version,
            "filename": self.file.filename,
            "sha256": self.file.sha256,
            "size": self.file.size,
            "own": self.file.own,
        }


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A wheel that did not enter a profile's branch ("" for none of those asked), and why."""

    filename: str
    profile: str
    failure: Failure

    def as_dict(self) -> dict[str, Any]:
        """All of it."""
        return {"filename": self.filename, "profile": self.profile, "error": self.failure.as_dict()}


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What became of the offers; `removed` are wheels that left their pages, for they were not offered again."""

    entries: tuple[Entry, ...] = ()
    refused: tuple[Refusal, ...] = ()
    removed: tuple[Entry, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether any page or file is another one now."""
        return bool(self.removed or any(entry.new or entry.mended for entry in self.entries))

    def acts(self, who: str) -> Iterator[Act]:
        """What the journal is to say: each new or removed wheel of a branch, and each that came with other bytes."""
        for entry in (*(one for one in self.entries if one.new), *self.removed):
            file = entry.file
            yield Act(
                op="upload" if entry.new else "remove",
                who=who,
                branches=(str(entry.branch),),
                name=entry.name,
                files={file.filename: file.sha256},
                detail="index build",
            )
        for one in self.refused:
            if isinstance(one.failure, Conflict):
                yield Act(op="refused", who=who, branches=(one.profile,), name=one.filename, detail=one.failure.why)


@dataclass(frozen=True, kw_only=True)
class How:
    """How wheels enter: the `channel`; whose projects they are (None: as the store knows); and whether the branches
    that get any are to `replace` what they had, so that they hold these wheels alone.
    """

    channel: str
    own: bool | None = None
    replace: bool = False


Record = Callable[[Collected], None]


def collect(
    index: Index,
    offers: Sequence[Offer],
    engine: Engine,
    how: How,
    report: Report = silent,
    *,
    record: Record | None = None,
) -> Collected:
    """Puts every offered wheel into the branches that it fits, in one change of the index. `record` is told before.

    A wheel that no profile takes, or that the audit refuses for one, is told in the result; then nothing is removed
    either. Raises DiskFailure.
    """
    judged = list(_judged(index, offers, engine, how, report))
    refused = [one for one in judged if isinstance(one, Refusal)]
    entries: dict[tuple[Branch, str], Entry] = {}  # each wheel once, however often it was offered
    removed: list[Entry] = []
    with index.change() as change:
        for branch, arrival in (one for one in judged if not isinstance(one, Refusal)):
            try:
                entry = _enter(change, branch, arrival, how.own)
            except Conflict as failure:
                refused.append(Refusal(filename=arrival.path.name, profile=branch.profile, failure=failure))
            else:
                entries.setdefault((branch, entry.file.filename), entry)
        if how.replace and not refused:
            removed += _others(index, change, entries.values())
        done = Collected(entries=tuple(entries.values()), refused=tuple(refused), removed=tuple(removed))
        if record:
            record(done)
    return done


def _judged(
    index: Index, offers: Sequence[Offer], engine: Engine, how: How, report: Report
) -> Iterator[tuple[Branch, Arrival] | Refusal]:
    """Reads wheels side by side: hashing and unpacking leave other threads free."""
    with disk_failures(index.root), locked(index.root / LOCK):  # a writer makes branches one after the other
        there = {branch.profile for branch in index.branches()}
    own = host_of(there)

    def judge(offer: Offer) -> list[tuple[Branch, Arrival] | Refusal]:
        open_to = chosen(offer.path, (*offer.profiles, *own), there) if offer.open else offer.profiles
        return list(_judge(index, replace(offer, profiles=open_to), engine, how))

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for number, found in enumerate(pool.map(judge, offers), 1):
            yield from found
            report(Event(subject="index", stage="wheels", done=number, total=len(offers)))


def _judge(index: Index, offer: Offer, engine: Engine, how: How) -> Iterator[tuple[Branch, Arrival] | Refusal]:
    path = offer.path
    fitting = [profile for profile in offer.profiles if fits(path, profile)]
    if not fitting and len(offer.profiles) > 1:
        names = ", ".join(profile.name for profile in offer.profiles)
        tags = ", ".join(sorted(map(str, parse_wheel_filename(path.name)[3])))
        failure = NotAdmitted(
            f"fits none of {names}",
            subject=path.name,
            why=f"It is for {tags}.",
            next=hint(path, offer.profiles) if offer.open else "",
        )
        yield Refusal(filename=path.name, profile="", failure=failure)
        return
    for profile in fitting or offer.profiles:
        branch = Branch(profile=profile.name, channel=how.channel)
        try:
            yield branch, _listed(index, branch, path) or admit(path, profile, engine, own=how.own)
        except AuditFailure as failure:
            failure.subject = failure.subject or path.name
            yield Refusal(filename=path.name, profile=profile.name, failure=failure)


def _listed(index: Index, branch: Branch, path: Path) -> Arrival | None:
    """A wheel that the branch has with the same bytes, its METADATA being whole: it was judged when it came."""
    try:
        name = str(parse_wheel_filename(path.name)[0])
        file = index.page(branch, name).file(path.name)
        if file is None or file.sha256 != sha256_file(path):
            return None
        metadata = index.wheel(branch.profile, f"{path.name}{METADATA}").read_bytes()
    except (InvalidWheelFilename, OSError):  # `admit` says what is wrong with it
        return None
    return Arrival(path=path, name=name, file=file, metadata=metadata) if _same(metadata, file) else None


def _same(metadata: bytes, file: File) -> bool:
    return sha256_bytes(metadata) == file.metadata


def _enter(change: Change, branch: Branch, arrival: Arrival, own: bool | None) -> Entry:
    new = change.add(branch, arrival)
    page = change.page(branch, arrival.name)
    file = page.file(arrival.file.filename) or arrival.file
    if own is not None and file.own != own:
        file, new = replace(file, own=own), True
        change.put(branch, page.with_files([file]))
    mended = (branch.profile, file.filename) in change.mended
    return Entry(branch=branch, name=arrival.name, file=file, new=new, mended=mended)


def _others(index: Index, change: Change, entries: Iterable[Entry]) -> Iterator[Entry]:
    """Takes everything else off the pages of the branches that got something."""
    given: dict[Branch, set[str]] = {}
    for entry in entries:
        given.setdefault(entry.branch, set()).add(entry.file.filename)
    for branch, filenames in given.items():
        for name in index.names(branch):
            page = change.page(branch, name)
            gone = [file for file in page.files if file.filename not in filenames]
            if gone:
                change.put(branch, page.without(file.filename for file in gone))
                yield from (Entry(branch=branch, name=name, file=file) for file in gone)
