"""`ot2deploy remove`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import options, units
from ot2deploy.cli.outcomes import failed, release
from ot2deploy.cli.result import Shown, table

if TYPE_CHECKING:
    from ot2deploy.run_result import RunResult


@click.command("remove")
@options.environment_argument
@options.fleet
@options.output
def command(environment: str, **where: Any) -> Shown:
    """Remove an environment from robots.

    All of its releases go, and the files that no other environment there uses. A program of it that runs now loses
    its files. To have it back, push it again.
    """
    from ot2deploy.remove import RemoveRequest, remove

    with options.visiting(**where) as fleet:
        return _view(remove(RemoveRequest(fleet=fleet, environment=environment)))


def _view(result: RunResult) -> Shown:
    rows = [
        (
            outcome.robot.name,
            "removed",
            release(outcome.value["current"]),
            str(len(outcome.value["releases"])),
            str(outcome.value["blobs"]),
            units.size(outcome.value["bytes"]),
        )
        if outcome.value
        else (outcome.robot.name, "failed", "", "", "", "")
        for outcome in result.outcomes
    ]
    columns = ("robot", "state", "was", "releases", "files", "size")
    shown = table(columns, rows, title=str(result.environment), right=("releases", "files", "size"))
    return Shown(result=result, parts=(shown, *failed(result.outcomes)))
