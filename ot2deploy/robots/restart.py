"""Restarting a robot over its HTTP API, and waiting until its robot server answers again."""

from __future__ import annotations

import time
from collections.abc import Callable

from ot2deploy.errors import ApiFailure, NotBack
from ot2deploy.inventory import Robot
from ot2deploy.robots import api

# An OT-2 starts for one to three minutes; newer ones also load large packages from /var.
LIMIT = 600.0  # seconds
PAUSE = 2.0


def restart(robot: Robot, serial: str, *, limit: float = LIMIT, pause: float = PAUSE) -> float:
    """Restarts the whole robot, which is the only way to restart its robot server; seconds until it answers again.

    `serial` is what the robot said over SSH. The caller has made sure that it is idle. Raises ApiFailure, AnotherRobot
    before anything was done, and NotBack.
    """
    api.same(robot, serial)
    before = _boot(robot)
    start = time.monotonic()
    api.post(robot, "/server/restart")
    if not _until(lambda: _is_back(robot, before), start + limit, pause):
        raise NotBack(
            f"it did not answer within {limit:g} s after it was told to restart",
            subject=robot.name,
            why="It still starts, or has another address now. What was installed is current all the same.",
            next=f"Wait a little and run: ot2deploy robot check --limit {robot.name}{robot.file_option}",
        )
    return time.monotonic() - start


def _boot(robot: Robot) -> str:
    return str(api.get(robot, "/server/update/health").get("bootId", ""))


def _is_back(robot: Robot, before: str) -> bool:
    """Whether it has started anew, and its robot server answers, which is later."""
    try:
        return _boot(robot) != before and bool(api.get(robot, "/health"))
    except ApiFailure:
        return False


def _until(condition: Callable[[], bool], deadline: float, pause: float) -> bool:
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True
