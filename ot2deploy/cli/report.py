"""`ot2deploy report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder.errors import UsageFailure
from ot2deploy.cli import options, units
from ot2deploy.cli.new_file import NewFile
from ot2deploy.cli.result import Answer, Shown, lines

if TYPE_CHECKING:
    from ot2deploy.project import Project


@click.command("report")
@click.argument("run", default="")
@click.option("--last", is_flag=True, help="Of the last run of this project.")
@click.option(
    "-o", "--output", "path", type=NewFile(), metavar="FILE",
    help="Where to write it; without it, ot2deploy-RUN.html in this directory.",
)  # fmt: skip
@options.project
@options.output
def command(run: str, last: bool, path: Path | None, project: Project) -> Shown:
    """Write one self-contained page about a run: the fleet, a timeline, every failure with its output.

    RUN is the id that the command said at its end, or the beginning of it. The page is made of the records of this
    project on this computer; no robot is asked.
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
