"""`ot2deploy robot clean`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ot2deploy.agent.retention import FEWEST, KEEP
from ot2deploy.cli import one_robot, units
from ot2deploy.cli.outcomes import failed_of, release
from ot2deploy.cli.result import Part, Shown, lines, table

if TYPE_CHECKING:
    from ot2deploy.runs.result import RunResult


@click.command("clean")
@click.option(
    "--keep", type=click.IntRange(min=FEWEST), metavar="N",
    help=f"How many releases of each environment stay; without it the robot's `keep_releases`, else {KEEP}.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show what would go and why the rest stays; change nothing.")
@one_robot.one_robot
def command(keep: int | None, dry_run: bool, **where: Any) -> Shown:
    """Make room on a robot: remove older releases and files that no release is made of.

    The current release, the one that a rollback goes to, those that programs run from and the last one that waits for
    its switch stay, whatever N is.
    """
    from ot2deploy.robots.clean import CleanRequest, clean

    with one_robot.visiting(**where) as fleet:
        return _view(clean(CleanRequest(fleet=fleet, keep=keep, dry_run=dry_run)))


def _view(result: RunResult) -> Shown:
    parts: list[Part] = []
    for outcome in result.outcomes:
        if outcome.value is None:
            continue
        told, gone = outcome.value, "removed" if result.run else "would be removed"
        rows = [
            *(
                (one["environment"], release(one["digest"]), gone, units.size(one["bytes"]), "")
                for one in told["releases"]
            ),
            *((one["environment"], release(one["digest"]), "kept", "", one["why"]) for one in told["kept"]),
        ]
        if rows:
            parts.append(table(("environment", "release", "state", "size", "because"), rows, right=("size",)))
        what = [units.count(len(told["releases"]), "release"), units.count(told["blobs"], "file")]
        if told["agents"]:
            what.append(units.count(told["agents"], "agent"))
        free = f"{units.size(told['free'])} {'are' if result.run else 'are now'} free"
        parts.append(lines(f"{outcome.robot.name}: {', '.join(what)} {gone}, {units.size(told['bytes'])}; {free}"))
    return Shown(result=result, parts=(*parts, *failed_of(result)))
