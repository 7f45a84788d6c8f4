"""`ot2deploy index log`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from builder.printable import one_line
from ot2deploy.cli import index_options, options, units
from ot2deploy.cli.result import Answer, Shown, lines, table

if TYPE_CHECKING:
    from builder.index.journal import Act
    from ot2deploy.project import Project

SHA256 = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")  # --json has all of it
MOST_BRANCHES = 4  # that a row names


@click.command("log")
@click.option(
    "-n", "limit", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="How many of the last."
)
@options.project
@options.output
def command(project: Project, limit: int) -> Shown:
    """Show who changed the index: uploads, refusals, promotions, yanks, removals."""
    acts = index_options.journal(project).lines(limit)
    columns = ("at", "who", "did", "branch", "name", "files", "detail")
    shown = table(columns, [_row(act) for act in acts], right=("files",))
    return Shown(
        result=Answer(data={"acts": [act.as_dict() for act in acts]}),
        parts=(shown if acts else lines("Nothing was done to the index yet."),),
    )


def _row(act: Act) -> tuple[str, ...]:
    many = len(act.branches) > MOST_BRANCHES
    branches = units.count(len(act.branches), "branch", "branches") if many else ", ".join(act.branches)
    files = str(len(act.files)) if act.files else ""
    cells = act.at, act.who, act.op, branches, act.name, files, SHA256.sub(r"\1...", act.detail)
    return tuple(one_line(cell) for cell in cells)  # others sent some of it
