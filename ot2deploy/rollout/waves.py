"""How many robots at a time, and how many may fail: the policy of a roll-out, and the waves that it makes. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from builder.errors import UsageFailure

SHAPE = re.compile(r"(\d+)(%?)")


@dataclass(frozen=True, kw_only=True)
class Share:
    """So many robots, or so many of a hundred."""

    number: int
    percent: bool = False

    @classmethod
    def parse(cls, text: str, option: str) -> Share:
        """A share out of "3" or "25%". Raises UsageFailure."""
        found = SHAPE.fullmatch(text.strip())
        wrong = "" if found else "is neither a number of robots nor a percentage"
        if re.fullmatch(r"-\d+%?", text.strip()):
            wrong = "is less than none"
        elif found and found[2] and int(found[1]) > 100:
            wrong = "is more than all robots"
        if found is None or wrong:
            raise UsageFailure(f"{option} {text} {wrong}", next=f"For example: {option} 25%")
        return cls(number=int(found[1]), percent=bool(found[2]))

    def at_least(self, total: int) -> int:
        """The number of robots, of `total`, a part of a robot counting as one."""
        return -(-self.number * total // 100) if self.percent else self.number

    def at_most(self, total: int) -> int:
        """The number of robots, of `total`, a part of a robot not counting."""
        return self.number * total // 100 if self.percent else self.number

    def __str__(self) -> str:
        return f"{self.number}{'%' if self.percent else ''}"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How a roll-out goes about. With a canary or batches everything is staged first and switched in waves.

    `max_fail` is how many robots may fail before it stops: None means all without waves, and none with them. With
    `all_or_none` a roll-out that stops so takes back what it has switched.
    """

    canary: Share | None = None
    batch: Share | None = None
    max_fail: Share | None = None
    all_or_none: bool = False

    def __post_init__(self) -> None:
        for share, option in ((self.canary, "--canary"), (self.batch, "--batch")):
            if share and not share.number:
                raise UsageFailure(f"{option} {share} is no robot", next=f"Leave {option} out, or give it one or more.")

    @property
    def in_waves(self) -> bool:
        """Whether robots are switched in waves, after all of them are staged."""
        return self.canary is not None or self.batch is not None

    def allowed(self, total: int) -> int:
        """How many of `total` robots may fail before the roll-out stops."""
        if self.max_fail is None:
            return 0 if self.in_waves or self.all_or_none else total
        return self.max_fail.at_most(total)


def first_wave(names: Sequence[str], policy: Policy, total: int) -> tuple[str, ...]:
    """The canary: the first of `names`, in their order; none where the policy has no canary."""
    return tuple(names[: policy.canary.at_least(total)]) if policy.canary else ()


def batches(names: Sequence[str], policy: Policy, total: int) -> tuple[tuple[str, ...], ...]:
    """The waves after the canary: `names` in their order, so many at a time; shares are of `total` robots."""
    size = policy.batch.at_least(total) if policy.batch else len(names)
    return tuple(tuple(names[at : at + size]) for at in range(0, len(names), size or 1))
