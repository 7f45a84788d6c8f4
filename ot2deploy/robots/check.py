"""Reaches every robot of the inventory and says how far: network, host key, login, serial number, platform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from builder.errors import ConfigFailure, Failure
from ot2deploy import fleet
from ot2deploy.errors import (
    AnotherRobot,
    AuthRefused,
    ConnectionFailure,
    HostKeyChanged,
    HostKeyUnknown,
)
from ot2deploy.fleet import Outcome
from ot2deploy.inventory import Robot
from ot2deploy.inventory.edit import set_setting
from ot2deploy.robots.probe import probe
from ot2deploy.transport import Session
from ot2deploy.visit import Fleet

Step = Literal["network", "host key", "login", "serial", "platform"]
STEPS: tuple[Step, ...] = ("network", "host key", "login", "serial", "platform")


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a robot that could be reached is. `kept` says that its serial number was written into the inventory."""

    serial: str
    software: str
    profile: str
    python: str
    kept: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The robot as JSON."""
        return dict(self.__dict__)


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """How far each robot could be reached."""

    outcomes: tuple[Outcome[Checked], ...]

    @property
    def exit_code(self) -> int:
        """0 when every robot is fine, 1 when none, 3 when some."""
        return fleet.exit_code(outcome.ok for outcome in self.outcomes)

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON; `stopped_at` is the step that failed, or null."""
        return {
            "robots": [{**outcome.as_dict(), "stopped_at": stopped_at(outcome.failure)} for outcome in self.outcomes]
        }


def check(request: Fleet, *, keep_serials: bool = False) -> CheckResult:
    """Asks every selected robot what it is; changes nothing on it.

    With `keep_serials` the serial number of a robot that has none in the inventory is written there.
    """

    def ask(session: Session, robot: Robot) -> Checked:
        state, profile = probe(session, robot)
        return Checked(serial=state.serial, software=state.software, profile=profile.name, python=profile.python)

    outcomes: Sequence[Outcome[Checked]] = request.visit(ask)
    return CheckResult(outcomes=tuple(_kept(one) if keep_serials else one for one in outcomes))


def stopped_at(failure: Failure | None) -> Step | None:
    """The step that a failure belongs to."""
    if failure is None:
        return None
    if isinstance(failure, HostKeyChanged | HostKeyUnknown):
        return "host key"
    if isinstance(failure, AuthRefused):
        return "login"
    if isinstance(failure, AnotherRobot | ConfigFailure):
        return "serial"
    return "network" if isinstance(failure, ConnectionFailure) else "platform"


def _kept(outcome: Outcome[Checked]) -> Outcome[Checked]:
    from dataclasses import replace

    robot, value = outcome.robot, outcome.value
    if value is None or not value.serial or robot.serial or robot.file is None:
        return outcome
    try:
        set_setting(robot.file, robot.name, "serial", value.serial)
    except ConfigFailure as failure:  # another entry has this serial: two names for one robot
        failure.subject = robot.name
        return Outcome(robot=robot, failure=failure)
    return replace(outcome, value=replace(value, kept=True))
