"""`robot enroll`: one robot after the other, as a person plugs them in, or those that are there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from builder.errors import Failure, UsageFailure
from ot2deploy import fleet
from ot2deploy.enroll import discover, entry
from ot2deploy.enroll.choice import Choice
from ot2deploy.enroll.discover import SECONDS, SSH_PORT, Seen, Sight
from ot2deploy.enroll.person import Person, ThatWasAll
from ot2deploy.enroll.robot import Desk, Enrolled, enroll
from ot2deploy.errors import EXIT_INTERRUPTED, CableNeeded, HostKeyChanged, NoSuchRobot, NotFound
from ot2deploy.inventory import Robot
from ot2deploy.project import Project

PATIENCE = 30.0  # seconds that a robot that was just plugged in is waited for
PAUSE = 1.0


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to enroll, into which inventory. `addresses` as for `discover.look`; `once` asks for no further robot.

    With a `name` it is that robot of the inventory, and no other one.
    """

    project: Project
    path: Path
    name: str = ""
    addresses: str = ""
    port: int | None = None
    identity_file: Path | None = None
    once: bool = False
    seconds: float = SECONDS

    def look(self) -> Sight:
        """Who is there now."""
        return discover.look(self.project, self.addresses, port=self.port or SSH_PORT, seconds=self.seconds)


@dataclass(kw_only=True)
class Enrolling:
    """What became of each robot so far: enrolled, or `failed` at last, by its serial number or the name given."""

    path: Path
    done: list[Enrolled] = field(default_factory=list)
    failed: dict[str, Failure] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """0 when every robot was enrolled, 1 when none, 3 when some; 130 after Ctrl-C, which leaves what was done."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        return fleet.exit_code([*(True for _ in self.done), *(False for _ in self.failed)])

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "inventory": str(self.path),
            "robots": [one.as_dict() for one in self.done],
            "failures": [failure.as_dict() for failure in self.failed.values()],
            "interrupted": self.interrupted,
        }


def run(request: Request, person: Person) -> Enrolling:
    """Enrolls robots until nobody plugs in another one. Raises NotFound where none was there at all, UsageFailure.

    Ctrl-C ends it, too: each robot that was enrolled by then is in the inventory.
    """
    result = Enrolling(path=request.path)
    desk = Desk(path=request.path, keys=Choice(person, request.identity_file), person=person)
    try:
        if request.name:
            _one(desk, result, request.name, lambda: _named(desk, request))
        else:
            _all(desk, request, result)
    except ThatWasAll:
        person.tell("  Left out.")
    except KeyboardInterrupt:
        result.interrupted = True
    return result


def _all(desk: Desk, request: Request, result: Enrolling) -> None:
    person, met = desk.person, set[str]()
    again = person.answers and not request.once and not request.addresses
    sight = request.look()
    for note in sight.notes:
        person.tell(note)
    while True:
        for seen in _new(sight, request, met):
            met.add(seen.about.serial)
            _one(desk, result, seen.about.serial, partial(enroll, desk, seen))
        if not again:
            break
        if not person.plugged_in():
            return
        met -= result.failed.keys()  # they are tried again
        sight = _awaited(request, met, person)
    if not met:
        raise _nobody(sight, request)


def _new(sight: Sight, request: Request, met: set[str]) -> list[Seen]:
    """The robots that are to be enrolled now: those that take a key, and all that were named by their address."""
    return [seen for seen in sight.robots if seen.about.serial not in met and (seen.takes_keys or request.addresses)]


def _awaited(request: Request, met: set[str], person: Person) -> Sight:
    """Looks until a robot is there that was not met yet, for half a minute at most."""
    person.tell("Looking for it ...")
    end = time.monotonic() + PATIENCE
    while True:
        sight = request.look()
        if _new(sight, request, met):
            return sight
        if time.monotonic() > end:
            person.tell("No other robot is on a cable. It needs a minute to start; then try again.")
            return sight
        time.sleep(PAUSE)


def _one(desk: Desk, result: Enrolling, key: str, work: Callable[[], Enrolled | None]) -> None:
    """One robot's part; its failure is told and kept, and does not stop the others."""
    try:
        done = work()
    except (UsageFailure, NotFound):
        raise
    except Failure as failure:
        for line in failure.lines():
            desk.person.tell(f"  {line}")
        result.failed[key] = failure
        return
    result.failed.pop(key, None)
    if done is not None:
        result.done.append(done)
        what = "your key is on it now" if done.posted else "your key was on it"
        desk.person.tell(f"  {done.robot.name}: {what}; the login works; {done.did} in {result.path.name}")


def _named(desk: Desk, request: Request) -> Enrolled | None:
    """Enrolls a robot of the inventory again: at its own address, else on the cable. Raises NoSuchRobot, NotFound."""
    known = entry.load(request.path)
    robots = dict(known.robots) if known else {}
    if request.name not in robots:
        raise NoSuchRobot(
            f"no robot is named `{request.name}`",
            next="Without a name, new robots are enrolled: ot2deploy robot enroll"
            + (f"\nRobots: {', '.join(robots)}" if robots else ""),
        )
    robot = robots[request.name]
    if robot.via:
        raise UsageFailure(
            f"it is reached through {robot.via}, and its HTTP API not at all",
            subject=robot.name,
            next="Run this on a computer that can be plugged into it.",
        )
    if request.addresses:
        return enroll(desk, _that(robot, request.look().robots, request), robot)
    own = replace(request, addresses=_own(robot), port=request.port or robot.port)
    there = [seen for seen in own.look().robots if robot.serial in (None, seen.about.serial)]
    if not there:
        return enroll(desk, _that(robot, request.look().robots, request), robot)
    try:
        return enroll(desk, there[0], robot)
    except (CableNeeded, HostKeyChanged):
        plugged = [seen for seen in request.look().robots if seen.takes_keys and seen.about.serial == robot.serial]
        if not plugged:
            raise
        return enroll(desk, plugged[0], robot)


def _own(robot: Robot) -> str:
    address = f"[{robot.address}]" if ":" in robot.address else robot.address
    return f"{address}:{robot.http_port}"


def _that(robot: Robot, robots: tuple[Seen, ...], request: Request) -> Seen:
    """The one of them that is the robot. Raises NotFound, UsageFailure."""
    here = [seen for seen in robots if robot.serial in (None, seen.about.serial)]
    if robot.serial is None and not request.addresses:
        raise NotFound(
            "it does not answer at its address, and the inventory does not say its serial number",
            subject=robot.name,
            next=f"Name its address: ot2deploy robot enroll {robot.name}{robot.file_option} --address ADDRESS",
        )
    if len(here) != 1:
        raise NotFound(
            f"no robot with serial {robot.serial} answers" if robot.serial else "more than one robot answers",
            subject=robot.name,
            details=tuple(f"{seen.about.address}: {seen.about.name}, serial {seen.about.serial}" for seen in robots),
            why="It is off or starting, or not plugged in.",
            next="Plug it into this computer by USB, wait a minute, and run the same again.",
        )
    return here[0]


def _nobody(sight: Sight, request: Request) -> NotFound:
    others = [seen for seen in sight.robots if not seen.takes_keys]
    where = f"at {request.addresses}" if request.addresses else "on a USB cable"
    return NotFound(
        f"no robot answers {where}",
        details=tuple(
            f"in the network: {seen.about.name}, serial {seen.about.serial}, at {seen.about.address}" for seen in others
        ),
        why="A robot needs a minute to start. Robots take keys over a cable only."
        + (" Where your key is on a robot already, name its address." if others else ""),
        next="Plug the robot into this computer by USB, or name it: ot2deploy robot enroll --address "
        + (others[0].about.address if others else "ADDRESS"),
    )
