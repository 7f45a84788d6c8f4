"""Yanking (PEP 592): a version that nobody should choose any more; who has pinned it still gets it, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from builder.errors import UsageFailure
from builder.index.change import Change
from builder.index.choose import Named, branches
from builder.index.journal import Act
from builder.index.layout import Branch
from builder.index.page import File
from builder.index.tree import Index

LONGEST = 500  # letters of a reason, which pip prints in one line


@dataclass(frozen=True, kw_only=True)
class Yank:
    """What to yank: a version, or those of its files that are named, in all branches or in those named.

    `reason` is one line, "" for none; None takes it back.
    """

    version: Named
    files: tuple[str, ...] = ()
    reason: str | None
    profiles: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Yanked:
    """A version's files in a branch, as they are now; `changed` are those that were not so before."""

    branch: Branch
    name: str
    version: str
    files: tuple[File, ...]
    changed: tuple[File, ...]

    def as_dict(self) -> dict[str, Any]:
        """The files as JSON."""
        return {
            "profile": self.branch.profile,
            "channel": self.branch.channel,
            "name": self.name,
            "version": self.version,
            "files": {file.filename: file.yanked for file in self.files},
            "changed": [file.filename for file in self.changed],
        }

    def act(self, who: str) -> Act:
        """The journal's line about it."""
        reason = self.changed[0].yanked if self.changed else None
        return Act(
            op="unyank" if reason is None else "yank",
            who=who,
            branches=(str(self.branch),),
            name=self.name,
            files={file.filename: file.sha256 for file in self.changed},
            detail=f"{self.version}: {reason}" if reason else self.version,
        )


Record = Callable[[tuple[Yanked, ...]], None]


def yank(index: Index, wanted: Yank, *, record: Record | None = None, dry_run: bool = False) -> tuple[Yanked, ...]:
    """Yanks files, or takes it back. The same again changes nothing. `record` is told before it is done.

    Raises UsageFailure for a reason that pip could not print, and for what no branch has; DiskFailure.
    """
    reason = None if wanted.reason is None else one_line(wanted.reason)
    with nullcontext(Change(index)) if dry_run else index.change() as change:
        chosen = branches(index.branches(), wanted.profiles, wanted.channels)
        found = [(branch, files) for branch in chosen if (files := _files(change, branch, wanted))]
        there = {file.filename for _, files in found for file in files}
        missing = sorted(set(wanted.files) - there) if wanted.files else [] if found else [str(wanted.version)]
        if missing:
            raise _missing(change, chosen, wanted, missing)
        yanked = tuple(_marked(change, branch, wanted.version, files, reason) for branch, files in found)
        if record and not dry_run:
            record(yanked)
        return yanked


def one_line(reason: str) -> str:
    """A reason as it may stand on a page. Raises UsageFailure."""
    text = reason.strip()
    if not text.isprintable() or len(text) > LONGEST:
        raise UsageFailure(
            f"a reason is one line of at most {LONGEST} letters", next="Shorten it; pip prints it whole."
        )
    return text


def _missing(change: Change, chosen: Sequence[Branch], wanted: Yank, missing: Sequence[str]) -> UsageFailure:
    pages = [change.page(branch, wanted.version.name) for branch in chosen]
    versions = dict.fromkeys(file.version for page in pages for file in page.files)
    return UsageFailure(
        f"{', '.join(map(str, chosen)) or 'the index'}: there is no {', '.join(missing)}",
        why=f"Of {wanted.version.name} there is {', '.join(versions) or 'nothing'}.",
        next=f"See its files: ot2deploy index list {wanted.version.name}",
    )


def _files(change: Change, branch: Branch, wanted: Yank) -> tuple[File, ...]:
    files = wanted.version.files(change.page(branch, wanted.version.name))
    return tuple(file for file in files if not wanted.files or file.filename in wanted.files)


def _marked(change: Change, branch: Branch, version: Named, files: tuple[File, ...], reason: str | None) -> Yanked:
    changed = tuple(replace(file, yanked=reason) for file in files if file.yanked != reason)
    if changed:
        change.put(branch, change.page(branch, version.name).with_files(changed))
    now = tuple(replace(file, yanked=reason) for file in files)
    return Yanked(branch=branch, name=version.name, version=str(version.version), files=now, changed=changed)
