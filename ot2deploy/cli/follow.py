"""What the programs of builds print, passed on while they run: their logs are followed as `tail -f` does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from builder.events import Event, Report

INTERVAL = 0.2  # seconds between two looks at the logs
Sink = Callable[[str, str], None]


@dataclass(kw_only=True)
class _Log:
    subject: str
    path: Path
    at: int = 0
    rest: bytes = b""


class Follower:
    """A Report that passes events on, and every line of the logs that they name to the sink (subject, line).

    Whatever was written before the block is left has reached the sink then.
    """

    def __init__(self, report: Report, sink: Sink) -> None:
        self._report, self._sink = report, sink
        self._logs: dict[Path, _Log] = {}
        self._guard = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Follower:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._read(last=True)

    def __call__(self, event: Event) -> None:
        if event.log:
            with self._guard:
                self._logs.setdefault(event.log, _Log(subject=event.subject, path=event.log))
        self._report(event)

    def _follow(self) -> None:
        while not self._ended.wait(INTERVAL):
            self._read()

    def _read(self, *, last: bool = False) -> None:
        with self._guard:
            logs = list(self._logs.values())
        for log in logs:
            for line in _new_lines(log, last=last):
                self._sink(log.subject, line)


def _new_lines(log: _Log, *, last: bool) -> list[str]:
    """The whole lines that were added since the last look, and the broken off one where nothing follows it."""
    try:
        with log.path.open("rb") as file:
            file.seek(log.at)
            data = file.read()
    except FileNotFoundError:  # named, and not begun yet
        return []
    log.at += len(data)
    *lines, log.rest = (log.rest + data).split(b"\n")
    if last and log.rest:
        lines.append(log.rest)
    return [line.decode(errors="replace") for line in lines]
