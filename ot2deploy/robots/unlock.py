"""Frees a robot's lock: from what a dead run left in it, or by force from a run that goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ot2deploy.agent_host.client import reading
from ot2deploy.errors import Locked
from ot2deploy.inventory import Robot
from ot2deploy.robots.probe import read_state
from ot2deploy.runs.record import RunRecord, who
from ot2deploy.runs.result import RunResult
from ot2deploy.transport import Session, script
from ot2deploy.visit import Fleet


@dataclass(frozen=True, kw_only=True)
class UnlockRequest:
    """With `force`, the session of a run that holds a lock is ended."""

    fleet: Fleet
    force: bool = False


def unlock(request: UnlockRequest) -> RunResult:
    """Leaves the lock of every selected robot free; a value has `state` (free, dead, ended) and the old `holder`."""
    record = RunRecord(request.fleet.project.state_dir, "unlock", force=request.force)

    def free(session: Session, robot: Robot) -> dict[str, Any]:
        read_state(session, robot, brief=True)  # refuses a simulated robot that would be this computer
        if session.run(script("[ -e @lock@ ]", lock=f"{robot.base_path}/lock")).status != 0:
            return {"state": "free", "holder": None}
        where = {"base": robot.base, "root": robot.root}
        with reading(session, robot, request.fleet.report) as agent:
            try:
                answer = agent.request("unlock", **where, run=record.run, who=who(), force=request.force)
            except Locked as locked:
                locked.next = f"Wait for it, or end it: ot2deploy robot unlock {robot.name}{robot.file_option} --force"
                raise
        return {"state": answer["state"], "holder": answer["holder"]}

    return RunResult.recorded(None, record, tuple(request.fleet.visit(free)))
