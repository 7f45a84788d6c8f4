"""Runs an environment's checks on robots, whatever was verified before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ot2deploy import advice
from ot2deploy.agent_host.client import open_agent
from ot2deploy.checking import Checked, run_checks
from ot2deploy.fleet import Outcome
from ot2deploy.inventory import Robot
from ot2deploy.robots.probe import read_state
from ot2deploy.runs.record import RunRecord
from ot2deploy.runs.result import RunResult
from ot2deploy.transport import Session
from ot2deploy.visit import Fleet


@dataclass(frozen=True, kw_only=True)
class VerifyRequest:
    """The environment to verify. `deep` runs its deep checks after the quick and live ones."""

    fleet: Fleet
    environment: str
    deep: bool = False


def verify(request: VerifyRequest) -> RunResult:
    """Runs the checks that came with the current release of each robot."""
    record = RunRecord(request.fleet.project.state_dir, "verify", environment=request.environment, deep=request.deep)

    def check(session: Session, robot: Robot) -> Checked:
        state = read_state(session, robot, request.environment)
        known = state.environments.get(request.environment)
        if known is None or known.current is None:
            raise advice.not_installed(request.environment, session, robot, request.fleet.project)
        with open_agent(
            session, robot, run=record.run, environment=request.environment, fingerprint=state.fingerprint,
            report=request.fleet.report,
        ) as agent:  # fmt: skip
            parts = [
                run_checks(agent, request.environment, known.current, None, state.fingerprint, depth=depth)
                for depth in ("quick", "live", "deep")[: 2 + request.deep]
            ]
        return replace(parts[0], results=tuple(result for part in parts for result in part.results))

    outcomes = tuple(_judged(outcome) for outcome in request.fleet.visit(check))
    return RunResult.recorded(request.environment, record, outcomes)


def _judged(outcome: Outcome[Checked]) -> Outcome[dict[str, Any]]:
    """The outcome in which a failed check is a failure."""
    found = outcome.value
    if found is None:
        return Outcome(robot=outcome.robot, failure=outcome.failure)
    failure = found.failure(
        outcome.robot.name,
        "This is the current release.",
        next=f"Run: ot2deploy rollback {found.environment} {advice.options(outcome.robot)}   or push it again.",
    )
    return Outcome(robot=outcome.robot, value={"release": found.digest, "checks": list(found.results)}, failure=failure)
