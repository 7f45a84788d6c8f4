"""Makes a robot's previous release of an environment current again; needs no store, index or build."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ot2deploy import advice
from ot2deploy.agent_host.client import open_agent
from ot2deploy.errors import NotInstalled
from ot2deploy.inventory import Robot
from ot2deploy.robots.probe import EnvironmentState, read_state
from ot2deploy.runs.record import RunRecord
from ot2deploy.runs.result import RunResult
from ot2deploy.transport import Session
from ot2deploy.visit import Fleet


@dataclass(frozen=True, kw_only=True)
class RollbackRequest:
    """The environment to roll back; `to` is a release's digest or the beginning of one (default: the previous)."""

    fleet: Fleet
    environment: str
    to: str | None = None


def rollback(request: RollbackRequest) -> RunResult:
    """Switches every selected robot back by the one rename; each one's journal says what was before.

    `verified_here` is false where the release was verified for another system: the robot was updated since.
    """
    record = RunRecord(request.fleet.project.state_dir, "rollback", environment=request.environment, to=request.to)

    def back(session: Session, robot: Robot) -> dict[str, Any]:
        state = read_state(session, robot, request.environment)
        known = state.environments.get(request.environment)
        if known is None or not known.releases:
            raise advice.not_installed(request.environment, session, robot, request.fleet.project)
        to = _release(request, robot, known)
        with open_agent(
            session, robot, run=record.run, environment=request.environment, fingerprint=state.fingerprint,
            report=request.fleet.report,
        ) as agent:  # fmt: skip
            answer = agent.request("rollback", environment=request.environment, to=to)
        after = read_state(session, robot, request.environment).environments[request.environment].verified or {}
        verified = after.get("fingerprint") == state.fingerprint
        return {"current": answer["current"], "previous": answer["previous"], "verified_here": verified}

    outcomes = tuple(request.fleet.visit(back))
    return RunResult.recorded(request.environment, record, outcomes)


def _release(request: RollbackRequest, robot: Robot, known: EnvironmentState) -> str | None:
    """The release that `to` means on this robot; None where the robot's journal decides. Raises NotInstalled."""
    if request.to is None:
        return None
    found = [digest for digest in known.releases if digest.startswith(request.to)]
    if len(found) != 1:
        raise NotInstalled(
            f"{len(found) or 'no'} releases of {request.environment} begin with {request.to}",
            subject=robot.name,
            why="On the robot: " + ", ".join(digest[:12] for digest in known.releases) + ".",
            next=f"Run: ot2deploy rollback {request.environment} {advice.options(robot)} --to RELEASE",
        )
    return found[0]
