"""Busy and idle: what a simulated robot's HTTP API says that it is doing, and the files of an update session."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from builder import files
from builder.docker import engine as docker_engine
from ot2deploy.agent.activity import UPDATES
from ot2deploy.project import Project
from ot2deploy.sim import api_server
from ot2deploy.sim.lab import place, status
from ot2deploy.sim.results import SimResult
from ot2deploy.sim.state import SimRobot


def busy(project: Project, name: str, *, maintenance: bool = False) -> SimResult:
    """Lets a robot's HTTP API say that a run (or a maintenance run) is going on. Raises NotSimulated."""

    def change(known: dict[str, Any]) -> None:
        if maintenance:
            known["maintenance"] = known["maintenance"] or _run("idle")
        elif not any(run["current"] for run in known["runs"]):
            known["runs"].append(_run("running"))

    return _set_runs(project, name, change, f"{name} is busy")


def idle(project: Project, name: str) -> SimResult:
    """Lets a robot's HTTP API say that whatever was going on has ended well. Raises NotSimulated."""

    def change(known: dict[str, Any]) -> None:
        known["maintenance"] = None
        for run in known["runs"]:
            if run["current"]:
                run.update(current=False, status="succeeded", completedAt=_now())

    result = _set_runs(project, name, change, f"{name} is idle")
    _receive(place(project).read().robot(name), begun=False)
    return result


def updating(project: Project, name: str) -> SimResult:
    """Puts the file of an update session where update-server does; its API says nothing of it. Raises NotSimulated."""
    _receive(place(project).read().robot(name), begun=True)
    return replace(status(project), did=f"{name} receives a system update")


def _receive(robot: SimRobot, *, begun: bool) -> None:
    if robot.container:
        make = f"mkdir -p {UPDATES} && echo > {UPDATES}/ot2-system.zip"
        docker_engine.connect().execute(robot.container, ["sh", "-c", make if begun else f"rm -rf {UPDATES}"])
        return
    directory = Path(robot.root + UPDATES)
    if begun:
        files.write_bytes(directory / "ot2-system.zip", b"\n")
    else:
        shutil.rmtree(directory, ignore_errors=True)


def _set_runs(project: Project, name: str, change: Callable[[dict[str, Any]], None], did: str) -> SimResult:
    at = place(project)
    at.read().robot(name)
    with at.held():
        robot = at.read().robot(name)
        known = api_server.read_runs(at.api, robot.name)
        change(known)
        api_server.write_runs(at.api, robot.name, known["runs"], known["maintenance"])
    return replace(status(project), did=did)


def _run(state: str) -> dict[str, Any]:
    empty: dict[str, list[Any]] = {name: [] for name in ("actions", "errors", "pipettes", "modules", "labware")}
    return {"id": str(uuid.uuid4()), "createdAt": _now(), "status": state, "current": True, "protocolId": None, **empty}


def _now() -> str:
    return datetime.now(UTC).isoformat()
