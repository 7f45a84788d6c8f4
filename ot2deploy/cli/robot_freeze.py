"""`ot2deploy robot freeze`."""

from __future__ import annotations

from typing import Any

import click

from ot2deploy.cli import completing, one_robot
from ot2deploy.cli.result import Answer, Shown, lines


@click.command("freeze")
@click.option(
    "--env", "environments", multiple=True, metavar="ENVIRONMENT", shell_complete=completing.environment,
    help="What is in this environment of ours, instead. May be given again.",
)  # fmt: skip
@click.option("--by-hand", is_flag=True, help="With --env: what was installed by hand, too.")
@one_robot.one_robot
def command(environments: tuple[str, ...], by_hand: bool, **where: Any) -> Shown:
    """Print what somebody installed by hand on a robot as an environment's file, with exact versions.

    Write it to environments/NAME/environment.yaml, and `ot2deploy push NAME` makes other robots have the same. What no
    index has stands in it as a comment, with its reason.
    """
    from ot2deploy.robots.freeze import freeze
    from ot2deploy.robots.packages import read_packages

    with one_robot.visiting(**where) as fleet:
        found = one_robot.value(fleet, read_packages)
    frozen = freeze(found, environments, by_hand=by_hand or not environments)
    return Shown(result=Answer(data=frozen.as_dict()), parts=(lines(*frozen.text.splitlines()),))
