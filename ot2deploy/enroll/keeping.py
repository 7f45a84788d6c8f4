"""The keys of a fleet: a second computer's key let in, all of them listed, one taken away."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ot2deploy import fleet
from ot2deploy.enroll import authorized, identity
from ot2deploy.enroll.authorized import PublicKey
from ot2deploy.errors import KeyKept
from ot2deploy.fleet import Outcome
from ot2deploy.inventory import Robot
from ot2deploy.transport import Session, keys
from ot2deploy.visit import Fleet

ASKED_FOR = ("id_rsa", "id_ecdsa", "id_ed25519")  # what ssh tries without being told


@dataclass(frozen=True, kw_only=True)
class Held:
    """The keys that a robot lets in; `ours` are those of this computer, as "type base64"."""

    keys: tuple[PublicKey, ...]
    ours: frozenset[str]

    def as_dict(self) -> dict[str, Any]:
        """The keys as JSON."""
        return {"keys": [{**key.as_dict(), "this_computer": key.line in self.ours} for key in self.keys]}


@dataclass(frozen=True, kw_only=True)
class Changed:
    """The keys that were let in, or taken away."""

    keys: tuple[PublicKey, ...]

    def as_dict(self) -> dict[str, Any]:
        """The keys as JSON."""
        return {"changed": bool(self.keys), "keys": [key.as_dict() for key in self.keys]}


@dataclass(frozen=True, kw_only=True)
class KeysResult:
    """What was found or done on each robot."""

    outcomes: tuple[Outcome[Any], ...]

    @property
    def exit_code(self) -> int:
        """0 when it went well on every robot, 1 when on none, 3 when on some."""
        return fleet.exit_code(outcome.ok for outcome in self.outcomes)

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        return {"robots": [outcome.as_dict() for outcome in self.outcomes]}


def list_keys(where: Fleet) -> KeysResult:
    """The keys that each selected robot lets in."""
    own = _own_lines()

    def work(session: Session, robot: Robot) -> Held:
        ours = frozenset({*own, *_usable(robot)})
        return Held(keys=authorized.read(session, robot), ours=ours)

    return KeysResult(outcomes=tuple(where.visit(work)))


def let_in(where: Fleet, new: tuple[PublicKey, ...]) -> KeysResult:
    """Lets keys in on each selected robot, over SSH; a robot that has them is left as it is."""
    return KeysResult(
        outcomes=tuple(where.visit(lambda session, robot: Changed(keys=authorized.add(session, robot, new))))
    )


def revoke(where: Fleet, word: str, *, force: bool = False) -> KeysResult:
    """Takes the key with that fingerprint or comment off each selected robot that has it.

    A robot's last key always stays; the last one that this computer can log in with stays unless `force`.
    """

    def work(session: Session, robot: Robot) -> Changed:
        gone: list[PublicKey] = []

        def without(text: str) -> str:
            lines = text.splitlines(keepends=True)
            there = [key for line in lines if (key := authorized.parse(line))]
            gone[:] = _meant(there, word, robot)
            _may_go(gone, there, robot, force=force)
            lost = {key.line for key in gone}
            return "".join(line for line in lines if not ((key := authorized.parse(line)) and key.line in lost))

        authorized.change(session, robot, without)
        return Changed(keys=tuple(gone))

    return KeysResult(outcomes=tuple(where.visit(work)))


def _meant(there: list[PublicKey], word: str, robot: Robot) -> list[PublicKey]:
    """The key of a fingerprint, or of a comment that only one has. Raises KeyKept."""
    found = {key.line: key for key in there if word in (key.fingerprint, key.fingerprint.removeprefix("SHA256:"))}
    found = found or {key.line: key for key in there if word == key.comment}
    if len(found) > 1:
        raise KeyKept(
            f"{len(found)} keys have the comment {word!r}; all of them stay",
            subject=robot.name,
            details=tuple(f"{key.kind} {key.fingerprint}" for key in found.values()),
            next="Name the fingerprint of the one that is to go.",
        )
    return list(found.values())


def _may_go(gone: list[PublicKey], there: list[PublicKey], robot: Robot, *, force: bool) -> None:
    """Raises KeyKept where nobody could log in afterwards or, without `force`, where we could not."""
    lost = {key.line for key in gone}
    left = {key.line for key in there} - lost
    if gone and not left:
        raise KeyKept(
            "this is its last key, which stays",
            subject=robot.name,
            why="Without a key nobody can log in to the robot any more, but by USB.",
            next="Let another key in first: ot2deploy robot enroll --key FILE.pub",
        )
    usable = _usable(robot)
    if lost & usable and not left & usable and not force:
        raise KeyKept(
            "this is the key that this computer logs in with; it stays",
            subject=robot.name,
            why="Afterwards this computer could not reach the robot any more.",
            next="Do it from another computer, or say --force.",
        )


def _usable(robot: Robot) -> frozenset[str]:
    """The keys that a login to a robot would try, as "type base64"."""
    agent = identity.agent_lines()
    if robot.identity_file is not None:
        found = keys.look(robot.identity_file)
        return frozenset([found.line] if found and found.state == "usable" else agent)
    files = [keys.look(identity.HOME.expanduser() / name) for name in ASKED_FOR]
    return frozenset([*agent, *_lines(files)])


def _own_lines() -> tuple[str, ...]:
    """Every key of this computer, whether a login would try it or not."""
    return (
        *identity.agent_lines(),
        *_lines([keys.look(path) for path in identity.files_of(identity.HOME.expanduser())]),
    )


def _lines(found: Collection[keys.KeyFile | None]) -> list[str]:
    return [one.line for one in found if one and one.line]
