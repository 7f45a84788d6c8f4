"""Where everything under way is: each subject's stage and pace, and how many robots have ended."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from builder.events import Event

WINDOW = 10.0  # seconds that a rate looks back: a transfer that slows down soon says so
STALLED = 5.0  # seconds without a byte, after which that is told in place of a rate
ENDED = ("done", "failed")
WAITING = ("connect", "bundle", "wait")  # stages in which a robot waits for something else


@dataclass(kw_only=True)
class Row:
    """A subject under way. Times are seconds of the clock in use; `marks` are (time, amount done), the oldest first."""

    subject: str
    began: float
    event: Event
    since: float  # when its stage began
    moved: float  # when the amount done changed last
    told: float  # when a line said something of it; for who writes lines
    marks: deque[tuple[float, int]] = field(default_factory=deque)

    @property
    def done(self) -> int | None:
        """How much of the stage is done; None where that cannot be told."""
        return self.event.done if _known(self.event) else None

    def take(self, event: Event, now: float) -> bool:
        """Takes in an event; says whether a new stage began."""
        new = event.stage != self.event.stage
        if new:
            self.since = self.moved = self.told = now
            self.marks.clear()
        before, self.event = self.done, event
        if self.done is not None:
            if self.done != before:
                self.moved = now
            self.marks.append((now, self.done))
            while len(self.marks) > 2 and self.marks[1][0] <= now - WINDOW:
                self.marks.popleft()
        return new

    def speed(self, now: float) -> float:
        """What was done in a second of late; 0 where that is not known."""
        if self.done is None or not self.marks:
            return 0.0
        first, amount = self.marks[0]
        return max(0.0, (self.done - amount) / (now - first)) if now > first else 0.0

    def stalled(self, now: float) -> float:
        """For how many seconds a transfer has not moved; 0 while that is nothing to speak of."""
        if self.done is None or self.event.unit != "B" or self.done >= (self.event.total or 0):
            return 0.0
        return now - self.moved if now - self.moved >= STALLED else 0.0


@dataclass(frozen=True, kw_only=True)
class View:
    """What there is room for: the rows to show, and of the others how many are at which stage."""

    rows: tuple[Row, ...]
    others: tuple[tuple[str, int], ...]


class Board:
    """The state of a command's subjects, made of its events. Not safe to be used from several threads."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.began = 0.0
        self.title = ""
        self.total = 0
        self.ended: dict[str, bool] = {}  # robots, and whether they failed
        self.stopping = ""
        self._began: dict[str, float] = {}

    def take(self, event: Event, now: float) -> tuple[Row, bool]:
        """The row that an event is about, and whether a stage began with it. A row whose subject ended is gone."""
        if event.unit == "robot" and not event.subject:
            self.title, self.total, self.began = event.message, event.total or 0, now
        if event.stage == "stopping" and event.level == "warning":
            self.stopping = event.message
        row = self.rows.get(event.subject)
        new = row is None
        if row is None:
            began = self._began.setdefault(event.subject, now)  # staged in one wave, switched in another
            row = Row(subject=event.subject, began=began, event=event, since=now, moved=now, told=now)
        if event.level == "progress":
            new = row.take(event, now) or new
            if event.subject:
                self.rows[event.subject] = row
                self.ended.pop(event.subject, None)
        elif event.level in ENDED:
            self.rows.pop(event.subject, None)
            if event.unit == "robot":
                self.ended[event.subject] = event.level == "failed"
        return row, new

    @property
    def done(self) -> int:
        """How many robots have ended."""
        return len(self.ended)

    @property
    def failed(self) -> int:
        """How many of them failed."""
        return sum(self.ended.values())

    def view(self, room: int) -> View:
        """The `room` busiest rows in the order in which they came, the rest counted."""
        ranked = sorted(self.rows.values(), key=_rank)
        shown = {id(row) for row in ranked[: max(0, room)]}
        others = Counter(row.event.stage for row in ranked[max(0, room) :])
        return View(rows=tuple(r for r in self.rows.values() if id(r) in shown), others=tuple(others.most_common()))

    def speed(self, now: float) -> float:
        """Bytes that all transfers together move in a second."""
        return sum(row.speed(now) for row in self.rows.values() if row.event.unit == "B")


def _known(event: Event) -> bool:
    """Whether an event says how far it is; the numbers of some come from robots."""
    return isinstance(event.done, int) and isinstance(event.total, int) and event.total > 0


def _rank(row: Row) -> tuple[int, float]:
    busy = 0 if row.done is not None else 2 if row.event.stage in WAITING else 1
    return busy, row.since
