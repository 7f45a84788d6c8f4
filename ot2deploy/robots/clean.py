"""Makes room on robots: releases that nobody goes back to, and what no release is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ot2deploy.agent_host.client import AgentSession, open_agent
from ot2deploy.inventory import Robot
from ot2deploy.robots.probe import read_state
from ot2deploy.runs.record import RunRecord
from ot2deploy.runs.result import RunResult
from ot2deploy.transport import Session, script
from ot2deploy.visit import Fleet

FIELDS = ("releases", "kept", "blobs", "agents", "bytes", "free", "programs")


@dataclass(frozen=True, kw_only=True)
class CleanRequest:
    """`keep` releases of each environment stay (None: the robot's setting); with `dry_run` all do, and it is told."""

    fleet: Fleet
    keep: int | None = None
    dry_run: bool = False


def clean(request: CleanRequest) -> RunResult:
    """Cleans every selected robot; a value has what went and what stays (with why), and the `bytes` that it freed."""
    where = request.fleet
    record = None if request.dry_run else RunRecord(where.project.state_dir, "clean", keep=request.keep)

    def tidy(session: Session, robot: Robot) -> dict[str, Any]:
        state = read_state(session, robot)
        if session.run(script("[ -d @envs@ ]", envs=f"{robot.base_path}/envs")).status != 0:
            return {**dict.fromkeys(FIELDS, 0), "releases": [], "kept": [], "programs": [], "free": state.disk_free}
        run = record.run if record else "dry run"
        with open_agent(
            session, robot, run=run, environment=None, fingerprint=state.fingerprint, report=where.report
        ) as agent:
            answer = agent.request(
                "collect", keep=request.keep or robot.keep_releases, strays=True, dry_run=request.dry_run
            )
        return {name: answer[name] for name in FIELDS}

    return RunResult.recorded(None, record, tuple(where.visit(tidy)))


def clean_after_push(agent: AgentSession, robot: Robot, environment: str) -> dict[str, Any]:
    """Removes an environment's older releases, and what only they were made of, when a new one has become current."""
    answer = agent.request("collect", environment=environment, keep=robot.keep_releases)
    return {name: answer[name] for name in FIELDS}
