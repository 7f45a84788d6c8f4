"""`ot2deploy robot`: the robots of the inventory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ot2deploy.cli import options
from ot2deploy.cli.result import Answer, Shown, lines, table

if TYPE_CHECKING:
    from ot2deploy.inventory import Robot
    from ot2deploy.project import Project


@click.group("robot")
def command() -> None:
    """The robots of the inventory: list, show, add, trust."""


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
            ", ".join(robot.groups),
            "pinned" if robot.host_key else "not pinned",
        )
        for robot in robots
    ]
    return Shown(
        result=Answer(data={"robots": [robot.as_dict() for robot in robots]}),
        parts=(table(("robot", "address", "port", "groups", "host key"), rows, right=("port",)),),
    )


@command.command("show")
@click.argument("name")
@options.project
@options.robots
@options.output
def show(name: str, project: Project, robots_file: Path | None) -> Shown:
    """Show every setting of one robot and where it came from."""
    robot = _one(project, robots_file, name)
    told = robot.as_dict()
    rows = [
        (setting, str(value), robot.origins.get(setting, ""))
        for setting, value in told.items()
        if setting not in ("name", "groups", "origins") and value not in (None, "")
    ]
    return Shown(
        result=Answer(data=told),
        parts=(
            table(("setting", "value", "from"), rows, title=f"{robot.name} ({', '.join(robot.groups) or 'no group'})"),
        ),
    )


@command.command("add")
@click.argument("name")
@click.argument("address")
@click.option("--port", type=int, metavar="N", help="The port of its SSH server, where it is not 22.")
@click.option("--identity-file", metavar="FILE", help="The private key that it accepts.")
@click.option("--via", metavar="HOST", help="The host or robot to go through.")
@options.project
@options.robots
@options.output
def add(name: str, address: str, project: Project, robots_file: Path | None, **given: str | int | None) -> Shown:
    """Add a robot to the inventory; comments and order stay. Then trust it."""
    from ot2deploy.inventory_edit import add_robot

    path = robots_file or project.inventory
    settings = {"address": address, **{setting: value for setting, value in given.items() if value is not None}}
    changed = add_robot(path, name, settings)
    did = f"added to {path}" if changed else f"no change: it is in {path}"
    return Shown(
        result=Answer(data={"robot": name, "inventory": str(path), "changed": changed}),
        parts=(lines(f"{name}: {did}", f"Next: ot2deploy robot trust {name}"),),
    )


@command.command("trust")
@click.argument("name")
@click.option("--replace", is_flag=True, help="Pin the key although another one is pinned.")
@options.project
@options.robots
@options.output
def trust(name: str, replace: bool, project: Project, robots_file: Path | None) -> Shown:
    """Pin the host key that a robot shows now in the inventory.

    Compare the fingerprint with the robot's own; from then on a robot that shows another key is refused.
    """
    from ot2deploy.inventory_edit import set_host_key
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
    from ot2deploy.errors import NoSuchRobot

    found = _select(project, robots_file, name)
    if [robot.name for robot in found] != [name]:
        raise NoSuchRobot(
            f"`{name}` is no robot's name", next="Name one of: " + ", ".join(robot.name for robot in found)
        )
    return found[0]


def _select(project: Project, robots_file: Path | None, limit: str) -> tuple[Robot, ...]:
    from ot2deploy import inventory

    return inventory.select(inventory.load(robots_file or project.inventory), limit)
