"""What is on which robot, and what should not be so: read by one shell command each, changing nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ot2deploy import advice, fleet
from ot2deploy import drift as drifts
from ot2deploy.drift import Drift
from ot2deploy.fleet import Outcome
from ot2deploy.inventory import Robot
from ot2deploy.robots.probe import RobotState, read_state
from ot2deploy.runs.last_known import Known, last_known
from ot2deploy.transport import Session
from ot2deploy.visit import Fleet


@dataclass(frozen=True, kw_only=True)
class StatusResult:
    """The state of each robot; with `drift`, by robot, what differs from what was verified and pushed."""

    outcomes: tuple[Outcome[RobotState], ...]
    drift: Mapping[str, tuple[Drift, ...]] | None = None

    @property
    def exit_code(self) -> int:
        """0 when every robot answered (and none drifted, where that was asked), 1 when none, 3 when some."""
        drifted = self.drift or {}
        return fleet.exit_code(outcome.ok and not drifted.get(outcome.robot.name) for outcome in self.outcomes)

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON; each robot has a list `drift` where that was asked for."""
        return {"robots": [{**outcome.as_dict(), **self._drift(outcome.robot.name)} for outcome in self.outcomes]}

    def _drift(self, robot: str) -> dict[str, Any]:
        return {} if self.drift is None else {"drift": [one.as_dict() for one in self.drift.get(robot, ())]}


def status(request: Fleet, *, drift: bool = False) -> StatusResult:
    """Asks every selected robot for its releases. An unreachable robot is an outcome, not an error."""

    def ask(session: Session, robot: Robot) -> RobotState:
        return read_state(session, robot, None)

    outcomes = tuple(request.visit(ask))
    return StatusResult(outcomes=outcomes, drift=_drift(request, outcomes) if drift else None)


def _drift(request: Fleet, outcomes: tuple[Outcome[RobotState], ...]) -> dict[str, tuple[Drift, ...]]:
    """The drift of each robot that answered, with the push that repairs it."""
    pushed: dict[str, dict[str, Known]] = defaultdict(dict)
    for known in last_known(request.project.state_dir).robots:
        pushed[known.robot][known.environment] = known
    found = {}
    for outcome in outcomes:
        if (state := outcome.value) is not None:
            of_robot = pushed[outcome.robot.name]
            targets = {name: known.target for name, known in of_robot.items()}
            found[outcome.robot.name] = tuple(
                replace(one, next=advice.again(one.environment, outcome.robot, request.project, targets))
                for one in drifts.find(state, {name: known.releases for name, known in of_robot.items()})
            )
    return found
