"""The inventory: which robots there are, their merged settings, and choosing some of them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ot2deploy.errors import NoSuchRobot
from ot2deploy.inventory_file import Parts, close, read
from ot2deploy.inventory_settings import SETTINGS, Value
from ot2deploy.project import INVENTORY

ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Robot:
    """One robot with everything merged: defaults < groups (outer before inner) < the robot's own entry.

    `origins` says for each setting where it came from: "built in", "defaults", "group:NAME" or "robot:NAME".
    `jump` is the robot behind `via`, where `via` names one. `file` is the inventory it stands in.
    """

    name: str
    address: str
    port: int = 22
    user: str = "root"
    identity_file: Path | None = None
    host_key: str | None = None
    serial: str | None = None
    profile: str | None = None
    via: str | None = None
    root: str = ""
    base: str = "/var/ot2deploy"
    http_port: int = 31950
    install_method: str | None = None
    groups: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    jump: Robot | None = None
    file: Path | None = None

    def system_path(self, path: str) -> str:
        """A system path as it is on this robot: below `root` on a simulated one."""
        return f"{self.root}/{path.lstrip('/')}"

    @property
    def base_path(self) -> str:
        """Where releases live on this robot, `root` included."""
        return self.root + self.base

    @property
    def file_option(self) -> str:
        """` --robots FILE` for a command about this robot; nothing where it stands in a project's own inventory."""
        return f" --robots {shlex.quote(str(self.file))}" if self.file and self.file.name != INVENTORY else ""

    def is_set(self, setting: str) -> bool:
        """Whether the inventory says it, rather than our default."""
        return self.origins.get(setting, "built in") != "built in"

    def as_dict(self) -> dict[str, Any]:
        """Settings, groups and origins as JSON; no key material but the public host key."""
        settings = {name: getattr(self, name) for name in SETTINGS}
        text = {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()}
        return {"name": self.name, **text, "groups": list(self.groups), "origins": dict(self.origins)}


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """The robots of a file, in its order, and its groups with all their members."""

    path: Path
    robots: Mapping[str, Robot]
    groups: Mapping[str, tuple[str, ...]]

    def select(self, limit: str | None = None) -> tuple[Robot, ...]:
        """The robots that `limit` names; see the function `select`."""
        return select(self, limit)


def load(path: Path) -> Inventory:
    """Reads an inventory. Raises NoInventory, or ConfigFailure with every problem as file:line."""
    path = path.absolute()
    parts = read(path)
    members = _members(parts)
    parents = _ranked(parts)
    robots = {
        name: _merge(parts, name, [group for group in parents if name in members[group]]) for name in parts.robots
    }
    robots = {name: _joined(parts, robots, robot) for name, robot in robots.items()}
    parts.raise_problems()
    in_order = {group: tuple(name for name in robots if name in names) for group, names in members.items()}
    return Inventory(path=path, robots=robots, groups=in_order)


def select(inventory: Inventory, limit: str | None = None) -> tuple[Robot, ...]:
    """The robots that `limit` names, in the file's order; no limit means all.

    `limit` is a list of names, groups or globs, separated by commas or spaces; `!` takes away: "lab-a,!otto".
    Raises NoSuchRobot for a word that fits nothing, and when nothing is left.
    """
    if not inventory.robots:
        raise NoSuchRobot(
            f"{inventory.path} has no robots yet",
            next="Write one under `robots:`, or run: ot2deploy sim up --count 2   and use --robots lab.yaml",
        )
    words = [word for word in re.split(r"[,\s]+", limit or "") if word]
    chosen: set[str] = set()
    if not words or all(word.startswith("!") for word in words):
        chosen = set(inventory.robots)
    for word in words:
        if not word.startswith("!"):
            chosen |= _fitting(inventory, word)
    for word in words:
        if word.startswith("!"):
            chosen -= _fitting(inventory, word[1:])
    if not chosen:
        raise NoSuchRobot(f"`{limit}` leaves no robot", next="Robots: " + ", ".join(inventory.robots))
    return tuple(robot for robot in inventory.robots.values() if robot.name in chosen)


def _fitting(inventory: Inventory, word: str) -> set[str]:
    if word == ALL:
        return set(inventory.robots)
    found = {name for name in inventory.robots if fnmatchcase(name, word)}
    for group, members in inventory.groups.items():
        if fnmatchcase(group, word):
            found |= set(members)
    if not found:
        known = [*inventory.robots, *inventory.groups]
        raise NoSuchRobot(
            f"no robot or group is named `{word}`{close(word, known)}",
            why=f"The inventory is {inventory.path}.",
            next="Robots: " + ", ".join(inventory.robots) + _listed("; groups: ", inventory.groups),
        )
    return found


def _listed(title: str, names: Mapping[str, object]) -> str:
    return title + ", ".join(names) if names else ""


def _members(parts: Parts) -> dict[str, set[str]]:
    """Every group's robots, those of its inner groups included; unknown names and circles become problems."""
    for robot in parts.robots.values():
        for member in robot.groups:
            if member.name not in parts.groups:
                parts.groups.setdefault(member.name, type(robot)(line=member.line))
    for clash in parts.groups.keys() & parts.robots.keys():
        parts.problem(parts.groups[clash].line, f"`{clash}` is a robot and a group; give one another name")
    for name, group in parts.groups.items():
        for member in group.robots:
            if member.name not in parts.robots:
                hint = close(member.name, parts.robots)
                parts.problem(member.line, f"group `{name}` names an unknown robot `{member.name}`{hint}")
        for member in group.groups:
            if member.name not in parts.groups:
                hint = close(member.name, parts.groups)
                parts.problem(member.line, f"group `{name}` names an unknown group `{member.name}`{hint}")
    return {name: set(_inside(parts, name, ())) for name in parts.groups}


def _inside(parts: Parts, group: str, way: tuple[str, ...]) -> Iterator[str]:
    if group in way:
        parts.problem(parts.groups[group].line, "groups contain each other: " + " > ".join((*way, group)))
        return
    section = parts.groups.get(group)
    if section is None:
        return
    yield from (member.name for member in section.robots)
    yield from (name for name, robot in parts.robots.items() if any(member.name == group for member in robot.groups))
    for member in section.groups:
        yield from _inside(parts, member.name, (*way, group))


def _ranked(parts: Parts) -> list[str]:
    """The groups, outer before inner, else in the file's order."""
    inner = {name: {member.name for member in group.groups} for name, group in parts.groups.items()}
    ranked: list[str] = []
    waiting = list(inner)
    while waiting:
        free = [name for name in waiting if not any(name in inner[other] for other in waiting if other != name)]
        ranked += free or waiting
        waiting = [name for name in waiting if name not in ranked]
    return ranked


def _merge(parts: Parts, name: str, groups: list[str]) -> Robot:
    values: dict[str, Value] = {key: one.default for key, one in SETTINGS.items() if one.default is not None}
    origins = dict.fromkeys(values, "built in")
    layers = [
        ("defaults", parts.defaults),
        *((f"group:{group}", parts.groups[group]) for group in groups),
        (f"robot:{name}", parts.robots[name]),
    ]
    for origin, section in layers:
        values.update(section.settings)
        origins.update(dict.fromkeys(section.settings, origin))
    values.setdefault("address", name)
    fields: dict[str, Any] = values
    return Robot(name=name, groups=tuple(groups), origins=origins, file=parts.path, **fields)


def _joined(parts: Parts, robots: Mapping[str, Robot], robot: Robot, way: tuple[str, ...] = ()) -> Robot:
    """The robot with the robot behind its `via`; a circle of jump hosts becomes a problem."""
    from dataclasses import replace

    if robot.via is None or robot.via not in robots:
        return robot
    if robot.name in way or robot.via == robot.name:
        line = parts.robots[robot.name].lines.get("via", parts.robots[robot.name].line)
        parts.problem(line, f"via of robot `{robot.name}` leads back to itself")
        return robot
    return replace(robot, jump=_joined(parts, robots, robots[robot.via], (*way, robot.name)))
