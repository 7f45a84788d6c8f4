"""What is on which robot: read by one shell command each, changing nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ot2deploy import fleet
from ot2deploy.fleet import Outcome
from ot2deploy.inventory import Robot
from ot2deploy.robots.probe import RobotState, read_state
from ot2deploy.transport import Session
from ot2deploy.visit import Fleet


@dataclass(frozen=True, kw_only=True)
class StatusResult:
    """The state of each robot."""

    outcomes: tuple[Outcome[RobotState], ...]

    @property
    def exit_code(self) -> int:
        """0 when every robot answered, 1 when none, 3 when some."""
        return fleet.exit_code(outcome.ok for outcome in self.outcomes)

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        return {"robots": [outcome.as_dict() for outcome in self.outcomes]}


def status(request: Fleet) -> StatusResult:
    """Asks every selected robot for its releases. An unreachable robot is an outcome, not an error."""

    def ask(session: Session, robot: Robot) -> RobotState:
        return read_state(session, robot, None)

    return StatusResult(outcomes=tuple(request.visit(ask)))
