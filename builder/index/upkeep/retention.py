"""Retention: which versions may leave an index, which stay because something uses them, and why. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from builder.errors import UsageFailure
from builder.index.choose import Named, newest_first, uploaded
from builder.index.layout import PROD, Branch
from builder.index.page import File, Page

UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@dataclass(frozen=True, kw_only=True)
class Use:
    """Something that uses a version, in words ("robot otto (prefect, release ab12)"); `sha256` are its known files."""

    what: str
    version: Named
    sha256: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Uses:
    """All known uses, found by a version or by a file's sha256."""

    uses: tuple[Use, ...] = ()

    @cached_property
    def _by_version(self) -> dict[Named, list[str]]:
        found: dict[Named, list[str]] = {}
        for use in self.uses:
            found.setdefault(use.version, []).append(use.what)
        return found

    @cached_property
    def _by_sha256(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for use in self.uses:
            for sha256 in use.sha256:
                found.setdefault(sha256, []).append(use.what)
        return found

    def of(self, version: Named, sha256: Iterable[str] = ()) -> tuple[str, ...]:
        """What uses a version or one of these files, each once, sorted."""
        by_file = (what for one in sha256 for what in self._by_sha256.get(one, ()))
        return tuple(sorted({*self._by_version.get(version, ()), *by_file}))


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Which versions go: those that fit every condition that is given; none without a condition.

    `keep`: not among so many newest good ones of their project in their branch; `older_than`: all files uploaded before
    `now` less that; `yanked`: all files yanked. It holds in `channels`, or in all but prod. Versions in `forced` go
    whatever the conditions say and whatever uses them.
    """

    now: datetime
    keep: int | None = None
    older_than: timedelta | None = None
    yanked: bool = False
    channels: tuple[str, ...] = ()
    forced: frozenset[Named] = frozenset()

    def covers(self, branch: Branch) -> bool:
        """Whether versions of a branch may go at all."""
        return branch.channel in self.channels if self.channels else branch.channel != PROD

    @property
    def has_conditions(self) -> bool:
        """Whether anything but leftovers and what is forced may go."""
        return self.keep is not None or self.older_than is not None or self.yanked


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A version in a branch that the policy would have gone; `uses` are why it stays, unless it is `forced`."""

    branch: Branch
    version: Named
    files: tuple[File, ...]
    uses: tuple[str, ...] = ()
    forced: bool = False

    @property
    def goes(self) -> bool:
        """Whether it is to be removed."""
        return self.forced or not self.uses


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    """A version on a page; `newer` counts the newer ones that are good."""

    version: Named
    files: list[File] = field(default_factory=list)
    newer: int = 0

    @property
    def yanked(self) -> bool:
        return all(file.yanked is not None for file in self.files)


def judge(pages: Iterable[tuple[Branch, Page]], policy: Policy, uses: Uses) -> Iterator[Judged]:
    """Every version that the policy would have gone, and what uses it; one pass over the pages."""
    for branch, page in pages:
        if not policy.covers(branch):
            continue
        for candidate in _candidates(page):
            forced = candidate.version in policy.forced
            if forced or _fits(candidate, policy):
                used = uses.of(candidate.version, (file.sha256 for file in candidate.files))
                yield Judged(
                    branch=branch, version=candidate.version, files=tuple(candidate.files), uses=used, forced=forced
                )


def span(text: str) -> timedelta:
    """A time span such as 12h, 90d or 8w. Raises UsageFailure."""
    found = re.fullmatch(r"([1-9][0-9]{0,4})([hdw])", text)
    if not found:
        raise UsageFailure(f"`{text}` is no time span", next="Write hours, days or weeks: 12h, 90d, 8w")
    return int(found[1]) * UNITS[found[2]]


def _candidates(page: Page) -> list[_Candidate]:
    """The versions of a page, newest first."""
    found: list[_Candidate] = []
    newer = 0
    for version, files in newest_first(page.files):
        one = _Candidate(version=Named(name=page.name, version=version), files=files, newer=newer)
        newer += not one.yanked
        found.append(one)
    return found


def _fits(candidate: _Candidate, policy: Policy) -> bool:
    before = policy.now - policy.older_than if policy.older_than is not None else None
    return (
        policy.has_conditions
        and (policy.keep is None or candidate.newer >= policy.keep)
        and (before is None or all(uploaded(file) < before for file in candidate.files))
        and (candidate.yanked or not policy.yanked)
    )
