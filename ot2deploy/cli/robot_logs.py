"""`ot2deploy robot logs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import one_robot
from ot2deploy.cli.journal_lines import COLUMNS, row
from ot2deploy.cli.outcomes import failures
from ot2deploy.cli.result import Part, Shown, lines, table

if TYPE_CHECKING:
    from ot2deploy.robots.logs import RobotLogs


@click.command("logs")
@click.option(
    "-n", "count", type=click.IntRange(min=1, max=10_000), default=50, show_default=True, metavar="N",
    help="How many lines of each at most, the last ones.",
)  # fmt: skip
@one_robot.one_robot
def command(count: int, **where: Any) -> Shown:
    """Show a robot's journal of ours, and what its robot server wrote to the system's log.

    What looks like a password, token or key is not shown.
    """
    from ot2deploy.robots.logs import read_logs

    with one_robot.visiting(**where) as fleet:
        found = one_robot.value(fleet, lambda session, robot: read_logs(session, robot, count))
    return Shown(result=found, parts=_parts(found))


def _parts(found: RobotLogs) -> tuple[Part, ...]:
    journal = table(COLUMNS, [row(line) for line in found.journal], title=f"{found.robot}: journal", folded=("detail",))
    empty = lines(f"{found.robot}: its journal has no line")
    server = f"robot server ({found.source})" if found.source else "its robot server has no log here"
    return (
        *((journal if found.journal else empty,) if found.failure is None else failures([found.failure])),
        lines("", f"{found.robot}: {server}", style="title"),
        *((lines(*found.lines),) if found.lines else ()),
    )
