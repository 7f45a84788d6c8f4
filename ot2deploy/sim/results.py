"""What the sim commands return."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ot2deploy.sim.state import SimRobot


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A robot and how it is: `running`, or Docker's word for what else, and whether its HTTP API says it is busy."""

    robot: SimRobot
    state: str
    busy: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The robot as JSON."""
        return {**self.robot.as_dict(), "state": self.state, "busy": self.busy}


@dataclass(frozen=True, kw_only=True)
class SimResult:
    """The simulated robots of a project after a command, and what the command did.

    `started` names the robots that were not there before; `why` says how the kind was chosen; `lab` is the inventory
    that names them. Times are seconds.
    """

    did: str
    robots: tuple[Shown, ...]
    started: tuple[str, ...] = ()
    lab: Path | None = None
    why: str = ""
    image: str = ""
    image_seconds: float = 0.0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    exit_code: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "did": self.did,
            "robots": [robot.as_dict() for robot in self.robots],
            "started": list(self.started),
            "lab": str(self.lab) if self.lab else None,
            "why": self.why,
            "image": self.image or None,
            "image_seconds": self.image_seconds,
            "seconds": self.seconds,
            "notes": list(self.notes),
        }
