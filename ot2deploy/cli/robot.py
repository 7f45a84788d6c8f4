"""`ot2deploy robot`: the robots of the inventory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ot2deploy.cli import (
    one_robot,
    options,
    robot_clean,
    robot_edit,
    robot_enroll,
    robot_find,
    robot_freeze,
    robot_import,
    robot_keys,
    robot_logs,
    robot_packages,
    robot_purge,
    robot_unlock,
)
from ot2deploy.cli.group import Group
from ot2deploy.cli.result import Answer, Shown, lines, table

if TYPE_CHECKING:
    from ot2deploy.inventory import Robot
    from ot2deploy.project import Project


@click.group("robot", cls=Group)
def command() -> None:
    """The robots of the inventory: enrolling, importing, finding and checking them, and what is on them."""


command.add_command(robot_enroll.enroll)
command.add_command(robot_enroll.discover)
command.add_command(robot_edit.add)
command.add_command(robot_edit.remove)
command.add_command(robot_find.check)
command.add_command(robot_find.find)
command.add_command(robot_find.identify)
command.add_command(robot_import.import_robots)
command.add_command(robot_import.schema)
command.add_command(robot_keys.command)


@command.command("list")
@options.project
@options.robots
@options.limit
@options.output
def list_robots(project: Project, robots_file: Path | None, limit: str) -> Shown:
    """List the robots of the inventory; nobody is asked."""
    robots = _select(project, robots_file, limit)
    rows = [
        (
            robot.name,
            robot.address,
            str(robot.port),
            robot.serial or "",
            ", ".join(robot.groups),
            "pinned" if robot.host_key else "not pinned",
        )
        for robot in robots
    ]
    return Shown(
        result=Answer(data={"robots": [robot.as_dict() for robot in robots]}),
        parts=(table(("robot", "address", "port", "serial", "groups", "host key"), rows, right=("port",)),),
    )


@command.command("show")
@one_robot.robot_name
@click.option("--explain", is_flag=True, help="Show every line of the file that says a setting; the last one counts.")
@options.project
@options.robots
@options.output
def show(name: str, explain: bool, project: Project, robots_file: Path | None) -> Shown:
    """Show every setting of one robot and where it came from."""
    robot = _one(project, robots_file, name)
    if explain:
        return _explained(robot)
    told = robot.as_dict()
    rows = [
        (setting, str(value), robot.origins.get(setting, ""))
        for setting, value in told.items()
        if setting not in ("name", "groups", "origins") and value not in (None, "")
    ]
    return Shown(
        result=Answer(data=told),
        parts=(table(("setting", "value", "from"), rows, title=_title(robot)),),
    )


def _explained(robot: Robot) -> Shown:
    from ot2deploy.inventory.explain import explain

    said = explain(robot)
    rows = [
        (
            one.setting,
            str(one.value),
            one.origin,
            f"{robot.file}:{one.line}" if one.line else "",
            "" if one.counts else "no",
        )
        for one in said
    ]
    return Shown(
        result=Answer(data={"name": robot.name, "groups": list(robot.groups), "said": [one.as_dict() for one in said]}),
        parts=(table(("setting", "value", "from", "line", "counts"), rows, title=_title(robot)),),
    )


def _title(robot: Robot) -> str:
    return f"{robot.name} ({', '.join(robot.groups) or 'no group'})"


@command.command("trust")
@one_robot.robot_name
@click.option("--replace", is_flag=True, help="Pin the key although another one is pinned.")
@options.project
@options.robots
@options.output
def trust(name: str, replace: bool, project: Project, robots_file: Path | None) -> Shown:
    """Pin the host key that a robot shows now in the inventory.

    Compare the fingerprint with the robot's own; from then on a robot that shows another key is refused.
    """
    from ot2deploy.inventory.edit import set_host_key
    from ot2deploy.transport import wording
    from ot2deploy.transport.ssh import show_host_key

    robot = _one(project, robots_file, name)
    line = show_host_key(robot)
    if robot.host_key and robot.host_key.split()[:2] != line.split()[:2] and not replace:
        raise wording.changed_host_key(robot, line, robot.host_key)
    changed = robot.file is not None and set_host_key(robot.file, robot.name, line)
    told = {"robot": robot.name, "host_key": line, "fingerprint": wording.fingerprint(line), "changed": changed}
    did = f"pinned in {robot.file}" if changed else "no change: this key is pinned already"
    return Shown(result=Answer(data=told), parts=(lines(f"{robot.name}: {told['fingerprint']}", did),))


def _one(project: Project, robots_file: Path | None, name: str) -> Robot:
    """The robot of exactly that name. Raises NoSuchRobot."""
    return one_robot.only(_select(project, robots_file, name), name)


def _select(project: Project, robots_file: Path | None, limit: str) -> tuple[Robot, ...]:
    from ot2deploy import inventory

    return inventory.select(inventory.load(robots_file or project.inventory), limit)


command.add_command(robot_packages.command)
command.add_command(robot_freeze.command)
command.add_command(robot_logs.command)
command.add_command(robot_unlock.command)
command.add_command(robot_clean.command)
command.add_command(robot_purge.command)
