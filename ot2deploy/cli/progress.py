"""How far each subject is, told as plain lines: a stage when it begins, a transfer at most once a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from builder.events import Event
from builder.printable import one_line
from ot2deploy.cli import units
from ot2deploy.cli.board import ENDED, Board, Row

INTERVAL = 1.0  # seconds between two lines of one transfer


class PlainProgress:
    """A Report that writes lines while its block lasts, for pipes, logs and CI. For calls from several threads."""

    def __init__(self, write: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._clock = write, clock
        self._board = Board()
        self._guard = threading.Lock()
        self._over = False

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *exception: object) -> None:
        with self._guard:  # threads that an interrupt left behind have nothing more to say
            self._over = True

    def __call__(self, event: Event) -> None:
        with self._guard:
            line = self._line(event, self._clock())
            if line and not self._over:
                self._write(f"{event.subject}: {line}" if event.subject else line)

    def _line(self, event: Event, now: float) -> str:
        row, new = self._board.take(event, now)
        if event.level == "warning":
            return f"warning: {said(event)}"
        if event.level in ENDED:
            return ended(event, row, now, self._board)
        if new or event.level == "info":
            return said(event)
        if row.done is None or now - row.told < INTERVAL:
            return ""
        row.told = now
        return f"{one_line(event.stage)}, {amount(event)}{rate(row, now)}"


def said(event: Event) -> str:
    """A stage and its message as one phrase."""
    return one_line(", ".join(filter(None, (event.stage, event.message))))


def ended(event: Event, row: Row, now: float, board: Board) -> str:
    """How a subject ended, after how long; of a robot, how many others have."""
    since = row.since if event.stage == row.event.stage else row.began
    took = f" ({units.seconds(now - since)})" if now > since else ""
    count = f", {board.done} of {board.total}" if event.unit == "robot" and board.total > 1 else ""
    return f"{said(event)}{took}{count}"


def amount(event: Event) -> str:
    """How much is done: 3 of 96, or 12.3 MB of 47.1 MB."""
    show = units.size if event.unit == "B" else str
    return f"{show(event.done or 0)} of {show(event.total or 0)}"


def rate(row: Row, now: float, *, brief: bool = False) -> str:
    """The rate of late and the time left at that rate, or for how long nothing moved; empty while nothing is known.

    A `brief` one has the time only.
    """
    if stalled := row.stalled(now):
        return f", nothing for {units.seconds(stalled)}"
    speed = row.speed(now)
    if speed <= 0 or row.done is None:
        return ""
    left = units.seconds(((row.event.total or 0) - row.done) / speed)
    return f", {left} left" if brief or row.event.unit != "B" else f", {units.size(speed)}/s, {left} left"
