"""`ot2deploy robot check`, `find` and `identify`: which robot is where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import options
from ot2deploy.cli.one_robot import one_robot, robot_name, visiting
from ot2deploy.cli.outcomes import failed
from ot2deploy.cli.result import Answer, Shown, lines, table

if TYPE_CHECKING:
    from ot2deploy.fleet import Outcome
    from ot2deploy.project import Project
    from ot2deploy.robots.check import Checked


@click.command("check")
@click.option("--keep-serials", is_flag=True, help="Write a robot's serial number into the inventory that has none.")
@options.fleet
@options.output
def check(keep_serials: bool, **where: Any) -> Shown:
    """Reach every robot of the inventory and say how far: network, host key, login, serial number, platform."""
    from ot2deploy.robots import check as robot_check

    with options.visiting(**where) as fleet:
        result = robot_check.check(fleet, keep_serials=keep_serials)
    columns = ("robot", "address", *robot_check.STEPS, "software", "serial number")
    rows = [_row(outcome) for outcome in result.outcomes]
    return Shown(result=result, parts=(table(columns, rows), *failed(result.outcomes)))


def _row(outcome: Outcome[Checked]) -> tuple[str, ...]:
    from ot2deploy.robots.check import STEPS, stopped_at

    robot, value = outcome.robot, outcome.value
    if value is None:
        at = STEPS.index(stopped_at(outcome.failure) or "platform")
        steps = [*["ok"] * at, "failed", *[""] * (len(STEPS) - at - 1)]
        return (robot.name, robot.address, *steps, "", "")
    serial = "kept" if value.kept else "ok" if robot.serial and value.serial else "not known"
    return (robot.name, robot.address, "ok", "ok", "ok", serial, value.profile, value.software, value.serial)


@click.command("find")
@robot_name
@click.option(
    "--scan", default="", metavar="PLACES",
    help="Where to look: addresses, ADDRESS:PORT of HTTP APIs, and networks such as 192.168.1.0/24, with commas.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say where it is.")
@options.project
@options.robots
@options.output
def find(name: str, scan: str, dry_run: bool, project: Project, robots_file: Path | None) -> Shown:
    """Find a robot whose address changed by its serial number; the new address goes into the inventory.

    Without --scan it is looked for at all addresses of the inventory and at NAME.local.
    """
    from ot2deploy import inventory
    from ot2deploy.errors import NoSuchRobot
    from ot2deploy.robots import find as robot_find

    known = inventory.load(robots_file or project.inventory)
    if name not in known.robots:
        raise NoSuchRobot(f"no robot is named `{name}`", next="Robots: " + ", ".join(known.robots))
    found = robot_find.find(known, known.robots[name], scan, dry_run=dry_run)
    where = f"{found.about.address} (HTTP port {found.about.http_port})"
    if not found.moved:
        said = f"{name}: no change: it is at {where}"
    elif dry_run:
        said = f"{name}: is at {where}; nothing was written"
    else:
        said = f"{name}: is at {where} now; written into {known.path}"
    rest = [f"also there: {one.name}, serial {one.serial}, at {one.address}" for one in found.others]
    return Shown(result=found, parts=(lines(said), lines(*rest, style="dim")))


@click.command("identify")
@click.option(
    "--seconds", type=click.IntRange(min=1, max=300), default=10, show_default=True, metavar="N", help="How long."
)
@one_robot
def identify(seconds: int, **where: Any) -> Shown:
    """Let a robot blink its lights, so that you see which one it is."""
    from ot2deploy.robots import api as robot_api

    with visiting(**where) as fleet:
        (robot,) = fleet.robots
        about = robot_api.identify(robot, seconds)
    return Shown(
        result=Answer(data={"robot": robot.name, "seconds": seconds, "found": about.as_dict()}),
        parts=(lines(f"{robot.name}: blinks for {seconds} s ({about.name}, serial {about.serial})"),),
    )
