"""Which of this computer's keys is put on robots: chosen once, its passphrase asked once, made where there is none."""

from __future__ import annotations

from pathlib import Path

from builder.errors import UsageFailure
from ot2deploy.enroll import identity
from ot2deploy.enroll.identity import Identity, near
from ot2deploy.enroll.person import Person
from ot2deploy.errors import AuthRefused
from ot2deploy.inventory import Robot
from ot2deploy.transport import keys
from ot2deploy.transport.keys import KeyFile

TRIES = 3


class Choice:
    """The key for each robot: the one `given`, else that of its entry, else the best at hand, else a new one."""

    def __init__(self, person: Person, given: Path | None = None, directory: Path | None = None) -> None:
        self._person, self._given, self._directory = person, given, directory
        self._best: Identity | None = None
        self._opened: dict[Path, Identity] = {}

    def of(self, robot: Robot | None) -> Identity:
        """The key for a robot, by its entry in the inventory (None for a new one). Raises UsageFailure, AuthRefused."""
        if self._given:
            return self._open(self._given)
        if robot is not None and robot.identity_file is not None:
            try:
                return self._open(robot.identity_file)
            except UsageFailure as failure:
                self._person.tell(f"  {robot.identity_file} of its entry is of no use: {failure.what}")
                return self._file()
        return self._any()

    def _any(self) -> Identity:
        if self._best is None:
            ring = identity.ring(self._directory)
            for note in ring.notes:
                self._person.tell(f"Note: {note}")
            self._best = next(iter(ring.usable), None) or self._unlocked(ring.locked) or self._new()
            self._person.tell(f"Robots get your {self._best}")
        return self._best

    def _file(self) -> Identity:
        """A key in a file, for an entry that names one."""
        best = self._any()
        return best if best.file else self._new()

    def _open(self, path: Path) -> Identity:
        """The key of a file, unlocked. Raises UsageFailure, AuthRefused."""
        found = self._opened.get(path) or identity.given(path)
        if isinstance(found, KeyFile):
            unlocked = self._unlocked((found,))
            if unlocked is None:
                raise AuthRefused(
                    f"the key {path} has a passphrase", next=f"Run: ssh-add {near(found.path)}   and the same again."
                )
            found = unlocked
        self._opened[path] = found
        return found

    def _unlocked(self, locked: tuple[KeyFile, ...]) -> Identity | None:
        """The first key that a person opens; None where there is none, or nobody to ask."""
        if not self._person.answers:
            return None
        for key in locked:
            for _ in range(TRIES):
                passphrase = self._person.passphrase(near(key.path))
                if not passphrase:
                    break
                opened = keys.unlock(key.path, passphrase)
                if opened is None:
                    self._person.tell("That is not its passphrase.")
                elif opened.line.startswith(identity.TAKEN_OVER_HTTP):
                    self._person.tell(
                        f"Later commands get it from the ssh agent, once you ran: ssh-add {near(key.path)}"
                    )
                    return Identity(line=opened.line, file=key.path)
                else:
                    self._person.tell(identity.explain(opened))
                    break
        return None

    def _new(self) -> Identity:
        made = identity.make(self._directory)
        self._person.tell(f"Made a new key for robots: {near(made.file)}")
        return made
