"""`ot2deploy history`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from builder.errors import UsageFailure
from ot2deploy.cli import options
from ot2deploy.cli.journal_lines import COLUMNS, row
from ot2deploy.cli.outcomes import failed
from ot2deploy.cli.result import Shown, lines, table

if TYPE_CHECKING:
    from ot2deploy.history import HistoryResult


@click.command("history")
@click.option("--robot", "robot", default="", metavar="NAME", help="Of this robot only.")
@click.option(
    "-n", "count", type=click.IntRange(min=1, max=10_000), default=50, show_default=True, metavar="N",
    help="How many lines at most, the last ones.",
)  # fmt: skip
@options.fleet
@options.output
def command(robot: str, count: int, **where: Any) -> Shown:
    """Show what was done to the robots: by whom, from where, with what result.

    The robots keep it themselves, so it is the same from every computer. Times are those of the robots' clocks.
    """
    if robot and where["limit"]:
        raise UsageFailure("--robot and --limit exclude each other", next="Leave one of them out.")
    from ot2deploy.history import history

    with options.visiting(**{**where, "limit": robot or where["limit"]}) as fleet:
        return _view(history(fleet, count))


def _view(result: HistoryResult) -> Shown:
    rows = [(str(line["robot"]), *row(line)) for line in result.lines]
    told = table(("robot", *COLUMNS), rows, folded=("detail",)) if rows else lines("no journal has a line")
    return Shown(result=result, parts=(told, *failed(result.outcomes)))
