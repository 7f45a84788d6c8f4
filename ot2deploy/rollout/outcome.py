"""What a push did, robot by robot: the values behind the final table and behind --json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.errors import Failure
from builder.signing import Signer
from ot2deploy.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_PARTIAL,
    EXIT_ROLLED_BACK,
    CheckFailed,
    RolledBack,
)
from ot2deploy.rollout.clock import Span
from ot2deploy.rollout.deploy import Deployment
from ot2deploy.rollout.importable import Importable
from ot2deploy.rollout.plan import Plan
from ot2deploy.runs import DONE

CURRENT = frozenset(DONE)  # the release is current on the robot
GOOD = CURRENT | {"planned"}


@dataclass(frozen=True, kw_only=True)
class RobotResult:
    """One row of the final table.

    `outcome` is "pushed", "switched", "verified", "no change" or "planned" (a dry run); "staged" (it is on the robot,
    and not current), "stopped" (before it was staged), "rolled back" (it was current for a moment), "failed" or
    "not tried". `note` says why, where that is no failure. `seconds` are those of each stage, `spans` when it was.
    `signer` is who signed the bundle, of those whom the inventory allows.
    `kernel` is the one that its Jupyter was given, `restarted` whether it was.
    """

    robot: str
    outcome: str
    plan: Plan | None = None
    deployment: Deployment | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    failure: Failure | None = None
    note: str = ""
    signer: Signer | None = None
    kernel: str = ""
    restarted: bool = False
    spans: tuple[Span, ...] = ()

    @property
    def is_current(self) -> bool:
        """Whether what was pushed is the robot's current release."""
        return self.outcome in CURRENT

    @property
    def good(self) -> bool:
        """Whether the robot is as wanted."""
        return self.outcome in GOOD and self.failure is None

    @property
    def checks(self) -> tuple[Mapping[str, Any], ...]:
        """The results of the checks that were run, also of those that stopped the push."""
        if isinstance(self.failure, CheckFailed | RolledBack) and self.failure.results:
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
            "note": self.note,
            "signer": self.signer.as_dict() if self.signer else None,
            "kernel": self.kernel or None,
            "restarted": self.restarted,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "spans": [[span.stage, round(span.began, 3), round(span.ended, 3)] for span in self.spans],
            "error": self.failure.as_dict() if self.failure else None,
        }


@dataclass(frozen=True, kw_only=True)
class PushResult:
    """What a push did: the environment, where it came from, a row per robot, and the run's record.

    `waves` are the robots that were switched together, `stopped` why it ended before all of them were tried,
    `unrecorded` why the record is not whole.
    `importable` says where the environment can be used now, None where no robot has it.
    """

    environment: str
    origin: str
    run: str | None
    record: Path | None
    rows: tuple[RobotResult, ...]
    seconds: float
    waves: tuple[tuple[str, ...], ...] = ()
    stopped: str = ""
    interrupted: bool = False
    unrecorded: Failure | None = None
    importable: Importable | None = None

    @property
    def exit_code(self) -> int:
        """0 all robots are as wanted, 4 a release was taken back, 1 no robot is as wanted, 3 some; 130 interrupted."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        if any(row.outcome == "rolled back" for row in self.rows):
            return EXIT_ROLLED_BACK
        good = sum(row.good for row in self.rows)
        if good == len(self.rows):
            return EXIT_PARTIAL if self.unrecorded else EXIT_OK
        return EXIT_PARTIAL if good else EXIT_FAILED

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "environment": self.environment,
            "origin": self.origin,
            "run": self.run,
            "record": str(self.record) if self.record else None,
            "seconds": round(self.seconds, 3),
            "waves": [list(wave) for wave in self.waves],
            "stopped": self.stopped,
            "unrecorded": self.unrecorded.as_dict() if self.unrecorded else None,
            "importable": self.importable.as_dict() if self.importable else None,
            "robots": [row.as_dict() for row in self.rows],
        }
