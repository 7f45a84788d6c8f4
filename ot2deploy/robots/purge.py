"""Takes everything of ours off robots, so that they are as they were before the first push."""

from __future__ import annotations

from typing import Any

from ot2deploy.agent_host.client import open_agent
from ot2deploy.errors import InUse
from ot2deploy.inventory import Robot
from ot2deploy.robots.probe import read_state
from ot2deploy.runs.record import RunRecord
from ot2deploy.runs.result import RunResult
from ot2deploy.transport import Session, script
from ot2deploy.visit import Fleet


def purge(fleet: Fleet, *, force: bool = False) -> RunResult:
    """Removes every environment, file and journal of ours from the selected robots, under each one's lock.

    A robot fails with InUse where programs run from an environment, unless `force`; `programs` then lost their files.
    `left` in an outcome is what stands in the base directory and is not ours. Cut off half-way, it can be run again.
    """
    record = RunRecord(fleet.project.state_dir, "purge")

    def clean(session: Session, robot: Robot) -> dict[str, Any]:
        state = read_state(session, robot)
        if session.run(script("[ -d @base@ ]", base=robot.base_path)).status != 0:
            return {"changed": False, "environments": [], "left": [], "programs": []}
        with open_agent(
            session, robot, run=record.run, environment=None, fingerprint=state.fingerprint, report=fleet.report
        ) as agent:
            try:
                answer = agent.request("purge", force=force)
            except InUse as used:
                used.next = f"End them, or: ot2deploy robot purge {robot.name}{robot.file_option} --force"
                raise
        return {"changed": True, **{name: answer[name] for name in ("environments", "left", "programs")}}

    return RunResult.recorded(None, record, tuple(fleet.visit(clean)))
