"""What an earlier run that was cut off left: a lock still held for a moment, a journal without its last line."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from ot2deploy.agent_host.client import open_agent
from ot2deploy.errors import Locked
from ot2deploy.inventory import Robot
from ot2deploy.robots.state import RobotState
from ot2deploy.runs.record import who
from ot2deploy.transport import Session

PATIENCE = 40.0  # seconds; an agent gives up 30 s after it last heard of its host
LOOK = 0.5  # seconds between two looks


def outlasted(
    state: RobotState, look: Callable[[], RobotState], tell: Callable[[str], None], pause: Callable[[float], None]
) -> RobotState:
    """The robot's state once a run of this person and computer has let go of it, or a while later: then it lives.

    Such a run was probably cut off, and its agent has not noticed yet. Another person's run is not waited for.
    """
    deadline = time.monotonic() + PATIENCE
    while is_ours(state) and time.monotonic() < deadline:
        tell(f"for run {(state.holder or {}).get('run')} from here to end; cut off, it frees the robot within 30 s")
        pause(LOOK)
        state = look()
    return state


def is_ours(state: RobotState) -> bool:
    """Whether a run of this person and computer holds the robot."""
    return state.held and (state.holder or {}).get("who") == who()


def is_unsettled(state: RobotState) -> bool:
    """Whether the last run died with the lock in its hands; its last line may be missing in the journal."""
    return bool(state.holder) and not state.held


def settle(session: Session, robot: Robot, state: RobotState, *, run: str, environment: str) -> None:
    """Lets the robot's agent clear that up, as it does at the beginning of every session."""
    with (
        suppress(Locked),  # somebody else's agent does it
        open_agent(session, robot, run=run, environment=environment, fingerprint=state.fingerprint),
    ):
        pass
