"""`ot2deploy report`, and the option --report of `push`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.errors import Failure, UsageFailure
from ot2deploy.cli import completing, options, units
from ot2deploy.cli.new_file import NewFile
from ot2deploy.cli.result import Answer, Lines, Shown, lines
from ot2deploy.errors import Interrupted

if TYPE_CHECKING:
    from ot2deploy.project import Project


@click.command("report")
@click.argument("run", default="", shell_complete=completing.run)
@click.option("--last", is_flag=True, help="Of the last run of this project.")
@click.option(
    "-o", "--output", "path", type=NewFile(), metavar="FILE",
    help="Where to write it; without it, ot2deploy-RUN.html in this directory.",
)  # fmt: skip
@options.project
@options.output
def command(run: str, last: bool, path: Path | None, project: Project) -> Shown:
    """Write one page about a run: the fleet, a timeline, every failure with its output.

    RUN is the id that the command said at its end, or the beginning of it. The file needs no other. It is made
    of the records of this project on this computer; no robot is asked.
    """
    from ot2deploy.report_page.file import write
    from ot2deploy.report_page.run import find

    if bool(run) == last:
        raise UsageFailure(
            "RUN and --last exclude each other" if run else "which run?",
            next="Run: ot2deploy report --last   or name a run; they are in .ot2deploy/runs.",
        )
    record = find(project.state_dir, run)
    written = path or Path(f"ot2deploy-{record.run}.html")
    found = write(written, record, project.state_dir)
    what, robots = found.target or found.environment, units.count(len(found.robots), "robot")
    told = f"{written}: {found.command} {what} on {robots}, run {found.run}"
    return Shown(result=Answer(data={"run": found.run, "report": str(written)}), parts=(lines(told),))


def option(command: Callable[..., Shown]) -> Callable[..., Shown]:
    """--report for `push`: a page about the run once it is over, however that was.

    Whether the file may be written is looked at before anything is done. A page that cannot be written after all is
    said, and changes neither the result nor the exit code: what counts is on the robots, and the record is there.
    """

    @functools.wraps(command)
    def reporting(*, report_file: Path | None, **where: Any) -> Shown:
        if report_file is None:
            return command(**where)
        if where["dry_run"]:
            raise UsageFailure("--report and --dry-run exclude each other", next="Leave one of them out.")
        from ot2deploy import runs
        from ot2deploy.report_page.file import look

        look(report_file)
        state_dir = where["project"].state_dir
        before = {run.run for run in runs.runs(state_dir)}
        try:
            shown = command(**where)
        except Interrupted:  # its robots are worth a page, too; what it did says only its record
            begun = [run.run for run in runs.runs(state_dir) if run.command == "push" and run.run not in before]
            if begun:
                _written(report_file, begun[-1], state_dir)
            raise
        told = _written(report_file, shown.result.as_dict()["run"], state_dir)
        return replace(shown, parts=(*shown.parts, told))

    return click.option(
        "--report", "report_file", type=NewFile(), metavar="FILE",
        help="Afterwards, write a page about it into this file, as `ot2deploy report` does.",
    )(reporting)  # fmt: skip


def _written(path: Path, run: str, state_dir: Path) -> Lines:
    from ot2deploy.report_page.file import write
    from ot2deploy.report_page.run import find

    try:
        write(path, find(state_dir, run), state_dir)
    except Failure as failure:
        again = f"  To try again: ot2deploy report {run} -o FILE"
        return lines(f"no report: {failure.lines()[0]}", *failure.lines()[1:], again, style="warning")
    return lines(f"report: {path}", style="dim")
