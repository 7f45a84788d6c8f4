"""Channels that are no longer wanted, as those of merged git branches: dropped from all profiles."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from builder.errors import UsageFailure
from builder.index.change import Change
from builder.index.journal import Act
from builder.index.layout import PROD
from builder.index.tree import Index


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A channel that is gone: the branches that it had, and how many projects were in them; none for no change.

    `only` are the files, as profile/filename, that no other channel has: they wait for the next gc.
    """

    channel: str
    branches: tuple[str, ...]
    projects: int
    only: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "channel": self.channel,
            "branches": list(self.branches),
            "projects": self.projects,
            "only": list(self.only),
        }

    def act(self, who: str) -> Act:
        """The journal's line about it."""
        return Act(op="remove", who=who, branches=self.branches, detail=f"channel {self.channel} dropped")


Record = Callable[[Dropped], None]


def drop(index: Index, channel: str, *, record: Record | None = None, dry_run: bool = False) -> Dropped:
    """Takes a channel off the index with all its pages; wheels stay until the next gc. `record` is told before.

    Raises UsageFailure for prod, DiskFailure. A channel that is not there is no change.
    """
    if channel == PROD:
        raise UsageFailure(
            f"{PROD} cannot be dropped",
            why="It is what plain addresses show.",
            next="Remove versions: ot2deploy index gc --channel prod --keep 3",
        )
    with nullcontext(Change(index)) if dry_run else index.change() as change:
        dropped = [branch for branch in index.branches() if branch.channel == channel]
        here, elsewhere = set[str](), set[str]()
        projects = set[str]()
        for branch in index.branches():
            for page in index.pages(branch):
                listed = here if branch in dropped else elsewhere
                listed.update(f"{branch.profile}/{file.filename}" for file in page.files)
                projects.update([page.name] if branch in dropped else [])
        done = Dropped(
            channel=channel,
            branches=tuple(map(str, dropped)),
            projects=len(projects),
            only=tuple(sorted(here - elsewhere)),
        )
        if dropped:
            change.drop(channel)
        if dropped and record and not dry_run:
            record(done)
    return done
