"""Takes an environment off robots: its releases, and the files that no other environment there uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ot2deploy import advice
from ot2deploy.agent_client import open_agent
from ot2deploy.inventory import Robot
from ot2deploy.record import RunRecord
from ot2deploy.robots.probe import read_state
from ot2deploy.run_result import RunResult
from ot2deploy.transport import Session
from ot2deploy.visit import Fleet


@dataclass(frozen=True, kw_only=True)
class RemoveRequest:
    """The environment to remove from every selected robot."""

    fleet: Fleet
    environment: str


def remove(request: RemoveRequest) -> RunResult:
    """Removes the environment; each robot's journal says so. One that was cut off half-way can be run again."""
    record = RunRecord(request.fleet.project.state_dir, "remove", environment=request.environment)

    def away(session: Session, robot: Robot) -> dict[str, Any]:
        state = read_state(session, robot, request.environment)
        if request.environment not in state.environments:
            raise advice.not_installed(request.environment, session, robot, request.fleet.project)
        with open_agent(
            session, robot, run=record.run, environment=request.environment, fingerprint=state.fingerprint,
            report=request.fleet.report,
        ) as agent:  # fmt: skip
            answer = agent.request("remove", environment=request.environment)
        return {name: answer[name] for name in ("current", "releases", "blobs", "bytes")}

    outcomes = tuple(request.fleet.visit(away))
    return RunResult.recorded(request.environment, record, outcomes)
