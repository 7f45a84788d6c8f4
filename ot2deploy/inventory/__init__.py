"""The inventory: which robots there are, their merged settings, and choosing some of them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ot2deploy.agent.retention import KEEP
from ot2deploy.errors import NoSuchRobot
from ot2deploy.inventory.file import Parts, Section, close, read
from ot2deploy.inventory.groups import members, ranked
from ot2deploy.inventory.settings import SETTINGS, Value
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
    keep_releases: int = KEEP
    signers: Path | None = None
    signed: bool = False
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
        return _option(self.file) if self.file else ""

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


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One place that says settings of a robot: "defaults", "group:NAME" or "robot:NAME"."""

    origin: str
    section: Section


def load(path: Path, text: str | None = None) -> Inventory:
    """Reads an inventory; `text` is what to take for the file's contents, where it is not written yet.

    Raises NoInventory, or ConfigFailure with every problem as file:line.
    """
    path = path.absolute()
    parts = read(path, text)
    layers = layers_of(parts)
    robots = {name: _merge(parts, name, layers[name]) for name in parts.robots}
    robots = {name: _joined(parts, robots, robot) for name, robot in robots.items()}
    _one_serial_each(parts, layers, robots)
    _signed_by_somebody(parts, layers, robots)
    parts.raise_problems()
    groups = {group: tuple(name for name, robot in robots.items() if group in robot.groups) for group in parts.groups}
    return Inventory(path=path, robots=robots, groups=groups)


def layers_of(parts: Parts) -> dict[str, tuple[Layer, ...]]:
    """What says settings of each robot, the last one counting: defaults, outer groups, inner ones, its own entry."""
    inside, order = members(parts), ranked(parts)
    return {
        name: (
            Layer(origin="defaults", section=parts.defaults),
            *(Layer(origin=f"group:{group}", section=parts.groups[group]) for group in order if name in inside[group]),
            Layer(origin=f"robot:{name}", section=entry),
        )
        for name, entry in parts.robots.items()
    }


def select(inventory: Inventory, limit: str | None = None) -> tuple[Robot, ...]:
    """The robots that `limit` names, in the file's order; no limit means all.

    `limit` is a list of names, groups or globs, separated by commas or spaces; `!` takes away: "lab-a,!otto".
    Raises NoSuchRobot for a word that fits nothing, when nothing is left, and for a limit without any name.
    """
    if not inventory.robots:
        raise NoSuchRobot(
            f"{inventory.path} has no robots yet",
            next=f"Run: ot2deploy robot enroll{_option(inventory.path)}   (a robot on a USB cable)\n"
            "or:  ot2deploy sim up --count 2   (two simulated robots in lab.yaml, then --robots lab.yaml)",
        )
    words = [word for word in re.split(r"[,\s]+", limit or "") if word]
    if limit and not words:
        raise NoSuchRobot(f"`{limit}` names no robot", next="Robots: " + ", ".join(inventory.robots))
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
    if not word:
        raise NoSuchRobot(
            "`!` stands alone", next="Write it before a name, without a space: !" + next(iter(inventory.robots))
        )
    if word == ALL:
        return set(inventory.robots)
    found = {name for name in inventory.robots if fnmatchcase(name, word)}
    for group, inside in inventory.groups.items():
        if fnmatchcase(group, word):
            found |= set(inside)
    if not found:
        known = [*inventory.robots, *inventory.groups]
        raise NoSuchRobot(
            f"no robot or group is named `{word}`{close(word, known)}",
            why=f"The inventory is {inventory.path}.",
            next="Robots: " + ", ".join(inventory.robots) + _listed("; groups: ", inventory.groups),
        )
    return found


def _option(path: Path) -> str:
    """` --robots FILE`; nothing where it is a project's own inventory."""
    return "" if path.name == INVENTORY else f" --robots {shlex.quote(str(path))}"


def _listed(title: str, names: Mapping[str, object]) -> str:
    return title + ", ".join(names) if names else ""


def _merge(parts: Parts, name: str, layers: Sequence[Layer]) -> Robot:
    values: dict[str, Value] = {key: one.default for key, one in SETTINGS.items() if one.default is not None}
    origins = dict.fromkeys(values, "built in")
    for layer in layers:
        values.update(layer.section.settings)
        origins.update(dict.fromkeys(layer.section.settings, layer.origin))
    values.setdefault("address", name)
    groups = tuple(layer.origin.removeprefix("group:") for layer in layers[1:-1])
    fields: dict[str, Any] = values
    return Robot(name=name, groups=groups, origins=origins, file=parts.path, **fields)


def _one_serial_each(parts: Parts, layers: Mapping[str, Sequence[Layer]], robots: Mapping[str, Robot]) -> None:
    """Robots are known by their serials: the same one twice becomes a problem, in the line that says it last."""
    first: dict[str, str] = {}
    for name, robot in robots.items():
        if robot.serial is None:
            continue
        if robot.serial in first:
            says = next(layer.section for layer in reversed(layers[name]) if "serial" in layer.section.settings)
            parts.problem(
                says.lines["serial"], f"serial {robot.serial} of robot `{name}` is that of `{first[robot.serial]}`, too"
            )
        first.setdefault(robot.serial, name)


def _signed_by_somebody(parts: Parts, layers: Mapping[str, Sequence[Layer]], robots: Mapping[str, Robot]) -> None:
    """Signatures can be demanded only where it is said whose count: anything else is a problem, told once a line."""
    for name, robot in robots.items():
        if robot.signed and robot.signers is None:
            says = next(layer.section for layer in reversed(layers[name]) if "signed" in layer.section.settings)
            parts.problem(says.lines["signed"], "signed is true and `signers` names no file of those who may sign")


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
