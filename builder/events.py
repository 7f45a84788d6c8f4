"""Progress: what stages tell whoever watches. Stages report values; only the renderer prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Event:
    """One step of something: `subject` (a robot, a package, a profile), its `stage`, and how far it is.

    `done` and `total` are bytes where `unit` is "B", else counts. `level` is "progress", "info", "warning", or the
    subject's end: "done" or "failed". Unit "robot" counts robots: an event without a subject says how many there are
    (`total`, and what is done to them as its message), the end of each counts as one.
    `log` is the file to which the programs of this subject write from now on.
    """

    subject: str
    stage: str
    message: str = ""
    done: int | None = None
    total: int | None = None
    unit: str = ""
    level: str = "progress"
    log: Path | None = None


Report = Callable[[Event], None]


def silent(event: Event) -> None:
    """A Report for callers that do not watch."""
