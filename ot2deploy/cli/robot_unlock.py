"""`ot2deploy robot unlock`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import one_robot
from ot2deploy.cli.journal_lines import plain
from ot2deploy.cli.outcomes import failed_of
from ot2deploy.cli.result import Shown, lines

if TYPE_CHECKING:
    from ot2deploy.runs.result import RunResult

SAID = {
    "free": "no change: nobody holds its lock",
    "dead": "unlocked; the run that held it had ended",
    "ended": "unlocked; the run that held it was ended",
}


@click.command("unlock")
@click.option("--force", is_flag=True, help="End the run that holds it, if it goes on.")
@one_robot.one_robot
def command(force: bool, **where: Any) -> Shown:
    """Show who holds a robot's lock and since when, and free it if that run has ended.

    With --force a run that goes on is ended. Whatever it was doing, the release that was current stays current.
    """
    from ot2deploy.robots.unlock import UnlockRequest, unlock

    with one_robot.visiting(**where) as fleet:
        return _view(unlock(UnlockRequest(fleet=fleet, force=force)))


def _view(result: RunResult) -> Shown:
    told = []
    for outcome in result.outcomes:
        if outcome.value is not None:
            told.append(f"{outcome.robot.name}: {SAID[outcome.value['state']]}")
            if holder := outcome.value["holder"]:
                who, since, run = (plain(holder.get(name)) or "unknown" for name in ("who", "since", "run"))
                told.append(f"It was held by {who} since {since} (run {run}).")
    return Shown(result=result, parts=(*((lines(*told),) if told else ()), *failed_of(result)))
