"""What a robot is doing now: nothing, a run, a maintenance run, a system update. Asking changes nothing on it.

Runs are told by its HTTP API. An update session is not: update-server tells of one only to whoever began it, so its
files are looked for on the robot's disk.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ot2deploy.agent import activity as on_robot
from ot2deploy.agent_host.client import AgentSession
from ot2deploy.errors import ApiFailure, CommandFailure, ConnectionFailure
from ot2deploy.inventory import Robot
from ot2deploy.link import Link
from ot2deploy.robots import api
from ot2deploy.transport import Session, command, script

HEALTH, RUNS, MAINTENANCE = "/server/update/health", "/runs?pageLength=1", "/maintenance_runs/current_run"
ENDED = ("stopped", "failed", "succeeded")
IDENTITY = re.compile(r"[A-Za-z0-9-]+", re.ASCII)
INTERVAL = 15.0  # seconds between two questions
RESTART = 600.0  # seconds; an OT-2 starts for one to three minutes
TIMEOUT = 60.0  # seconds; an emulated robot under load is slow to start Python
# What `on_robot.updating` says, without the half second that a robot's Python takes to start.
UPDATING = r"""
for f in @root@@updates@/*; do [ -f "$f" ] && [ "$f" -nt @boot@ ] && echo "${f##*/}"; done; :
"""

Answer = tuple[int, Any]  # status and what the JSON of the body says; 0 where nothing answers
Get = Callable[[Sequence[str]], Sequence[Answer]]


@dataclass(frozen=True, kw_only=True)
class Activity:
    """What a robot is doing: `what` is a clause that says it, or why it is not known; "" for an idle one."""

    state: Literal["idle", "busy", "unknown"]
    what: str = ""

    @property
    def is_busy(self) -> bool:
        """Whether something is going on that must not be disturbed."""
        return self.state == "busy"

    def as_dict(self) -> dict[str, Any]:
        """The activity as JSON."""
        return dict(self.__dict__)


IDLE = Activity(state="idle")


def ask(robot: Robot, session: Session | None = None) -> Activity:
    """Asks a robot what it is doing. An API that cannot be reached makes it "unknown", which is no error.

    Only with a `session` are updates seen, and robots behind a jump host asked. Raises ConnectionLost for it.
    """
    if not robot.via:
        words = {"root": robot.root or "/.", "updates": on_robot.UPDATES, "boot": on_robot.BOOT}
        updating = session.run(script(UPDATING, **words)).text.splitlines() if session else []
        return _updating(updating) or _judge(robot, lambda paths: _from_here(robot, paths))
    if session is None:
        return _unknown(f"it is reached through {robot.via}, where its HTTP API was not asked")
    return _from_there(robot, lambda port, paths: _run(session, robot, port, paths))


def ask_over(link: Link, robot: Robot) -> Activity:
    """The same over a link, for who waits: a robot that cannot be reached may be restarting, and is "unknown"."""
    try:
        return link.attempt(lambda session: ask(robot, session))
    except ConnectionFailure as failure:
        return _unknown(failure.what)


def ask_in(agent: AgentSession, robot: Robot) -> Activity:
    """The same in an agent's session, whose channel is to stay the only one. Raises AgentFailure, ConnectionLost."""

    def look(port: int, paths: Sequence[str]) -> Mapping[str, Any]:
        return agent.request("activity", port=port, paths=list(paths))

    if robot.via:
        return _from_there(robot, look)
    return _updating(look(robot.http_port, ())["updating"]) or ask(robot)


def wait_idle(
    ask: Callable[[], Activity],
    deadline: float,
    tell: Callable[[Activity], None],
    *,
    pause: Callable[[float], None] = time.sleep,
) -> Activity:
    """Asks again and again while a robot is busy, until `deadline` (of time.monotonic); returns the last activity.

    What is waited for is told once. A robot whose API stops answering meanwhile may be restarting: it is asked on, but
    no longer than a restart takes.
    """
    told: Activity | None = None
    until = deadline
    while True:
        now = ask()
        if now.state == "busy":
            until = deadline
        elif told is not None and told.state == "busy":
            until = min(deadline, time.monotonic() + RESTART)
        left = until - time.monotonic()
        if now.state == "idle" or (now.state == "unknown" and told is None) or left <= 0:
            return now
        if now != told:
            tell(now)
            told = now
        pause(min(INTERVAL, left))


def _judge(robot: Robot, get: Get) -> Activity:
    """The activity out of what the API answers."""
    health, runs, maintenance = get((HEALTH, RUNS, MAINTENANCE))
    if not health[0]:
        return _unknown(f"its HTTP API (port {robot.http_port}) does not answer")
    try:
        serial = str(_object(health).get("serialNumber", ""))
        if robot.serial and serial != robot.serial:
            return _unknown(f"what answers as its HTTP API has serial {serial or 'unknown'}, not {robot.serial}")
        if maintenance[0] != 404:
            _object(maintenance)
            return Activity(state="busy", what="a maintenance run (a calibration, for example) is going on")
        link = _object(runs).get("links", {}).get("current")
        if not link:  # a run that is not the current one has ended, whatever its status was then
            return IDLE
        identity = str(link["href"]).rpartition("/")[2]
        status = _status(identity, runs[1]["data"]) or _status_of(identity, get)
    except (_NoAnswer, LookupError, TypeError, AttributeError) as error:
        return _unknown(f"its HTTP API does not say what it is doing ({str(error) or type(error).__name__})")
    if status in ENDED:
        return IDLE
    said = "is loaded and was not started" if status == "idle" else f"is {status}"
    return Activity(state="busy", what=f"run {identity} {said}")


def _status(identity: str, runs: Sequence[Mapping[str, Any]]) -> str:
    return next((str(run["status"]) for run in runs if run["id"] == identity), "")


def _status_of(identity: str, get: Get) -> str:
    """The status of a run that the list does not hold. Raises _NoAnswer, LookupError, TypeError."""
    if not IDENTITY.fullmatch(identity):
        raise _NoAnswer("it names a run that can be none")
    (answer,) = get((f"/runs/{identity}",))
    return str(_object(answer)["data"]["status"])


class _NoAnswer(Exception):
    """The API did not answer as a robot's does."""


def _object(answer: Answer) -> Mapping[str, Any]:
    status, body = answer
    if status != 200 or not isinstance(body, dict):
        raise _NoAnswer(f"it answers {status}" if status else "it stopped answering")
    return body


def _from_here(robot: Robot, paths: Sequence[str]) -> list[Answer]:
    """The answers to GETs from here; who does not answer the first is not asked the others."""
    found: list[Answer] = []
    for path in paths:
        try:
            found.append((200, api.get(robot, path)))
        except ApiFailure as failure:
            found.append((failure.status or 0, None))
            if failure.status is None and len(found) == 1:
                return found * len(paths)
    return found


def _from_there(robot: Robot, look: Callable[[int, Sequence[str]], Mapping[str, Any]]) -> Activity:
    """The activity as the robot itself sees it."""

    def answers(found: Mapping[str, Any]) -> list[Answer]:
        return [(int(status), _parsed(body)) for status, body in found["answers"]]

    try:
        first = look(robot.http_port, (HEALTH, RUNS, MAINTENANCE))
        known: dict[Sequence[str], list[Answer]] = {(HEALTH, RUNS, MAINTENANCE): answers(first)}
        return _updating(first["updating"]) or _judge(
            robot, lambda paths: known.get(tuple(paths)) or answers(look(robot.http_port, paths))
        )
    except (CommandFailure, LookupError, TypeError, ValueError):
        return _unknown("its Python could not ask its HTTP API")


def _run(session: Session, robot: Robot, port: int, paths: Sequence[str]) -> Mapping[str, Any]:
    """Has the robot's Python look. Raises CommandFailure, ValueError, ConnectionLost."""
    call = f"\nmain({json.dumps(robot.root)}, {port}, {json.dumps(list(paths))})\n"
    source = Path(on_robot.__file__).read_bytes() + call.encode()
    done = session.run(command(robot.system_path("/usr/bin/python3"), "-I", "-"), input=source, timeout=TIMEOUT)
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


def _parsed(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _updating(names: Sequence[str]) -> Activity | None:
    if not names:
        return None
    return Activity(state="busy", what=f"a system update was begun ({names[0]}), and it has not restarted since")


def _unknown(why: str) -> Activity:
    return Activity(state="unknown", what=why)
