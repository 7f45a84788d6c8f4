"""What a push did, robot by robot: the values behind the final table and behind --json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.errors import Failure
from ot2deploy import fleet
from ot2deploy.errors import CheckFailed
from ot2deploy.rollout.deploy import Deployment
from ot2deploy.rollout.plan import Plan


@dataclass(frozen=True, kw_only=True)
class RobotResult:
    """One row of the final table."""

    robot: str
    outcome: str  # "pushed", "verified", "switched", "no change", "planned" or "failed"
    plan: Plan | None = None
    deployment: Deployment | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    failure: Failure | None = None

    @property
    def checks(self) -> tuple[Mapping[str, Any], ...]:
        """The results of the checks that were run, also of those that stopped the push."""
        if isinstance(self.failure, CheckFailed):
            return tuple(self.failure.results)
        return self.deployment.checks if self.deployment else ()

    def as_dict(self) -> dict[str, Any]:
        """The row as JSON."""
        done = self.deployment
        return {
            "robot": self.robot,
            "outcome": self.outcome,
            "plan": self.plan.as_dict() if self.plan else None,
            "method": done.method if done else None,
            "sent": done.sent if done else 0,
            "reused": done.reused if done else 0,
            "bytes_sent": done.bytes_sent if done else 0,
            "previous": done.previous if done else None,
            "checks": [dict(check) for check in self.checks],
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "error": self.failure.as_dict() if self.failure else None,
        }


@dataclass(frozen=True, kw_only=True)
class PushResult:
    """What a push did: the environment, where it came from, a row per robot, and the run's record."""

    environment: str
    origin: str
    run: str | None
    record: Path | None
    rows: tuple[RobotResult, ...]
    seconds: float

    @property
    def exit_code(self) -> int:
        """0 all robots are as wanted, 1 none, 3 some."""
        return fleet.exit_code(row.failure is None for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "environment": self.environment,
            "origin": self.origin,
            "run": self.run,
            "record": str(self.record) if self.record else None,
            "seconds": round(self.seconds, 3),
            "robots": [row.as_dict() for row in self.rows],
        }
