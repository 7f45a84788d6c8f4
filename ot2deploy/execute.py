"""Runs a program of an environment on robots. What the user typed travels on stdin, never on a command line."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from ot2deploy import advice, fleet
from ot2deploy.agent_host.arrival import agent_command, ensure_agent
from ot2deploy.agent_host.client import frame
from ot2deploy.errors import ConnectionLost
from ot2deploy.fleet import Outcome
from ot2deploy.inventory import Robot
from ot2deploy.transport import Session, Stream
from ot2deploy.visit import Fleet

CHUNK = 1 << 16
Sink = Callable[[str, bool, bytes], None]


@dataclass(frozen=True, kw_only=True)
class ExecRequest:
    """A program and its arguments. `sink(robot, is_stderr, data)` gets the output as it comes, a chunk at a time.

    `stdin` is sent to the program when only one robot is selected; with several its input is empty.
    """

    fleet: Fleet
    environment: str
    argv: tuple[str, ...]
    sink: Sink
    stdin: BinaryIO | None = None


@dataclass(frozen=True, kw_only=True)
class ExecResult:
    """The exit status of the program on each robot."""

    outcomes: tuple[Outcome[int], ...]

    @property
    def exit_code(self) -> int:
        """One robot: the program's own status. Several: 0 all ended with 0, 1 none, 3 some."""
        if len(self.outcomes) == 1 and self.outcomes[0].ok:
            return self.outcomes[0].value or 0
        return fleet.exit_code(outcome.ok and outcome.value == 0 for outcome in self.outcomes)

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        return {"robots": [outcome.as_dict() for outcome in self.outcomes]}


def execute(request: ExecRequest) -> ExecResult:
    """Starts the program from the current release of each robot and waits for it."""
    robots, links = request.fleet.robots, request.fleet.links
    stdin = request.stdin if len(robots) == 1 else None

    def one(robot: Robot) -> int:
        with links[robot.name] as link:
            link.attempt(lambda session: ensure_agent(session, robot))
            # Not attempted twice: nobody but the user knows whether the program may run again.
            return _run(link.attempt(lambda session: session), robot, request, stdin)

    return ExecResult(outcomes=tuple(fleet.outcomes(robots, one, jobs=request.fleet.at_once)))


def _run(session: Session, robot: Robot, request: ExecRequest, stdin: BinaryIO | None) -> int:
    asked = {
        "base": robot.base, "root": robot.root, "environment": request.environment, "argv": list(request.argv),
        "variables": {}, "missing": advice.push(request.environment, robot, request.fleet.project),
    }  # fmt: skip
    with session.open(agent_command(robot, "exec")) as stream:
        stream.write(frame("J", json.dumps(asked).encode()))
        errors = threading.Thread(target=_copy_errors, args=(stream, robot.name, request.sink), daemon=True)
        errors.start()
        if stdin is None:
            stream.finish()
        else:
            # A daemon: a terminal that nobody types into must not keep us from ending with the program.
            threading.Thread(target=_feed, args=(stdin, stream), daemon=True).start()
        _copy(stream.read, robot.name, False, request.sink)
        errors.join()
        status = stream.wait()
    return 255 if status is None else status


def _copy(read: Callable[[int], bytes], robot: str, is_error: bool, sink: Sink) -> None:
    while data := read(CHUNK):
        sink(robot, is_error, data)


def _copy_errors(stream: Stream, robot: str, sink: Sink) -> None:
    # Whoever reads standard output hears of a broken connection; nobody needs to read the other stream.
    with contextlib.suppress(OSError, ConnectionLost):
        _copy(stream.read_error, robot, True, sink)


def _feed(source: BinaryIO, stream: Stream) -> None:
    # The program may end before its input does, or the connection break: its status, or the other thread, says so.
    with contextlib.suppress(OSError, ConnectionLost):
        while data := _some(source):
            stream.write(data)
        stream.finish()


def _some(source: BinaryIO) -> bytes:
    """What can be read now, past any buffer: its lock, held by a thread that waits, would break Python's own end."""
    try:
        descriptor = source.fileno()
    except OSError:  # not a file of the system
        return source.read(CHUNK)
    return os.read(descriptor, CHUNK)


def to_terminal(_robot: str, is_error: bool, data: bytes) -> None:
    """A sink for one robot: its output as if the program ran here."""
    out = sys.stderr.buffer if is_error else sys.stdout.buffer
    out.write(data)
    out.flush()
