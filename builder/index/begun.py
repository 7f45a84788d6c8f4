"""What a command begins in an index beside what it was asked for: the index itself, channels, branches. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from builder.index.layout import PROD, Branch


@dataclass(frozen=True, kw_only=True)
class Begun:
    """What was not there before: the `index`, `channels`, and `branches` of channels that were there; `like` says of a
    channel which other one may have been meant. Of a new index only that is told.
    """

    index: bool = False
    channels: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    like: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """All of it."""
        return {
            "index": self.index,
            "channels": list(self.channels),
            "branches": list(self.branches),
            "like": dict(self.like),
        }

    def lines(self, where: object) -> tuple[str, ...]:
        """All of it in words; the index is in `where`."""
        meant = {name: f"; did you mean {other}?" for name, other in self.like}
        return (
            *([f"new index in {where}"] if self.index else []),
            *(f"new channel {name}{meant.get(name, '')}" for name in self.channels),
            *(f"new branch {name}" for name in self.branches),
        )


def begun(before: Sequence[Branch] | None, now: Iterable[Branch]) -> Begun:
    """What of the branches that there are `now` was not there `before`; None for no index at all."""
    new = sorted(set(now) - set(before or ()))
    known = sorted({PROD, *(branch.channel for branch in before or ())})
    channels = tuple(sorted({branch.channel for branch in new} - set(known)))
    close = [(name, get_close_matches(name, known, 1)) for name in channels]
    told = before is not None
    return Begun(
        index=not told,
        channels=channels,
        branches=tuple(str(branch) for branch in new if told and branch.channel in known),
        like=tuple((name, found[0]) for name, found in close if found),
    )
