"""One robot's connection over the life of a command: opened when needed, opened again when it broke."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import TypeVar

from builder.events import Event, Report
from ot2deploy.errors import ConnectionLost
from ot2deploy.inventory import Robot
from ot2deploy.transport import Session

T = TypeVar("T")
TRIES = 3
PAUSE = 2.0  # seconds; a restarting robot or dropbear's connection limit needs a moment


class Link:
    """A session with one robot that survives a lost connection.

    `work` steps must be idempotent: after ConnectionLost they are run again on a new session, at most TRIES times.
    Failures of commands, checks or keys are never retried.
    """

    def __init__(self, robot: Robot, open_session: Callable[[Robot], Session], report: Report) -> None:
        self.robot, self._open, self._report = robot, open_session, report
        self._session: Session | None = None
        self._opening: Future[Session] | None = None
        self._ended = False

    def begin(self, submit: Callable[[Callable[[], Session]], Future[Session]]) -> None:
        """Starts to connect in another thread; the first step waits for it, and raises what went wrong."""
        self._opening = submit(partial(self._open, self.robot))

    def attempt(self, work: Callable[[Session], T]) -> T:
        """Runs a step on the session. Raises what it raises; ConnectionLost only after the last try."""
        for left in reversed(range(TRIES)):
            try:
                return work(self._connected())
            except ConnectionLost as lost:
                self.close()
                if not left or self._ended:
                    raise
                self._report(
                    Event(subject=self.robot.name, stage="connect", message=f"{lost.what}; again", level="warning")
                )
                time.sleep(PAUSE)
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Ends the session; the next step opens another."""
        opening, self._opening = self._opening, None
        if opening is not None:  # nobody waits for it: a robot that does not answer takes half a minute to give up
            opening.cancel()
            opening.add_done_callback(_close_unused)
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _connected(self) -> Session:
        if self._session is None:
            opening, self._opening = self._opening, None
            session = opening.result() if opening else self._open(self.robot)
            if self._ended:  # meanwhile; a step that begins now would be nobody's
                session.close()
                raise ConnectionLost("the command has ended", subject=self.robot.name)
            self._session = session
        return self._session

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True  # a step that an interrupt left behind in another thread must not connect again
        self.close()


def _close_unused(opening: Future[Session]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
