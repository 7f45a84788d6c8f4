"""`ot2deploy rollback`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import options
from ot2deploy.cli.outcomes import failed_of, release
from ot2deploy.cli.result import Shown, lines, table

if TYPE_CHECKING:
    from ot2deploy.runs.result import RunResult


@click.command("rollback")
@options.environment_argument
@options.fleet
@click.option(
    "--to", metavar="RELEASE", help="The release to make current, or how it begins; without it, the previous."
)
@options.output
def command(environment: str, to: str | None, **where: Any) -> Shown:
    """Make the previous release of an environment current again.

    One rename on the robot: no index, store or build is needed.
    """
    from ot2deploy.rollback import RollbackRequest, rollback

    with options.visiting(**where) as fleet:
        return _view(rollback(RollbackRequest(fleet=fleet, environment=environment, to=to)))


def _view(result: RunResult) -> Shown:
    from ot2deploy import advice

    rows = [
        (outcome.robot.name, "rolled back", release(outcome.value["current"]), release(outcome.value["previous"]))
        if outcome.value
        else (outcome.robot.name, "failed", "", "")
        for outcome in result.outcomes
    ]
    unproven = [one.robot for one in result.outcomes if one.value and not one.value["verified_here"]]
    notes = [
        f"{robot.name}: its system changed since this release was verified; run: "
        f"ot2deploy verify {result.environment} {advice.options(robot)}"
        for robot in unproven
    ]
    columns = ("robot", "state", "current", "was")
    done = any(outcome.value for outcome in result.outcomes)
    title = f"{result.environment}: " + ("back to an earlier release" if done else "nothing was switched")
    return Shown(
        result=result,
        parts=(
            table(columns, rows, title=title),
            *([lines(*notes, style="warning")] if notes else []),
            *failed_of(result),
        ),
    )
