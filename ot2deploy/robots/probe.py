"""Asks a robot what it is and what is on it, and finds the profile for that."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builder import profile, profile_host
from builder.checks import facts as facts_module
from builder.errors import Failure
from builder.profile import Profile
from ot2deploy.errors import CommandFailure, RobotUnsupported
from ot2deploy.inventory import Robot
from ot2deploy.robots import state as robot_state
from ot2deploy.robots.state import EnvironmentState, RobotState
from ot2deploy.transport import Session, command, wording

__all__ = ["EnvironmentState", "RobotState", "facts", "probe", "profile_for", "read_state"]

OLDEST = (3, 8)  # what the agent runs on
WORD = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,60}"
# The facts that profiles are made of, and what their texts look like; the interpreter that says them is a robot's.
NEEDED = {
    "implementation": WORD, "machine": WORD, "system": WORD, "python": r"[0-9]{1,2}\.[0-9]{1,3}",
    "full_version": r"[0-9]{1,2}(\.[0-9]{1,3}){1,2}[a-z0-9+]{0,20}",
    "glibc": r"([0-9]{1,4}\.[0-9]{1,4}(\.[0-9]{1,4})?)?", "mac_version": r"([0-9]{1,4}(\.[0-9]{1,4})*)?",
}  # fmt: skip
TIMEOUT = 60.0  # seconds; an emulated robot under load is slow


def probe(session: Session, robot: Robot, environment: str | None = None) -> tuple[RobotState, Profile]:
    """A robot's brief state and profile: one command, and a second one where its interpreter is not known yet.

    Raises ConnectionLost, CommandFailure, AgentTooNew, RobotUnsupported, AnotherRobot.
    """
    state = read_state(session, robot, environment, brief=True)
    stored = state.facts if state.facts and are_facts(state.facts) else None
    return state, profile_for(robot, stored or facts(session, robot, state))


def read_state(session: Session, robot: Robot, environment: str | None = None, *, brief: bool = False) -> RobotState:
    """A robot's state, with one environment or all (None). Changes nothing and needs no Python there.

    Raises RobotUnsupported for a simulated robot whose root the inventory does not name: ours would be this computer's;
    AnotherRobot where it has another serial number than the inventory says.
    """
    asked = robot_state.command(root=robot.root, base=robot.base_path, environment=environment, brief=brief)
    state = robot_state.parse(robot.name, session.run(asked, timeout=TIMEOUT).stdout)
    if state.simulated and state.simulated != robot.root:
        raise RobotUnsupported(
            f"this is a simulated robot; its entry needs root: {state.simulated}",
            subject=robot.name,
            why="Without it, commands would write into /var of the computer that simulates it. Nothing was changed.",
            next="Use the lab.yaml that `ot2deploy sim up` wrote (--robots lab.yaml), or add that line to the entry.",
        )
    if robot.serial and state.serial not in ("", robot.serial):
        raise wording.another_robot(robot, state.serial)
    return state


def facts(session: Session, robot: Robot, state: RobotState) -> Mapping[str, Any]:
    """What the robot's interpreter says of itself; runs builder/checks/facts.py in it. Raises RobotUnsupported."""
    if state.interpreter is None:
        raise RobotUnsupported(
            "it has no /usr/bin/python3",
            subject=robot.name,
            why="This is no OT-2, or its system is damaged.",
            next="Check the address in the inventory.",
        )
    source = Path(facts_module.__file__).read_bytes()
    python = robot.system_path("/usr/bin/python3")
    done = session.run(command(python, "-I", "-"), input=source, timeout=TIMEOUT)
    try:
        found: Mapping[str, Any] = json.loads(done.stdout)
        if not (isinstance(found, dict) and are_facts(found)):
            raise ValueError("these are no facts")
    except (ValueError, RecursionError):
        raise CommandFailure(
            "its Python does not say what it is",
            subject=robot.name,
            why=f"It ended with status {done.status}.",
            details=tuple(done.error.splitlines()[-8:]),
        ) from None
    return found


def are_facts(value: Mapping[str, Any]) -> bool:
    """Whether this has all the facts that a profile is made of, each as an interpreter of ours says it."""
    texts = {**value, "glibc": "" if value.get("glibc") is None else value["glibc"]}  # None: it is another C library
    said = all(isinstance(texts.get(name), str) and re.fullmatch(shape, texts[name]) for name, shape in NEEDED.items())
    return said and value.get("hard_float", ...) in (None, True, False)


def profile_for(robot: Robot, facts: Mapping[str, Any]) -> Profile:
    """The profile that fits an interpreter's facts: the one the inventory names, a shipped one, or a draft for
    robots that are like this computer (simulated ones). Raises RobotUnsupported, UsageFailure.
    """
    if tuple(int(part) for part in facts["python"].split(".")) < OLDEST:
        raise RobotUnsupported(
            f"it runs Python {facts['full_version']}, which is too old",
            subject=robot.name,
            why="Robot software before 7.2 brings Python 3.7, for which hardly any wheel is made now.",
            next="Update the robot's software to 7.2 or newer with the Opentrons App, then try again.",
        )
    if robot.profile is not None:
        return _named(robot, facts)
    found = profile_host.match(facts)
    if found is not None:
        return found
    draft = _draft(robot, facts)
    if facts["machine"] != facts_module.machine():
        raise RobotUnsupported(
            f"no profile fits it: CPython {facts['python']} on {facts['system']} {facts['machine']}",
            subject=robot.name,
            why="Wheels are built for known profiles only: " + ", ".join(profile.names()) + ".",
            next=f"A profile for it would begin like the lines above; see builder/profiles. This computer: "
            f"{platform.machine()}.",
            details=tuple(f"{key} = {json.dumps(value)}" for key, value in draft.as_dict().items()),
        )
    return draft


def _named(robot: Robot, facts: Mapping[str, Any]) -> Profile:
    named = profile.load(str(robot.profile))
    found = profile_host.match({**facts})
    fits = (named.python, named.machine, named.system) == (facts["python"], facts["machine"], facts["system"])
    if not fits or (named.glibc and facts["glibc"] and named.glibc > _version(facts["glibc"])):
        is_one = f"; it is {found.name}" if found else ""
        raise RobotUnsupported(
            f"the inventory says {named.name}, the robot is CPython {facts['python']} on {facts['machine']}{is_one}",
            subject=robot.name,
            why="A system update changes the profile; so does another robot at this address.",
            next="Correct `profile` in the inventory, or leave it out.",
        )
    return named


def _draft(robot: Robot, facts: Mapping[str, Any]) -> Profile:
    try:
        return profile_host.draft(facts)
    except Failure as failure:
        raise RobotUnsupported(failure.what, subject=robot.name, why=failure.why) from failure


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2])
