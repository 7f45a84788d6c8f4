"""How far each subject is, told as plain lines: a stage when it begins, a transfer at most once a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from builder.events import Event
from ot2deploy.cli import units

INTERVAL = 1.0  # seconds between two lines of one transfer


@dataclass(kw_only=True)
class Pace:
    """A stage under way: since when, and when something was last said of it."""

    stage: str
    began: float
    first: int
    said: float


class PlainProgress:
    """A Report that writes lines, for pipes, logs and CI. Safe to be called from several threads."""

    def __init__(self, write: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._clock = write, clock
        self._paces: dict[str, Pace] = {}
        self._guard = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._guard:
            line = self._line(event, self._clock())
            if line:
                self._write(f"{event.subject}: {line}" if event.subject else line)

    def _line(self, event: Event, now: float) -> str:
        pace = self._paces.get(event.subject)
        if event.level in ("info", "warning"):
            return f"warning: {said(event)}" if event.level == "warning" else said(event)
        if pace is None or pace.stage != event.stage:
            self._paces[event.subject] = Pace(stage=event.stage, began=now, first=event.done or 0, said=now)
            return said(event)
        if event.level == "done":
            del self._paces[event.subject]
            return f"{said(event)} ({units.seconds(now - pace.began)})"
        if not event.total or event.done is None or now - pace.said < INTERVAL:
            return ""
        pace.said = now
        return f"{event.stage}, {amount(event)}{rate(event, now - pace.began, pace.first)}"


def said(event: Event) -> str:
    """A stage and its message as one phrase."""
    return ", ".join(filter(None, (event.stage, event.message)))


def amount(event: Event) -> str:
    """How much is done: 3 of 96, or 12.3 MB of 47.1 MB."""
    show = units.size if event.unit == "B" else str
    return f"{show(event.done or 0)} of {show(event.total or 0)}"


def rate(event: Event, elapsed: float, first: int = 0) -> str:
    """The rate since the stage began and the time left at that rate; empty while nothing is known."""
    moved = (event.done or 0) - first
    if elapsed <= 0 or moved <= 0 or event.total is None:
        return ""
    speed = moved / elapsed
    left = units.seconds((event.total - (event.done or 0)) / speed)
    return f", {units.size(speed)}/s, {left} left" if event.unit == "B" else f", {left} left"
