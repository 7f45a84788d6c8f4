"""`ot2deploy status`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import options, units
from ot2deploy.cli.outcomes import failed, release
from ot2deploy.cli.result import Part, Shown, lines, table

if TYPE_CHECKING:
    from ot2deploy.fleet import Outcome
    from ot2deploy.robots.state import EnvironmentState, RobotState
    from ot2deploy.status import StatusResult

# A failure's code in a word or two; what happened stands below the table.
STATES = {
    "unreachable": "no answer",
    "connection-lost": "no answer",
    "auth-refused": "no access",
    "host-key-unknown": "host key not pinned",
    "host-key-changed": "host key changed",
    "another-robot": "another robot",
    "robot-unsupported": "unsupported",
}


@click.command("status")
@click.option(
    "--drift", is_flag=True, help="Show only what differs from what was verified and pushed, and what repairs it."
)
@options.fleet
@options.output
def command(drift: bool, **where: Any) -> Shown:
    """Show what is on which robot; changes nothing.

    "others" is how many releases of the environment are there beside the current one: earlier ones, to which `rollback`
    can go back, and those that a push staged.

    With --drift: releases whose Python a system update removed, that were removed by hand or never verified, and
    environments that are not as the last command of this project left them. It ends with 0 where no robot has drifted,
    3 where some have, 1 where all have; a robot that does not answer counts as one that has.
    """
    from ot2deploy.status import status

    with options.visiting(**where) as fleet:
        result = status(fleet, drift=drift)
    return _drift_view(result) if drift else _view(result)


def _drift_view(result: StatusResult) -> Shown:
    found = [one for rows in (result.drift or {}).values() for one in rows]
    parts: list[Part] = []
    for one in found:
        parts += [lines(f"{one.robot}: {one.environment}: {one.what}", style="warning"), lines(f"  {one.next}")]
    answered = sum(outcome.ok for outcome in result.outcomes)
    drifted = len({one.robot for one in found})
    said = f"{units.count(answered, 'robot')} looked at, {drifted or 'none'} drifted"
    return Shown(result=result, parts=(*parts, lines(said), *failed(result.outcomes)))


def _view(result: StatusResult) -> Shown:
    rows = [row for outcome in result.outcomes for row in _rows(outcome)]
    columns = ("robot", "state", "software", "free", "environment", "release", "verified", "others")
    return Shown(
        result=result,
        parts=(
            table(columns, rows, right=("free", "others"), spare=("others", "free", "software")),
            *failed(result.outcomes),
        ),
    )


def _rows(outcome: Outcome[RobotState]) -> Iterator[tuple[str, ...]]:
    name, state = outcome.robot.name, outcome.value
    if state is None:
        yield name, STATES.get(outcome.failure.code if outcome.failure else "", "failed"), *[""] * 6
        return
    head = (name, "ok", state.software, units.size(state.disk_free))
    if not state.environments:
        yield (*head, "none", "", "", "")
    for environment, known in sorted(state.environments.items()):
        if not known.releases:  # a first push that was interrupted
            yield (*head, environment, "incomplete", "", "")
            continue
        others = sum(digest != known.current for digest in known.releases)
        yield (*head, environment, release(known.current), _verified(known, state), str(others))


def _verified(known: EnvironmentState, state: RobotState) -> str:
    if known.verified is None:
        return "no"
    if known.verified.get("fingerprint") != state.fingerprint:
        return "for another system"
    return str(known.verified.get("at", "yes"))
