"""`ot2deploy history`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from builder.errors import UsageFailure
from ot2deploy.cli import completing, options
from ot2deploy.cli.journal_lines import COLUMNS, row
from ot2deploy.cli.outcomes import failed
from ot2deploy.cli.result import Answer, Shown, lines, table
from ot2deploy.errors import EXIT_INTERRUPTED

if TYPE_CHECKING:
    from ot2deploy.project import Project
    from ot2deploy.robots.history import HistoryResult
    from ot2deploy.runs import Row, Run


@click.command("history")
@click.option(
    "--robot", "robot", default="", metavar="NAME", help="Of this robot only.", shell_complete=completing.robot
)
@click.option(
    "-n", "count", type=click.IntRange(min=1, max=10_000), default=50, show_default=True, metavar="N",
    help="How many lines at most, the last ones.",
)  # fmt: skip
@click.option(
    "--runs", "of_runs", is_flag=True, help="The runs of this project instead, and how each ended; asks nobody."
)
@options.fleet
@options.output
def command(robot: str, count: int, of_runs: bool, **where: Any) -> Shown:
    """Show what was done to the robots: by whom, from where, with what result.

    The robots keep it themselves, so it is the same from every computer. Times are those of the robots' clocks. With
    --runs it is what this project has run, and what `push --resume` can go on with.
    """
    if robot and where["limit"]:
        raise UsageFailure("--robot and --limit exclude each other", next="Leave one of them out.")
    if of_runs:
        if where["limit"]:
            raise UsageFailure("--runs and --limit exclude each other", next="Name one robot: --robot NAME")
        return _runs(where["project"], robot, count)
    from ot2deploy.robots.history import history

    with options.visiting(**{**where, "limit": robot or where["limit"]}) as fleet:
        return _view(history(fleet, count))


def _runs(project: Project, robot: str, count: int) -> Shown:
    from ot2deploy.runs import runs
    from ot2deploy.runs.since import left

    known = runs(project.state_dir)
    found = [run for run in known if not robot or robot in run.robots][-count:]
    rows = [
        (run.run, str(run.asked.get("who") or ""), run.command, run.target, _ended(run), _robots(run.rows))
        for run in found
    ]
    told = table(("run", "who", "command", "about", "state", "robots"), rows, folded=("robots",))
    parts = [told if rows else lines("no run is recorded")]
    if undone := [run for run in found if left(known, run)][-1:]:
        parts.append(
            lines(f"To go on with the last that is not done: ot2deploy push --resume {undone[0].run}", style="dim")
        )
    return Shown(result=Answer(data={"runs": [run.as_dict() for run in found]}), parts=tuple(parts))


def _ended(run: Run) -> str:
    from ot2deploy.runs import INTERRUPTED

    if run.exit_code is None:
        return run.state
    if run.exit_code == EXIT_INTERRUPTED:
        return INTERRUPTED
    return "done" if run.exit_code == 0 else f"ended with {run.exit_code}"


def _robots(rows: Sequence[Row]) -> str:
    """How many robots are as wanted, and each of the others with what became of it."""
    good = sum(row.ok for row in rows)
    others = [f"{row.robot} {_said(row)}" for row in rows if not row.ok]
    return "; ".join([f"{good} of {len(rows)}", *others]) if rows else ""


def _said(row: Row) -> str:
    """What became of a robot in a word or two; of one that failed, the failure's code."""
    return row.outcome if row.outcome not in ("", "failed") else row.error.partition(":")[0] or row.outcome or "begun"


def _view(result: HistoryResult) -> Shown:
    rows = [(str(line["robot"]), *row(line)) for line in result.lines]
    told = table(("robot", *COLUMNS), rows, folded=("detail",)) if rows else lines("no journal has a line")
    return Shown(result=result, parts=(told, *failed(result.outcomes)))
