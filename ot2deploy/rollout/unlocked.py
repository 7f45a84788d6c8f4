"""A push whose session on a robot somebody else ended with `robot unlock --force`: the robot's journal says who."""

from __future__ import annotations

import time
from contextlib import suppress

from builder.errors import Failure
from ot2deploy.agent_host.client import CUT
from ot2deploy.errors import AgentFailure, Unlocked
from ot2deploy.link import Link
from ot2deploy.robots.history import Line, journal_of

LINES = 20  # of the journal that are looked at
PATIENCE = 5.0  # seconds; whoever unlocks writes the line once the session has gone
LOOK = 0.2  # seconds between two looks


def explained(failure: Failure, link: Link, run: str | None) -> Failure:
    """The failure itself, or what is behind it where the session of `run` was ended by force."""
    if run is None or not isinstance(failure, AgentFailure) or failure.agent_code not in (CUT, "stopped"):
        return failure
    deadline = time.monotonic() + PATIENCE
    with suppress(Failure):  # then nothing more is known
        while time.monotonic() < deadline:
            lines = link.attempt(lambda session: journal_of(session, link.robot, LINES))
            if by := [line for line in lines if line.get("op") == "unlock" and run in str(line.get("detail"))]:
                return _unlocked(link, by[-1])
            time.sleep(LOOK)
    return failure


def _unlocked(link: Link, line: Line) -> Unlocked:
    return Unlocked(
        f"ended by {line.get('who')} with `robot unlock --force`",
        subject=link.robot.name,
        why=f"So says the robot's journal, at {line.get('at')} by its clock. What was current stays current.",
        next=f"Agree with them, then push again. What was done: ot2deploy history --robot {link.robot.name}"
        f"{link.robot.file_option}",
    )
