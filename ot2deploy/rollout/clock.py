"""How long each stage of one robot's part takes, and that it has begun."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from builder.events import Event, Report

# The stages of a push, in their order.
STAGES = (
    "probe", "bundle", "pack", "send", "install", "compile", "verify", "switch", "live", "undo", "kernel", "restart",
    "clean",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Span:
    """One stage as it happened: when it began and ended, in seconds since the epoch."""

    stage: str
    began: float
    ended: float


class Clock:
    """Seconds per stage; a stage entered twice (after a lost connection) adds up. `spans` are the stages in turn."""

    def __init__(self, robot: str, report: Report) -> None:
        self.seconds: dict[str, float] = {}
        self.spans: list[Span] = []
        self.report, self._robot = report, robot
        self._stage = ""

    @contextmanager
    def stage(self, name: str, message: str = "", *, again: bool = False) -> Iterator[None]:
        """Reports the beginning of a stage, unless it goes on `again` with one that was told, and adds its time."""
        if not again:
            self.tell(name, message)
        self._stage = name
        began, start = time.time(), time.monotonic()
        try:
            yield
        finally:
            lasted = time.monotonic() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + lasted
            self.spans.append(Span(stage=name, began=began, ended=began + lasted))

    def move(self, seconds: float, whole: str, part: str) -> None:
        """Tells a part of the stage that ended last apart, as its last seconds."""
        last = self.spans.pop()
        seconds = min(seconds, last.ended - last.began)
        self.seconds[whole] -= seconds
        self.seconds[part] = self.seconds.get(part, 0.0) + seconds
        middle = last.ended - seconds
        self.spans.append(Span(stage=whole, began=last.began, ended=middle))
        self.spans.append(Span(stage=part, began=middle, ended=last.ended))

    def relay(self, event: Event) -> None:
        """Reports what the agent says. It calls all checks alike; those of the stage "live" are told apart."""
        live = event.stage == "verify" and self._stage == "live"
        self.report(replace(event, stage="live") if live else event)

    def tell(self, stage: str, message: str, level: str = "progress") -> None:
        """Reports something about a stage."""
        self.report(Event(subject=self._robot, stage=stage, message=message, level=level))
