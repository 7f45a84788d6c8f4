"""Live rows on a terminal: one for each subject under way, never more than fit, and a line of totals above them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Literal

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from builder.events import Event
from builder.printable import one_line
from ot2deploy.cli import units
from ot2deploy.cli.board import ENDED, Board, Row
from ot2deploy.cli.progress import amount, ended, rate, said

BAR = 20  # columns of a bar
WITH_BAR, WITH_AMOUNT = 90, 70  # columns a terminal has at least where rows have them
SPARE = 3  # lines left for the totals, the count of what is not shown, and the cursor
NAME = 24  # columns of a name at most
STYLES = {"warning": "bold yellow", "failed": "bold red", "done": "green"}


class LiveProgress:
    """A Report with live rows; what must stay readable is printed above them. Safe to be called from several threads.

    `refreshing` has a thread draw it five times a second; without it, only what is printed draws it.
    """

    def __init__(
        self, console: Console, *, clock: Callable[[], float] = time.monotonic, refreshing: bool = True
    ) -> None:
        self._console, self._clock = console, clock
        self._board = Board()
        self._guard = threading.Lock()
        self._printing, self._over = threading.Lock(), False
        self._live = Live(
            console=console, get_renderable=self.frame, transient=True, auto_refresh=refreshing, refresh_per_second=5,
            vertical_overflow="crop",
        )  # fmt: skip

    def __enter__(self) -> LiveProgress:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        with self._printing:  # a line of a thread that was left behind would be drawn over what is said at the end
            self._over = True
        with contextlib.suppress(OSError):  # a terminal that has gone
            self._live.stop()

    def __call__(self, event: Event) -> None:
        with self._guard:
            now = self._clock()
            row, _ = self._board.take(event, now)
            line = ended(event, row, now, self._board) if event.level in ENDED else said(event)
        # Printing takes the locks of the display, whose thread takes ours to draw: it must not happen under ours.
        if event.level != "progress":
            subject = f"{one_line(event.subject)}: " if event.subject else ""
            # A terminal that has gone is no reason to leave robots half-way.
            with self._printing, contextlib.suppress(OSError):
                if not self._over:
                    self._console.print(Text(subject + line, style=STYLES.get(event.level, "")), soft_wrap=True)

    def frame(self) -> Group:
        """What is to be seen now, no higher and no wider than the terminal is now."""
        width, height = self._console.size
        with self._guard:
            now = self._clock()
            view = self._board.view(height - SPARE)
            parts: list[Text | Table] = [self._totals(now, width)] if self._board.title else []
            if view.rows:
                parts.append(self._rows(view.rows, now, width))
            if view.others:
                counts = ", ".join(f"{count} {one_line(stage)}" for stage, count in view.others)
                parts.append(self._text(f"and {sum(n for _, n in view.others)} more: {counts}", "dim"))
        return Group(*parts)

    def _totals(self, now: float, width: int) -> Text:
        board = self._board
        words = [f"{board.done} of {board.total} done"]
        words += [f"{board.failed} failed"] if board.failed else []
        words += [f"{units.size(speed)}/s"] if (speed := board.speed(now)) else []
        words.append(units.seconds(now - board.began))
        said = self._text(f"{one_line(board.title)}: " if width >= WITH_AMOUNT else "", "bold")
        said.append(", ".join(words), "bold red" if board.failed else "")
        if board.stopping:
            said.append(f"; {one_line(board.stopping)}", "bold yellow")
        return said

    def _rows(self, rows: tuple[Row, ...], now: float, width: int) -> Table:
        names = [one_line(row.subject) for row in rows]
        times = [units.seconds(now - row.since) for row in rows]
        name = min(max(map(len, names)), NAME, max(8, width // 3))
        grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
        grid.add_column(no_wrap=True, width=name, overflow=self._overflow)
        grid.add_column(no_wrap=True, ratio=1, overflow=self._overflow)
        grid.add_column(no_wrap=True, min_width=min(max(map(len, times)), width // 4), justify="right")
        for row, subject, lasts in zip(rows, names, times, strict=True):
            grid.add_row(Text(subject, "bold"), self._stage(row, now, width), Text(lasts, "dim"))
        return grid

    def _stage(self, row: Row, now: float, width: int) -> Text | Table:
        """What a subject does; of a transfer how far it is, in as much detail as there is room for."""
        if row.done is None:
            return Text(said(row.event))
        style = "yellow" if row.stalled(now) else ""
        if width < WITH_AMOUNT:
            share = row.done * 100 // (row.event.total or 1)
            return Text(f"{one_line(row.event.stage)} {share} %{rate(row, now, brief=True)}", style)
        grid = Table.grid(padding=(0, 1, 0, 0))
        cells: list[Text | ProgressBar] = [Text(one_line(row.event.stage))]
        if width >= WITH_BAR:
            cells.append(ProgressBar(total=row.event.total, completed=row.done, width=BAR))
        for _ in range(len(cells) + 1):
            grid.add_column(no_wrap=True, overflow=self._overflow)
        grid.add_row(*cells, Text(amount(row.event) + rate(row, now), style))
        return grid

    def _text(self, words: str, style: str) -> Text:
        return Text(words, style, no_wrap=True, overflow=self._overflow)

    @property
    def _overflow(self) -> Literal["ellipsis", "crop"]:
        """How a text that is too long ends: terminals without UTF-8 have no ellipsis."""
        return "ellipsis" if self._console.encoding.lower().startswith("utf") else "crop"
