"""What a recorded command did to each robot: the result of `verify`, `rollback`, `remove`, `purge` and `unlock`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ot2deploy import fleet
from ot2deploy.fleet import Outcome
from ot2deploy.record import RunRecord


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """An environment, the id of the run, and an outcome for each robot; it may have both a value and a failure.

    The environment is None for a command that is about the robots themselves.
    """

    environment: str | None
    run: str
    outcomes: tuple[Outcome[dict[str, Any]], ...]

    @classmethod
    def recorded(
        cls, environment: str | None, record: RunRecord, outcomes: tuple[Outcome[dict[str, Any]], ...]
    ) -> RunResult:
        """The result of a run, each outcome added to its record."""
        for outcome in outcomes:
            record.add("robot", **outcome.as_dict())
        return cls(environment=environment, run=record.run, outcomes=outcomes)

    @property
    def exit_code(self) -> int:
        """0 when it was done on all robots, 1 on none, 3 on some."""
        return fleet.exit_code(outcome.ok for outcome in self.outcomes)

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "environment": self.environment,
            "run": self.run,
            "robots": [outcome.as_dict() for outcome in self.outcomes],
        }
