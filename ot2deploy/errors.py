"""The robot branch of the error tree, and the exit codes of the product.

builder.errors.Failure
+-- RobotFailure                 about one robot; `subject` is its name (exit 1)
|   +-- ConnectionFailure        no session with the robot
|   |   +-- Unreachable          no answer at its address
|   |   +-- ConnectionLost       a session broke off; worth trying again
|   |   +-- AuthRefused          the robot does not accept our key
|   |   +-- HostKeyUnknown       its host key is not in the inventory
|   |   +-- HostKeyChanged       its host key is another one than the pinned one
|   |   +-- AnotherRobot         it has another serial number than the inventory says
|   +-- ApiFailure               its HTTP API does not answer, or not as a robot does
|   |   +-- CableNeeded          it takes SSH keys over a USB cable only
|   +-- KeyKept                  an SSH key stays on it, for nobody could log in any more
|   +-- Busy                     it does something that must not be disturbed
|   +-- NotRestarted             it was to be restarted, and does something else or cannot be asked
|   +-- NoKernel                 an environment or robot that Jupyter can have no kernel of
|   +-- NotBack                  it was told to restart, and does not answer again
|   +-- NotFound                 no robot of that serial number answered where we looked
|   +-- CommandFailure           a command on the robot ended badly
|   +-- AgentFailure             the agent answered something we cannot use
|   |   +-- AgentTooNew          what is on the robot was written by a newer ot2deploy
|   +-- RobotUnsupported         a system or interpreter we cannot serve (Python 3.7, no profile)
|   +-- RobotUnsafe              installing would harm it now (root file system writable)
|   +-- BaseUnusable             the base directory cannot keep releases (read-only, or in memory)
|   +-- MemoryShort              not enough memory is free on it
|   +-- SharedConflict           what is to be shared does not fit what the robot has of its own
|   +-- Locked                   another push holds it
|   +-- Unlocked                 somebody ended our session on it by force
|   +-- InUse                    programs run from what would be removed
|   +-- DiskFull                 not enough room on it
|   +-- TransferFailure          bytes arrived damaged, again and again
|   +-- InstallFailed            pip, or the unpacking, failed there
|   +-- CheckFailed              a check of the release failed (previous release stays current)
|   +-- RolledBack               the new release failed after the switch and was taken back (exit 4)
|   +-- SignatureRefused         the inventory demands a signature that the bundle has not
|   +-- NotInstalled             the environment is not on this robot
|   +-- NoPrevious               nothing to roll back to
+-- UsageFailure
|   +-- NoInventory              the inventory file is missing
|   +-- NoSuchRobot              a name or pattern that fits no robot
+-- Interrupted                  the user stopped us (exit 130)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from builder.errors import Failure, UsageFailure

EXIT_OK = 0  # done, or nothing to do
EXIT_FAILED = 1  # every robot failed, or the one thing asked for
EXIT_USAGE = 2  # command line or a configuration file
EXIT_PARTIAL = 3  # some robots did, some did not
EXIT_ROLLED_BACK = 4  # a release failed after the switch and the previous one is current again
EXIT_INTERRUPTED = 130  # Ctrl-C, as shells report it


class RobotFailure(Failure):
    """Something went wrong with one robot; the others go on. `subject` is the robot's name.

    Where the agent reported it, `agent_code` is the agent's own code and `values` what it added as data. `also` is what
    else was found beside it, before anything was sent.
    """

    code = "robot"
    agent_code: str = ""
    values: Mapping[str, Any] = {}
    also: Sequence[RobotFailure] = ()

    def as_dict(self) -> dict[str, object]:
        """The failure as JSON, with what else was found where there is something."""
        return super().as_dict() | ({"also": [other.as_dict() for other in self.also]} if self.also else {})


class ConnectionFailure(RobotFailure):
    """There is no SSH session with the robot."""

    code = "connection"


class Unreachable(ConnectionFailure):
    """Nothing answers at the robot's address and port."""

    code = "unreachable"


class ConnectionLost(ConnectionFailure):
    """A session broke off. What was under way may or may not have happened; steps are idempotent, so try again."""

    code = "connection-lost"


class AuthRefused(ConnectionFailure):
    """The robot does not accept our key."""

    code = "auth-refused"


class HostKeyUnknown(ConnectionFailure):
    """The inventory pins no host key for the robot; `line` is the one it showed, "" where it was not asked.

    Nothing was sent.
    """

    code = "host-key-unknown"

    def __init__(self, what: str, *, line: str, why: str = "", next: str = "", subject: str = "") -> None:
        self.line = line
        super().__init__(what, why=why, next=next, subject=subject, details=(f"it shows: {line}",) if line else ())


class HostKeyChanged(ConnectionFailure):
    """The robot shows another host key than the pinned one; nothing was sent."""

    code = "host-key-changed"


class AnotherRobot(ConnectionFailure):
    """The robot that answers has another serial number than the inventory says; nothing was changed on it."""

    code = "another-robot"


class ApiFailure(RobotFailure):
    """The robot's HTTP API does not answer, or what answers there is no robot; `status` is HTTP's, where it did."""

    code = "robot-api"
    status: int | None = None


class CableNeeded(ApiFailure):
    """A robot takes SSH keys over a cable only, and was asked over the network."""

    code = "cable-needed"


class KeyKept(RobotFailure):
    """An SSH key was not taken off a robot: nobody, or not we, could log in afterwards."""

    code = "key-kept"


class Busy(RobotFailure):
    """The robot does something that must not be disturbed."""

    code = "busy"


class NotRestarted(RobotFailure):
    """A robot that was to be restarted does something else, or cannot be asked; its new release is current."""

    code = "not-restarted"


class NoKernel(RobotFailure):
    """Jupyter can have no kernel of this environment, or on this robot."""

    code = "no-kernel"


class NotBack(RobotFailure):
    """A robot that was told to restart does not answer again."""

    code = "not-back"


class NotFound(RobotFailure):
    """No robot of that serial number answered where we looked; `details` name those that did answer."""

    code = "robot-not-found"


class CommandFailure(RobotFailure):
    """A command of ours ended badly on the robot; `details` hold the end of its output."""

    code = "robot-command"


class AgentFailure(RobotFailure):
    """The agent on the robot answered with an error we have no better word for, or with something unreadable."""

    code = "agent"


class AgentTooNew(AgentFailure):
    """State on the robot was written by a newer ot2deploy."""

    code = "agent-too-new"


class RobotUnsupported(RobotFailure):
    """The robot's system cannot be served."""

    code = "robot-unsupported"


class RobotUnsafe(RobotFailure):
    """Installing now could harm the robot's own software."""

    code = "robot-unsafe"


class BaseUnusable(RobotFailure):
    """The file system of the base directory cannot keep releases: it is read-only, or lost with the next restart."""

    code = "base-unusable"


class MemoryShort(RobotFailure):
    """The robot has too little free memory for an installation."""

    code = "memory"


class SharedConflict(RobotFailure):
    """A shared install does not fit what protocols on the robot import already; nothing was switched."""

    code = "shared-conflict"


class Locked(RobotFailure):
    """Another run holds the robot; `holder` says who, since when and which run."""

    code = "locked"

    def __init__(
        self, what: str, *, holder: dict[str, object] | None = None, why: str = "", next: str = "", subject: str = ""
    ) -> None:
        self.holder = dict(holder or {})
        super().__init__(what, why=why, next=next, subject=subject)


class Unlocked(RobotFailure):
    """Somebody ended our session on the robot with `robot unlock --force`; what was current stays current."""

    code = "unlocked"


class InUse(RobotFailure):
    """Programs on the robot run from what would be removed; `details` name them."""

    code = "in-use"


class DiskFull(RobotFailure):
    """There is not enough room on the robot."""

    code = "disk-full"


class TransferFailure(RobotFailure):
    """A file arrived damaged although it was sent more than once."""

    code = "transfer"


class InstallFailed(RobotFailure):
    """The installation of a release failed on the robot; what was current stays current."""

    code = "install-failed"


class CheckFailed(RobotFailure):
    """A check of a release failed; `details` name the check and its output, `results` are those of all checks."""

    code = "check-failed"
    results: Sequence[Mapping[str, Any]] = ()


class RolledBack(RobotFailure):
    """The new release failed after the switch, and the previous one is current again; `results` as of CheckFailed."""

    code = "rolled-back"
    exit_code = EXIT_ROLLED_BACK
    results: Sequence[Mapping[str, Any]] = ()


class SignatureRefused(RobotFailure):
    """The inventory demands a bundle signed by somebody it names, and this one is not; nothing was sent."""

    code = "signature-refused"


class NotInstalled(RobotFailure):
    """The environment is not installed on the robot."""

    code = "not-installed"


class NoPrevious(RobotFailure):
    """There is no earlier release to go back to."""

    code = "no-previous"


class NoInventory(UsageFailure):
    """The inventory file is missing."""

    code = "no-inventory"


class NoSuchRobot(UsageFailure):
    """A robot, group or pattern that the inventory does not have."""

    code = "no-such-robot"


class Interrupted(Failure):
    """The user stopped the command; every robot keeps what was current."""

    code = "interrupted"
    exit_code = EXIT_INTERRUPTED
