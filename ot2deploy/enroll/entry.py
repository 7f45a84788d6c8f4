"""The inventory's entry of a robot that is enrolled: which one it is, what it is called, and writing it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from builder.files import write_bytes
from ot2deploy import inventory
from ot2deploy.enroll.discover import Seen
from ot2deploy.init import INVENTORY
from ot2deploy.inventory import Inventory, Robot
from ot2deploy.inventory.edit import Entry, add_robot, set_settings
from ot2deploy.inventory.settings import NAME, SETTINGS


def load(path: Path) -> Inventory | None:
    """The inventory, or None where there is none yet. Raises ConfigFailure."""
    return inventory.load(path) if path.exists() else None


def entry_of(known: Inventory | None, seen: Seen, host_key: str) -> Robot | None:
    """The entry of a robot: that with its serial number; else one without a number that is it, by its host key or,
    where none is pinned, by its address.
    """
    robots = known.robots.values() if known else ()
    for robot in robots:
        if robot.serial == seen.about.serial:
            return robot
    for robot in robots:
        here = (robot.address, robot.port) == (seen.about.address, seen.port)
        if robot.serial is None and (robot.host_key == host_key or (here and robot.host_key is None)):
            return robot
    return None


def usual_name(known: Inventory | None, seen: Seen) -> str:
    """The name that a new robot gets: its own, as far as it can be one, and with a number where it is taken."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", seen.about.name).strip("-._") or seen.about.serial
    return free(known, name if NAME.fullmatch(name) else seen.about.serial)


def free(known: Inventory | None, name: str) -> str:
    """That name, or with the first number behind it that makes it one of its own."""
    taken = {*known.robots, *known.groups} if known else set()
    number = 2
    wanted = name
    while name in taken:
        name = f"{wanted}-{number}"
        number += 1
    return name


def write(path: Path, name: str, settings: Mapping[str, str | int], *, new: bool) -> tuple[Robot, bool]:
    """Writes a robot's entry, comments and order kept; returns it as the inventory has it then, and whether that is
    another one. What a default of the file would say otherwise is written, too. Raises ConfigFailure.
    """
    if not path.exists():
        write_bytes(path, INVENTORY.encode())
    said = {key: value for key, value in settings.items() if value != SETTINGS[key].default}
    changed = add_robot(path, Entry(name=name, settings=said)) if new else set_settings(path, name, said)
    robot = inventory.load(path).robots[name]
    other = {key: value for key, value in settings.items() if SETTINGS[key].check(value) != getattr(robot, key)}
    if other:
        changed = set_settings(path, name, other) or changed
    return inventory.load(path).robots[name], changed
