"""`ot2deploy robot purge`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from builder.errors import UsageFailure
from ot2deploy.cli import one_robot, options, units
from ot2deploy.cli.outcomes import failed_of
from ot2deploy.cli.result import Shown, lines

if TYPE_CHECKING:
    from ot2deploy.runs.result import RunResult
    from ot2deploy.status import StatusResult


@click.command("purge")
@click.option("--yes", is_flag=True, help="Do not ask; needed where nobody can answer.")
@click.option("--force", is_flag=True, help="Also while programs run from an environment: they lose their files.")
@one_robot.one_robot
def command(yes: bool, force: bool, **where: Any) -> Shown:
    """Remove every trace of ot2deploy from a robot.

    All environments, files and the journal go, and nothing that is not ours. What this project knows of the robot
    stays in its run records, the robot stays in the inventory.
    """
    if not yes:
        _ask(**where)
    from ot2deploy.robots.purge import purge

    with one_robot.visiting(**where) as fleet:
        return _view(purge(fleet, force=force))


def _ask(**where: Any) -> None:
    """Asks the person at the terminal. Raises UsageFailure where there is none, or no robot that answers."""
    from ot2deploy import advice
    from ot2deploy.status import status

    with one_robot.visiting(**where) as fleet:
        (robot,) = fleet.robots
        if not options.can_ask():
            raise UsageFailure(
                f"robot purge needs --yes where nobody can be asked; {robot.name} is as it was",
                why="It removes every environment, and the journal, from the robot.",
                next=f"See what is there: ot2deploy status {advice.options(robot)}",
            )
        told = _there(status(fleet))
    click.confirm(f"{robot.name} has {told}. Remove all of it, and the robot's journal?", abort=True, err=True)


def _there(result: StatusResult) -> str:
    (outcome,) = result.outcomes
    if outcome.failure is not None:
        raise outcome.failure
    names = sorted(outcome.value.environments) if outcome.value else []
    return f"{units.count(len(names), 'environment')} ({', '.join(names)})" if names else "no environment"


def _view(result: RunResult) -> Shown:
    parts = []
    for outcome in result.outcomes:
        if outcome.value is None:
            continue
        gone = ", ".join(outcome.value["environments"]) or "no environment"
        did = f"purged ({gone})" if outcome.value["changed"] else "no change: nothing of ours is on it"
        parts.append(lines(f"{outcome.robot.name}: {did}"))
        if outcome.value["left"]:
            left = ", ".join(outcome.value["left"])
            parts.append(lines(f"Not ours, and still in {outcome.robot.base}: {left}", style="warning"))
    return Shown(result=result, parts=(*parts, *failed_of(result)))
