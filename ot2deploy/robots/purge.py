"""Takes everything of ours off robots, so that they are as they were before the first push."""

from __future__ import annotations

from typing import Any

from ot2deploy.agent_client import open_agent
from ot2deploy.inventory import Robot
from ot2deploy.record import RunRecord
from ot2deploy.robots.probe import read_state
from ot2deploy.run_result import RunResult
from ot2deploy.transport import Session, script
from ot2deploy.visit import Fleet


def purge(fleet: Fleet) -> RunResult:
    """Removes every environment, file and journal of ours from the selected robots, under each one's lock.

    `left` in an outcome is what stands in the base directory and is not ours. Cut off half-way, it can be run again.
    """
    record = RunRecord(fleet.project.state_dir, "purge")

    def clean(session: Session, robot: Robot) -> dict[str, Any]:
        state = read_state(session, robot)
        if session.run(script("[ -d @base@ ]", base=robot.base_path)).status != 0:
            return {"changed": False, "environments": [], "left": []}
        with open_agent(
            session, robot, run=record.run, environment=None, fingerprint=state.fingerprint, report=fleet.report
        ) as agent:
            answer = agent.request("purge")
        return {"changed": True, "environments": answer["environments"], "left": answer["left"]}

    return RunResult.recorded(None, record, tuple(fleet.visit(clean)))
