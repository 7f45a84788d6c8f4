"""Enrolling one robot: host key, our key on it, login, address, inventory. Doing it again changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from builder.errors import Failure
from ot2deploy.enroll import addresses, entry
from ot2deploy.enroll.choice import Choice
from ot2deploy.enroll.discover import Seen
from ot2deploy.enroll.identity import Identity, comment, near
from ot2deploy.enroll.person import Person
from ot2deploy.errors import AuthRefused, ConnectionFailure
from ot2deploy.inventory import Inventory, Robot
from ot2deploy.robots import api
from ot2deploy.robots.find import Place, ask
from ot2deploy.robots.probe import read_state
from ot2deploy.transport import wording
from ot2deploy.transport.ssh import connect, show_host_key

Did = Literal["added", "updated", "no change"]


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """A robot that we can log in to, as the inventory has it; `posted` says that our key was put on it just now."""

    robot: Robot
    seen: Seen
    did: Did
    posted: bool
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The robot as JSON."""
        about, robot = self.seen.about, self.robot
        return {
            "robot": robot.name,
            "did": self.did,
            "serial": about.serial,
            "name": about.name,
            "software": about.software,
            "address": robot.address,
            "port": robot.port,
            "http_port": robot.http_port,
            "by": self.seen.by,
            "fingerprint": wording.fingerprint(str(robot.host_key)),
            "posted": self.posted,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What enrolling works with: the inventory's file, our keys, and whom to ask."""

    path: Path
    keys: Choice
    person: Person


def enroll(desk: Desk, seen: Seen, named: Robot | None = None) -> Enrolled | None:
    """Enrolls a robot that answered, as the entry that is its own or that was `named`; None where a person left it out.

    Raises RobotFailure; then the inventory is as it was, and the robot has our key at most.
    """
    person, about = desk.person, seen.about
    known = entry.load(desk.path)
    draft = _draft(seen)
    shown = show_host_key(draft)
    before = named or entry.entry_of(known, seen, shown)
    person.tell(f"Found {about.name}, serial {about.serial}, software {about.software}, at {_where(seen)}")
    person.tell(f"  It shows the host key {wording.fingerprint(shown)}")
    if before is not None:
        person.tell(f"  It is {before.name} of {desk.path.name}")
        _same_key(before, shown, seen, person)
    name = before.name if before else _named(desk, known, seen)
    if not name:
        return None
    identity = desk.keys.of(before)
    draft = replace(draft, name=name, host_key=shown, identity_file=identity.file, serial=about.serial)
    posted = _let_in(draft, identity)
    notes: list[str] = []
    settings = _settled(draft, seen, notes)
    if not before and name != about.name:
        notes.append(f"it calls itself {about.name}")
    robot, changed = entry.write(desk.path, name, {**settings, **_file(identity)}, new=before is None)
    did: Did = ("updated" if before else "added") if changed else "no change"
    return Enrolled(robot=robot, seen=seen, did=did, posted=posted, notes=tuple(notes))


def _draft(seen: Seen) -> Robot:
    return Robot(
        name=seen.about.name,
        address=seen.about.address,
        port=seen.port,
        http_port=seen.about.http_port,
        origins={"port": "command line", "user": "command line"},
    )


def _where(seen: Seen) -> str:
    how = {"cable": "on the cable", "network": "in the network", "simulated": "simulated"}
    return f"{seen.about.address} ({how[seen.by]})"


def _same_key(before: Robot, shown: str, seen: Seen, person: Person) -> None:
    """Goes on where the host key is the pinned one, or where it may have changed. Raises HostKeyChanged.

    The serial number was said over HTTP, which has no login, so it proves nothing. On a cable the robot is the one that
    somebody plugged in; in the network only a person can say so.
    """
    if before.host_key is None or before.host_key == shown:
        return
    person.tell("  That is not the pinned host key. A factory reset makes a new one; so does somebody in between.")
    person.tell("  The serial number is the same, but it comes over HTTP without a login: anybody can say it.")
    if person.answers:
        known = "Was this robot reset?" if seen.takes_keys else "Was this robot reset, and is it surely this one?"
        if person.agrees(f"{known} Pin its new host key?"):
            return
    elif seen.takes_keys:
        person.tell("  It is on the cable: its new host key is pinned.")
        return
    failure = wording.changed_host_key(before, shown, before.host_key)
    failure.next = (
        "Plug it in by USB and run the same again, or run it at a terminal without --yes and answer yourself."
    )
    raise failure


def _named(desk: Desk, known: Inventory | None, seen: Seen) -> str:
    """The name of a robot that is new."""
    name = desk.person.name(entry.usual_name(known, seen))
    kept = entry.free(known, name) if name else ""
    if kept != name:
        desk.person.tell(f"  {name} is another robot's name: this one is called {kept}")
    return kept


def _let_in(robot: Robot, identity: Identity) -> bool:
    """Sees to it that our key opens the robot; returns whether it had to be put on it. Raises ConnectionFailure,
    CableNeeded, ApiFailure.
    """
    try:
        with connect(robot):
            return False
    except AuthRefused as refused:
        if not identity.can_be_posted:
            raise Failure(
                f"the robot does not know {identity}, and takes only RSA and ECDSA keys",
                subject=robot.name,
                next="Leave --identity-file out: a fitting key is found or made. Then add this one: "
                f"ot2deploy robot enroll --key {near(identity.file)}.pub",
            ) from refused
    api.hand_key(robot, f"{identity.line} {comment()}")
    try:
        with connect(robot):
            return True
    except AuthRefused as refused:
        refused.what = "it took our key, and does not let us in with it"
        refused.why = (
            "Another robot may answer at the SSH port than at the HTTP port, or its SSH server reads other keys."
        )
        refused.next = "Restart the robot and try again."
        raise


def _settled(robot: Robot, seen: Seen, notes: list[str]) -> Mapping[str, str | int]:
    """The settings with which the robot was reached at the address that lasts. Raises RobotFailure."""
    with connect(robot) as session:
        root, own = addresses.ask(session, robot.name)
        robot = replace(robot, root=root)
        read_state(session, robot, brief=True)  # the serial number, as it says it behind its host key
    if seen.by == "cable":
        robot = _lasting(robot, own, notes)
    return {
        **({"root": robot.root} if robot.root else {}),
        "address": robot.address,
        "port": robot.port,
        "http_port": robot.http_port,
        "host_key": str(robot.host_key),
        "serial": str(robot.serial),
        "user": robot.user,
    }


def _lasting(robot: Robot, own: tuple[str, ...], notes: list[str]) -> Robot:
    """The robot at an address of its own that is not the cable's, where a login there succeeds."""
    for address in own:
        about = ask(Place(address=address, http_port=robot.http_port))
        if about is None or about.serial != robot.serial:
            continue
        other = replace(robot, address=address)
        try:
            with connect(other) as session:
                read_state(session, other, brief=True)
            return other
        except ConnectionFailure as failure:
            notes.append(f"at {address}: {failure.what}")
    notes.append(
        f"reached by its cable only; once it is in your network: ot2deploy robot find {robot.name} --scan ADDRESS"
    )
    return robot


def _file(identity: Identity) -> Mapping[str, str]:
    return {"identity_file": near(identity.file)} if identity.file else {}
