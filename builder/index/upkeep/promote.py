"""Promotion: the same files, with the same sha256, enter another channel; nothing is copied."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from packaging.version import Version

from builder.errors import BuildFailure, UsageFailure
from builder.index.change import Change
from builder.index.choose import Named, branches, newest_first
from builder.index.journal import Act
from builder.index.layout import Branch
from builder.index.page import File, Page
from builder.index.tree import Index


class PromotionRefused(BuildFailure):
    """Something of what was to be promoted cannot be; nothing was. `details` are the reasons."""

    code = "promotion-refused"


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """What to promote: `names` from the channel `source` to `target`; without names everything that is good there.

    Without `profiles` it is done in all that have something of it. A name without a version means the newest one.
    """

    names: tuple[Named, ...]
    source: str
    target: str
    profiles: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A version's good files, in the target's branch; `new` are those that were not there before."""

    branch: Branch
    name: str
    version: str
    files: tuple[File, ...]
    new: tuple[File, ...]

    def as_dict(self) -> dict[str, Any]:
        """The version as JSON."""
        return {
            "profile": self.branch.profile,
            "name": self.name,
            "version": self.version,
            "files": {file.filename: file.sha256 for file in self.files},
            "new": [file.filename for file in self.new],
        }

    def act(self, who: str, source: str) -> Act:
        """The journal's line about it."""
        return Act(
            op="promote",
            who=who,
            branches=(str(Branch(profile=self.branch.profile, channel=source)), str(self.branch)),
            name=self.name,
            files={file.filename: file.sha256 for file in self.new},
            detail=f"{self.version} from {source} to {self.branch.channel}",
        )


@dataclass(frozen=True, kw_only=True)
class _Picked:
    """A version in a branch of the source, or why it cannot be had from there."""

    branch: Branch
    name: str
    version: str = ""
    files: tuple[File, ...] = ()
    problem: str = ""


Record = Callable[[tuple[Moved, ...]], None]


def promote(
    index: Index, wanted: Promotion, *, record: Record | None = None, dry_run: bool = False
) -> tuple[Moved, ...]:
    """Promotes all of it or nothing. The same again changes nothing. `record` is told before it is done.

    Raises UsageFailure for a channel or profile that is not there, PromotionRefused for versions that are missing or
    yanked, DiskFailure.
    """
    if wanted.source == wanted.target:
        raise UsageFailure(f"both channels are {wanted.source}", next="Name two, as in: --from dev --to prod")
    with nullcontext(Change(index)) if dry_run else index.change() as change:
        chosen = branches(index.branches(), wanted.profiles, [wanted.source])
        picked = [one for name in _names(change, index, wanted, chosen) for one in _pick(change, wanted, chosen, name)]
        problems = [one.problem or _problem(index, change, one, wanted.target) for one in picked]
        if any(problems):
            raise PromotionRefused(
                f"nothing was promoted from {wanted.source} to {wanted.target}",
                details=tuple(dict.fromkeys(filter(None, problems))),
                next="See what the index has: ot2deploy index list",
            )
        moved = tuple(_move(change, one, wanted.target) for one in picked)
        if record and not dry_run:
            record(moved)
        return moved


def _names(change: Change, index: Index, wanted: Promotion, chosen: Sequence[Branch]) -> Sequence[Named]:
    """What was named, or every good version of the source."""
    if wanted.names:
        return wanted.names
    pages = [change.page(branch, name) for branch in chosen for name in index.names(branch)]
    found = {(page.name, Version(file.version)) for page in pages for file in page.files if file.yanked is None}
    return [Named(name=name, version=version) for name, version in sorted(found)]


def _pick(change: Change, wanted: Promotion, chosen: Sequence[Branch], name: Named) -> Iterator[_Picked]:
    """The version that is meant in each branch; a branch need not have it unless its profile was named."""
    pages = [(branch, change.page(branch, name.name)) for branch in chosen]
    all_of_it = [(branch, file) for branch, page in pages for file in name.files(page)]
    good_ones = newest_first(file for _, file in all_of_it if file.yanked is None)
    of_version = Named(name=name.name, version=name.version or (good_ones[0][0] if good_ones else None))
    for branch, page in pages:
        files = of_version.files(page)
        good = tuple(file for file in files if file.yanked is None)
        if good:
            yield _Picked(branch=branch, name=name.name, version=str(of_version.version), files=good)
        elif files:
            yield _Picked(branch=branch, name=name.name, problem=_yanked(of_version, branch, files[-1]))
        elif not all_of_it or (wanted.profiles and wanted.names):
            yield _Picked(branch=branch, name=name.name, problem=_missing(of_version, branch, page))


def _missing(name: Named, branch: Branch, page: Page) -> str:
    versions = ", ".join(dict.fromkeys(file.version for file in page.files))
    return f"{branch} does not have {name}" + (f"; it has {versions}" if versions else "")


def _yanked(name: Named, branch: Branch, file: File) -> str:
    what = str(name) if name.version else f"every version of {name}"
    return f"{what} is yanked in {branch}" + (f": {file.yanked}" if file.yanked else "")


def _problem(index: Index, change: Change, picked: _Picked, channel: str) -> str:
    """Why the files may not enter the target; "" where they may."""
    target = Branch(profile=picked.branch.profile, channel=channel)
    page = change.page(target, picked.name)
    for file in picked.files:
        there = page.file(file.filename)
        if there and there.yanked is not None:
            return _yanked(Named(name=picked.name, version=Version(picked.version)), target, there)
        if not index.wheel(target.profile, file.filename).is_file():
            return f"{file.filename} is missing in the index: upload it again"
    return ""


def _move(change: Change, picked: _Picked, channel: str) -> Moved:
    target = Branch(profile=picked.branch.profile, channel=channel)
    page = change.page(target, picked.name)
    new = tuple(file for file in picked.files if page.file(file.filename) is None)
    if new:
        change.put(target, page.with_files(new))
    return Moved(branch=target, name=picked.name, version=picked.version, files=picked.files, new=new)
