"""`ot2deploy robot add` and `remove`: edits of the inventory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ot2deploy.cli import one_robot, options
from ot2deploy.cli.result import Answer, Shown, lines

if TYPE_CHECKING:
    from ot2deploy.project import Project


@click.command("add")
@click.argument("name")
@click.argument("address")
@click.option("--port", type=int, metavar="N", help="The port of its SSH server, where it is not 22.")
@click.option("--http-port", type=int, metavar="N", help="The port of its HTTP API, where it is not 31950.")
@click.option("--identity-file", metavar="FILE", help="The private key that it accepts.")
@click.option("--via", metavar="HOST", help="The host or robot to go through.")
@click.option("--serial", metavar="NUMBER", help="Its serial number; a robot with another one is refused.")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="A group that it is in. May be given again.")
@options.project
@options.robots
@options.output
def add(
    name: str,
    address: str,
    groups: tuple[str, ...],
    project: Project,
    robots_file: Path | None,
    **given: str | int | None,
) -> Shown:
    """Add a robot to the inventory; comments and order stay. Then trust it."""
    from ot2deploy import inventory
    from ot2deploy.inventory.edit import Entry, add_robot

    path = robots_file or project.inventory
    known = inventory.load(path).groups
    settings = {"address": address, **{setting: value for setting, value in given.items() if value is not None}}
    changed = add_robot(path, Entry(name=name, settings=settings, groups=tuple(dict.fromkeys(groups))))
    new = [group for group in dict.fromkeys(groups) if group not in known]
    said = [f"{name}: added to {path}" if changed else f"{name}: no change: it is in {path}"]
    said += [f"{group}: a new group" for group in new]
    return Shown(
        result=Answer(data={"robot": name, "inventory": str(path), "changed": changed, "new_groups": new}),
        parts=(lines(*said, f"Next: ot2deploy robot trust {name}"),),
    )


@click.command("remove")
@one_robot.robot_name
@options.project
@options.robots
@options.output
def remove(name: str, project: Project, robots_file: Path | None) -> Shown:
    """Remove a robot from the inventory; comments and order stay, and so does everything on the robot.

    Where that is to go, too, run `ot2deploy robot purge` before.
    """
    from ot2deploy import inventory
    from ot2deploy.inventory.remove import remove_robot
    from ot2deploy.runs.last_known import last_known

    path = robots_file or project.inventory
    robot = inventory.load(path).robots.get(name)
    remove_robot(path, name)
    there = sorted({known.environment for known in last_known(project.state_dir).robots if known.robot == name})
    base = robot.base if robot else ""
    left = f"On the robot nothing was changed: what was pushed stays in {base}"
    left += f" (as last known: {', '.join(there)})." if there else "."
    return Shown(
        result=Answer(data={"robot": name, "inventory": str(path), "base": base, "environments": there}),
        parts=(lines(f"{name}: removed from {path}", left),),
    )
