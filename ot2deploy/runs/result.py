"""What a recorded command did to each robot: the result of `verify`, `rollback`, `remove`, `unlock` and others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from builder.errors import Failure
from ot2deploy import fleet
from ot2deploy.errors import EXIT_OK, EXIT_PARTIAL
from ot2deploy.fleet import Outcome
from ot2deploy.runs.record import RunRecord


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """An environment, the id of the run, and an outcome for each robot; it may have both a value and a failure.

    The environment is None for a command that is about the robots themselves, the run for one that changed nothing.
    `unrecorded` is why the run's record is not whole.
    """

    environment: str | None
    run: str | None
    outcomes: tuple[Outcome[dict[str, Any]], ...]
    unrecorded: Failure | None = None

    @classmethod
    def recorded(
        cls, environment: str | None, record: RunRecord | None, outcomes: tuple[Outcome[dict[str, Any]], ...]
    ) -> RunResult:
        """The result of a run, each outcome added to its record, which ends with them."""
        if record is None:
            return cls(environment=environment, run=None, outcomes=outcomes)
        for outcome in outcomes:
            record.add("robot", **outcome.as_dict())
        record.end(fleet.exit_code(outcome.ok for outcome in outcomes))
        return cls(environment=environment, run=record.run, outcomes=outcomes, unrecorded=record.failure)

    @property
    def exit_code(self) -> int:
        """0 when it was done on all robots and recorded, 1 on none, 3 on some."""
        of_robots = fleet.exit_code(outcome.ok for outcome in self.outcomes)
        return of_robots or (EXIT_PARTIAL if self.unrecorded else EXIT_OK)

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "environment": self.environment,
            "run": self.run,
            "robots": [outcome.as_dict() for outcome in self.outcomes],
            "unrecorded": self.unrecorded.as_dict() if self.unrecorded else None,
        }
