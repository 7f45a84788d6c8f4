"""`ot2deploy remove`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import options, units
from ot2deploy.cli.outcomes import failed_of, release
from ot2deploy.cli.result import Part, Shown, lines, table

if TYPE_CHECKING:
    from ot2deploy.runs.result import RunResult


@click.command("remove")
@options.environment_argument
@options.fleet
@click.option("--dry-run", is_flag=True, help="Show what would go; change nothing.")
@click.option("--force", is_flag=True, help="Also where programs run from it: they lose their files.")
@click.option("--yes", is_flag=True, help="Do not ask. Where nobody can answer, nobody is asked.")
@options.output
def command(environment: str, dry_run: bool, force: bool, yes: bool, **where: Any) -> Shown:
    """Remove an environment from robots.

    All of its releases go, and the files that no other environment there uses; a robot on which a program runs from it
    is left as it is, and one that does not have it is no failure. To have it back, push it again.
    """
    from ot2deploy.remove import RemoveRequest, remove

    with options.visiting(**where) as fleet:
        if not (yes or dry_run) and options.can_ask():
            names = ", ".join(robot.name for robot in fleet.robots)
            click.confirm(f"Remove {environment} from {names}?", abort=True, err=True)
        return _view(remove(RemoveRequest(fleet=fleet, environment=environment, dry_run=dry_run, force=force)))


def _view(result: RunResult) -> Shown:
    state = "removed" if result.run else "would be removed"
    rows = [
        (
            outcome.robot.name,
            state if outcome.value["changed"] else "no change",
            release(outcome.value["current"]),
            str(len(outcome.value["releases"])),
            str(outcome.value["blobs"]),
            units.size(outcome.value["bytes"]),
            _programs(outcome.value["programs"]),
        )
        if outcome.value
        else (outcome.robot.name, "failed", "", "", "", "", "")
        for outcome in result.outcomes
    ]
    columns = ("robot", "state", "was", "releases", "files", "size", "programs running")
    shown = table(columns, rows, title=str(result.environment), right=("releases", "files", "size"))
    return Shown(result=result, parts=(shown, *_nowhere(result), *failed_of(result)))


def _nowhere(result: RunResult) -> tuple[Part, ...]:
    """Where no robot had it, the name may be a slip: what they have instead."""
    from ot2deploy.inventory.file import close

    answers = [outcome.value for outcome in result.outcomes if outcome.value]
    if not answers or any(answer["changed"] for answer in answers):
        return ()
    there = sorted({name for answer in answers for name in answer["there"]})
    said = f"{result.environment} is not installed; on the robots: {', '.join(there) or 'nothing'}"
    return (lines(said + close(str(result.environment), there)),)


def _programs(found: list[dict[str, Any]]) -> str:
    return ", ".join(f"{program['name']} ({program['pid']})" for program in found)
