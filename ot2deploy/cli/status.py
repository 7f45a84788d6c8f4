"""`ot2deploy status`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import options, units
from ot2deploy.cli.outcomes import failed, release
from ot2deploy.cli.result import Shown, table

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
@options.fleet
@options.output
def command(**where: Any) -> Shown:
    """Show what is on which robot; changes nothing."""
    from ot2deploy.status import status

    with options.visiting(**where) as fleet:
        return _view(status(fleet))


def _view(result: StatusResult) -> Shown:
    rows = [row for outcome in result.outcomes for row in _rows(outcome)]
    columns = ("robot", "state", "software", "free", "environment", "release", "verified", "others")
    return Shown(result=result, parts=(table(columns, rows, right=("free", "others")), *failed(result.outcomes)))


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
