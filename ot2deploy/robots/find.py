"""Finds a robot whose address changed by its serial number, and writes the new address into the inventory."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from builder.errors import UsageFailure
from ot2deploy import fleet
from ot2deploy.errors import ApiFailure, NotFound
from ot2deploy.inventory import Inventory, Robot
from ot2deploy.inventory.edit import set_settings
from ot2deploy.robots.api import About, about

KNOCK = 2.0  # seconds until a port must answer; most addresses of a subnet are nobody's
AT_ONCE = 64
MOST = 4096  # addresses of one scan


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a robot may be: an address, and the port of its HTTP API."""

    address: str
    http_port: int


@dataclass(frozen=True, kw_only=True)
class Found:
    """Where the robot is, and who else answered. It has `moved` where the inventory says otherwise; `changed` is what
    was written.
    """

    robot: Robot
    about: About
    moved: bool
    changed: bool
    others: tuple[About, ...]

    @property
    def exit_code(self) -> int:
        """A robot that was not found is a failure instead."""
        return 0

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "robot": self.robot.name,
            "was": self.robot.address,
            "found": self.about.as_dict(),
            "moved": self.moved,
            "changed": self.changed,
            "others": [other.as_dict() for other in self.others],
        }


def find(inventory: Inventory, robot: Robot, scan: str = "", *, dry_run: bool = False) -> Found:
    """Looks for a robot where `scan` says (see `places`), else at the inventory's own addresses and at NAME.local.

    The one with the robot's serial number is taken; its address, and its HTTP port where that is another one, are
    written into the inventory. Its pinned host key stays, which proves at the next login that it is the robot.
    Raises UsageFailure for a robot without a serial number, NotFound.
    """
    if robot.serial is None:
        raise UsageFailure(
            "the inventory does not say its serial number",
            subject=robot.name,
            why="Robots are found by their serial numbers: names and addresses change.",
            next=f"While it is reachable, run: ot2deploy robot check --keep-serials --limit {robot.name}"
            f"{robot.file_option}   or write the number into its entry.",
        )
    asked = places(scan, robot.http_port) if scan else _usual(inventory, robot)
    answers = [answer for answer in fleet.each(asked, ask, jobs=AT_ONCE) if answer]
    here = [answer for answer in answers if answer.serial == robot.serial]
    others = tuple(answer for answer in answers if answer.serial != robot.serial)
    if not here:
        raise _not_found(robot, asked, others)
    best = next((answer for answer in here if answer.address == robot.address), here[0])
    changes: dict[str, str | int] = {}
    if best.address != robot.address:
        changes["address"] = best.address
    if best.http_port != robot.http_port:
        changes["http_port"] = best.http_port
    changed = False
    if changes and robot.file and not dry_run:
        changed = set_settings(robot.file, robot.name, changes)
    return Found(robot=robot, about=best, moved=bool(changes), changed=changed, others=others)


def places(text: str, port: int, *, option: str = "--scan") -> tuple[Place, ...]:
    """Addresses out of "192.168.1.0/24,otto.local,10.0.0.5:31951,[fe80::1]:31950", each once and in their order.

    `port` is that of those without one. Raises UsageFailure with everything in the `option` that is none.
    """
    found: dict[Place, None] = {}
    problems: list[str] = []
    for word in filter(None, re.split(r"[,\s]+", text)):
        try:
            found.update(dict.fromkeys(_places(word, port)))
        except ValueError as error:
            problems.append(f"`{word}` {error}")
    if not found and not problems:
        problems.append("it names no address")
    if len(found) > MOST:
        problems.append(f"these are {len(found)} addresses; {MOST} at most are asked at once")
    if problems:
        raise UsageFailure(
            f"{option}: " + "; ".join(problems),
            next=f"For example: {option} 192.168.1.0/24   or {option} 10.0.0.5,otto.local",
        )
    return tuple(found)


def _places(word: str, port: int) -> Iterator[Place]:
    if "/" in word:
        try:
            network = ipaddress.ip_network(word, strict=False)
        except ValueError:
            raise ValueError("is no network such as 192.168.1.0/24") from None
        if network.num_addresses > 2 * MOST:
            raise ValueError("is too large a network; name a smaller part of it")
        yield from (Place(address=str(address), http_port=port) for address in network.hosts())
        return
    shape = re.fullmatch(r"\[([0-9A-Fa-f:.%\w-]+)\](?::(\d+))?|([^\s:/@\[\]]+)(?::(\d+))?|([0-9A-Fa-f:]+)", word)
    if shape is None:
        raise ValueError("is no address, ADDRESS:PORT or network")
    chosen = int(shape[2] or shape[4] or port)
    if not 1 <= chosen <= 65535:
        raise ValueError("has no port from 1 to 65535")
    yield Place(address=shape[1] or shape[3] or shape[5], http_port=chosen)


def _usual(inventory: Inventory, robot: Robot) -> tuple[Place, ...]:
    """Its own address, those of the others, for addresses are swapped, and the name that it may tell the network."""
    known = [robot, *(other for other in inventory.robots.values() if other.name != robot.name)]
    found = [Place(address=one.address, http_port=one.http_port) for one in known if not one.via]
    return tuple(dict.fromkeys((*found, Place(address=f"{robot.name}.local", http_port=robot.http_port))))


def ask(place: Place) -> About | None:
    """Who is there; None where nobody answers, or somebody who is no robot."""
    try:
        socket.create_connection((place.address, place.http_port), timeout=KNOCK).close()
        return about(place.address, place.http_port)
    except (OSError, UnicodeError, ApiFailure):
        return None


def _not_found(robot: Robot, asked: Iterable[Place], others: Iterable[About]) -> NotFound:
    count = len(list(asked))
    return NotFound(
        f"no robot with serial {robot.serial} answers ({count} {'address' if count == 1 else 'addresses'} asked)",
        subject=robot.name,
        details=tuple(f"{one.address}: {one.name}, serial {one.serial}" for one in others),
        why="It is off or starting, or on another network.",
        next="Name where to look: "
        f"ot2deploy robot find {robot.name}{robot.file_option} --scan {_subnet(robot.address)}",
    )


def _subnet(address: str) -> str:
    try:
        return str(ipaddress.IPv4Network(f"{address}/24", strict=False))
    except ValueError:
        return "192.168.1.0/24"
