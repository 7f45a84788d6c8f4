"""What to run next about an environment on a robot: only targets that are known, in the robot's own inventory."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

from ot2deploy.agent.manifest import SHARED
from ot2deploy.errors import NotInstalled
from ot2deploy.inventory import Robot
from ot2deploy.inventory.file import close
from ot2deploy.project import Project
from ot2deploy.robots.probe import read_state
from ot2deploy.transport import Session

# A robot keeps an environment's name, not what it was made from: its name on an index may be somebody else's project.
PUSH_SOURCE = "Push what it was made from (for example ./helpers.py), then try again."


def options(robot: Robot) -> str:
    """The options with which a command is about this robot: --limit and, where it is needed, --robots."""
    return f"--limit {robot.name}{robot.file_option}"


def push(environment: str, robot: Robot, project: Project, there: Iterable[str] | None = None) -> str:
    """How to get an environment onto a robot. `there` are names that are on it, of which one may have been meant."""
    if environment == SHARED:
        target = "" if there is None else "TARGET "  # without one it is what is shared there, once more
        return f"Run: ot2deploy push {target}--shared {options(robot)}"
    from packaging.utils import canonicalize_name

    from builder.targets import Search, environment_names, recipe_names

    search = Search(environments=project.environments, packages=project.packages)
    known = {*environment_names(search), *map(canonicalize_name, recipe_names(search))}
    if environment in known:
        return f"Run: ot2deploy push {environment} {options(robot)}"
    meant = close(environment, sorted({*known, *(there or ())})).removeprefix("; ").capitalize()
    if there is None:
        return f"{PUSH_SOURCE} {meant}".rstrip()
    seen = f"See what is there: ot2deploy status {options(robot)}"
    return f"{meant} {seen}" if meant else f"{seen}\nIf it was to be there: {PUSH_SOURCE}"


def again(environment: str, robot: Robot, project: Project, targets: Mapping[str, str]) -> str:
    """How to push an environment again that `targets` say was made from something; relative paths are as typed then."""
    said = push(environment, robot, project)
    target = targets.get(environment, "")
    if environment == SHARED and target:
        return f"Run: ot2deploy push {shlex.quote(target)} --shared {options(robot)}"
    if not (target and said.startswith(PUSH_SOURCE)):
        return said
    return f"Run: ot2deploy push {shlex.quote(target)} {options(robot)}"


def not_installed(environment: str, session: Session, robot: Robot, project: Project) -> NotInstalled:
    """The failure for an environment that a robot has nothing of; asks it what it has instead."""
    found = read_state(session, robot, brief=True).environments.values()
    there = sorted(state.name for state in found if state.releases)
    return NotInstalled(
        f"environment {environment} is not installed",
        subject=robot.name,
        why=f"On the robot: {', '.join(there) or 'nothing'}.",
        next=push(environment, robot, project, there),
    )
