"""Takes an environment off robots: its releases, and the files that no other environment there uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ot2deploy import advice
from ot2deploy.agent_host.client import open_agent
from ot2deploy.errors import InUse
from ot2deploy.inventory import Robot
from ot2deploy.robots.probe import read_state
from ot2deploy.runs.record import RunRecord
from ot2deploy.runs.result import RunResult
from ot2deploy.transport import Session
from ot2deploy.visit import Fleet

NOTHING: Mapping[str, Any] = {
    "changed": False, "current": None, "releases": [], "blobs": 0, "bytes": 0, "programs": [],
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RemoveRequest:
    """The environment to remove from every selected robot; with `force` also where programs run from it.

    With `dry_run` it is only told what would go.
    """

    fleet: Fleet
    environment: str
    dry_run: bool = False
    force: bool = False


def remove(request: RemoveRequest) -> RunResult:
    """Removes the environment; each robot's journal says so. One that was cut off half-way can be run again.

    A robot that does not have it is left as it is: its `changed` is false, and `there` names what it has.
    """
    name = request.environment
    record = None if request.dry_run else RunRecord(request.fleet.project.state_dir, "remove", environment=name)

    def away(session: Session, robot: Robot) -> dict[str, Any]:
        state = read_state(session, robot)
        if name not in state.environments:
            return {**NOTHING, "there": sorted(state.environments)}
        run = record.run if record else "dry run"
        with open_agent(
            session, robot, run=run, environment=name, fingerprint=state.fingerprint, report=request.fleet.report
        ) as agent:
            try:
                answer = agent.request("remove", environment=name, dry_run=request.dry_run, force=request.force)
            except InUse as used:
                used.next = f"End them, or: ot2deploy remove {name} {advice.options(robot)} --force"
                raise
        return {"changed": True, **{field: answer[field] for field in NOTHING if field != "changed"}}

    return RunResult.recorded(name, record, tuple(request.fleet.visit(away)))
