"""Draws results for people, on a terminal or in a pipe."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from builder.events import Report
from builder.printable import one_line, printable
from ot2deploy.cli import result as parts
from ot2deploy.cli.live import LiveProgress

PIPE_WIDTH = 400  # a table in a pipe is not folded, but for columns that say so
PAGE_WIDTH = 110  # what a table with such columns takes at most
FOLD = 24  # letters that a line of a folded cell has room for at least
STYLES = {"plain": "", "good": "green", "warning": "yellow", "bad": "bold red", "dim": "dim", "title": "bold"}
CELLS = {
    "ok": "green", "passed": "green", "pushed": "green", "switched": "green", "verified": "green",
    "failed": "bold red", "missing": "bold red", "error": "bold red", "refused": "bold red", "no answer": "bold red",
    "no access": "bold red", "unsupported": "bold red", "host key not pinned": "bold red",
    "host key changed": "bold red", "another robot": "bold red", "incomplete": "yellow",
    "warning": "yellow", "rolled back": "yellow", "staged": "yellow", "stopped": "yellow", "not tried": "yellow",
    "no change": "dim",
}  # fmt: skip


def result(shown: parts.Shown) -> None:
    """Prints a result's parts on standard output."""
    console = _console(sys.stdout)
    for part in shown.parts:
        if isinstance(part, parts.Table):
            _print_table(console, _harmless(part))
        else:
            for line in part.lines:
                console.print(Text(printable(line), style=STYLES[part.style]), soft_wrap=True)


@contextlib.contextmanager
def live() -> Iterator[Report]:
    """A Report with live rows on standard error, which is a terminal."""
    with LiveProgress(_console(sys.stderr)) as shown:
        yield shown


class _Console(Console):
    """A console that leaves a closed pipe to the boundary instead of exiting by itself."""

    def on_broken_pipe(self) -> None:
        raise  # rich calls this while it handles the BrokenPipeError


def _console(stream: object) -> Console:
    console = _Console(file=stream, highlight=False, emoji=False, markup=False)  # type: ignore[arg-type]
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    elif console.is_dumb_terminal:  # which rich takes for one of 80 columns
        console.width = shutil.get_terminal_size().columns
    return console


def _harmless(part: parts.Table) -> parts.Table:
    """The table without letters that would steer a terminal; robots and other people wrote some of its cells."""
    cells = (tuple("\n".join(map(one_line, cell.split("\n"))) for cell in row) for row in part.rows)
    return replace(part, rows=tuple(cells))


def _print_table(console: Console, part: parts.Table) -> None:
    if part.title:
        console.print(Text(part.title, style=STYLES["title"]), soft_wrap=True)
    drawn = _table(part, terminal=console.is_terminal)
    width = min(console.width, PAGE_WIDTH) if part.folded else console.width
    if not console.is_terminal:
        with console.capture() as captured:
            console.print(drawn, width=width)
        console.file.writelines(line.rstrip() + "\n" for line in captured.get().splitlines())
        return
    narrow, spare = part, list(part.spare)
    while (too_wide := _needed(console, drawn, narrow) > width) and spare:
        narrow = _without(narrow, spare.pop(0))
        drawn = _table(narrow, terminal=True)
    if too_wide:
        _print_records(console, part)
    else:
        console.print(drawn, width=width)


def _without(part: parts.Table, heading: str) -> parts.Table:
    kept = [at for at, column in enumerate(part.columns) if column != heading]
    rows = tuple(tuple(row[at] for at in kept) for row in part.rows)
    return replace(part, columns=tuple(part.columns[at] for at in kept), rows=rows)


def _needed(console: Console, drawn: RichTable, part: parts.Table) -> int:
    """The fewest columns in which a table can be read."""
    measured = console.measure(drawn, options=console.options.update(width=PIPE_WIDTH))
    return measured.minimum if part.folded else measured.maximum


def _print_records(console: Console, part: parts.Table) -> None:
    """A table that is wider than the terminal: a paragraph for each row, nothing cut off."""
    width = max(map(len, part.columns))
    for row in part.rows:
        console.print(Text(row[0], style=STYLES["title"]), soft_wrap=True)
        for heading, cell in zip(part.columns[1:], row[1:], strict=True):
            if cell:
                line = Text.assemble((f"  {heading:{width}}  ", "dim"), (cell, CELLS.get(cell, "")))
                console.print(line, soft_wrap=True)


def _table(part: parts.Table, *, terminal: bool) -> RichTable:
    used = [at for at in range(len(part.columns)) if not part.rows or any(row[at] for row in part.rows)]
    drawn = RichTable(header_style="bold", box=box.SIMPLE_HEAD if terminal else None, pad_edge=False, show_edge=False)
    for at in used:
        heading = part.columns[at]
        justify: Literal["right", "left"] = "right" if heading in part.right else "left"
        if heading in part.folded:
            least = min(FOLD, max((len(row[at]) for row in part.rows), default=0))
            drawn.add_column(heading, justify=justify, overflow="fold", min_width=least)
        else:
            drawn.add_column(heading, justify=justify, no_wrap=bool(part.folded))
    for row in part.rows:
        drawn.add_row(*(Text(row[at], style=CELLS.get(row[at], "")) for at in used))
    return drawn
