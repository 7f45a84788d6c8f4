"""The agent's errors as ours: one table from its codes to the error tree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ot2deploy.errors import (
    AgentFailure,
    AgentTooNew,
    CheckFailed,
    DiskFull,
    InstallFailed,
    InUse,
    Locked,
    NoKernel,
    NoPrevious,
    NotInstalled,
    RobotFailure,
    RobotUnsupported,
    SharedConflict,
    TransferFailure,
)
from ot2deploy.inventory import Robot

BY_CODE: Mapping[str, type[RobotFailure]] = {
    "agent-too-new": AgentTooNew,
    "blob-missing": TransferFailure,
    "blob-offset": TransferFailure,
    "blob-sha256": TransferFailure,
    "checks-failed-to-run": CheckFailed,
    "disk-full": DiskFull,
    "in-use": InUse,
    "foreign-files": SharedConflict,
    "install-failed": InstallFailed,
    "locked": Locked,
    "no-ipykernel": NoKernel,
    "no-jupyter": NoKernel,
    "no-pip": RobotUnsupported,
    "no-previous": NoPrevious,
    "not-installed": NotInstalled,
    "not-verified": CheckFailed,
    "robot-unsupported": RobotUnsupported,
    "wrong-python": InstallFailed,
}

# Commands in the agent's advice: it knows neither the robot's name nor the inventory.
ABOUT_ENVIRONMENT = re.compile(r"ot2deploy rollback [a-z0-9._-]+(?= --to )")
ABOUT_ROBOT = re.compile(r"(ot2deploy robot [a-z]+) NAME")
LINES, LETTERS = 200, 4000  # of an error that are kept: no robot of ours says more


def failure_of(robot: str, message: Mapping[str, Any]) -> RobotFailure:
    """The failure that an error message of the agent stands for. `agent_code` and `values` keep its own words."""
    code, details, data = str(message.get("code", "")), message.get("details"), message.get("data")
    values = dict(data) if isinstance(data, dict) else {}
    parts = {name: str(message.get(name) or "")[:LETTERS] for name in ("why", "next")}
    what = str(message.get("what") or "the agent refused without a reason")[:LETTERS]
    kind = BY_CODE.get(code, AgentFailure)
    failure: RobotFailure
    if kind is Locked:
        failure = Locked(what, holder=values, subject=robot, **parts)
    else:
        lines = tuple(str(line)[:LETTERS] for line in details[:LINES]) if isinstance(details, list) else ()
        if kind is AgentFailure:
            lines = (*lines, f"agent error: {code or 'none'}")
        failure = kind(what, subject=robot, details=lines, **parts)
    failure.agent_code = code
    failure.values = values
    return failure


def addressed(advice: str, robot: Robot) -> str:
    """The agent's advice with commands that are about this robot, and can be pasted."""
    advice = ABOUT_ENVIRONMENT.sub(lambda found: f"{found[0]} --limit {robot.name}{robot.file_option}", advice)
    return ABOUT_ROBOT.sub(lambda found: f"{found[1]} {robot.name}{robot.file_option}", advice)
