"""Runs one function for every robot at once, in a bounded pool."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from builder.errors import Failure
from ot2deploy.inventory import Robot

S = TypeVar("S")
T = TypeVar("T")
JOBS = 16


@dataclass(frozen=True, kw_only=True)
class Outcome(Generic[T]):
    """What became of one robot: a value, or the failure that stopped it."""

    robot: Robot
    value: T | None = None
    failure: Failure | None = None

    @property
    def ok(self) -> bool:
        """Whether the work ended without a failure."""
        return self.failure is None

    def as_dict(self) -> dict[str, Any]:
        """The outcome as JSON: the value's own fields, or the error."""
        told: Any = self.value
        if hasattr(told, "as_dict"):
            told = told.as_dict()
        return {
            "robot": self.robot.name,
            "ok": self.ok,
            "result": told,
            "error": self.failure.as_dict() if self.failure else None,
        }


class Crew:
    """`size` threads that end with the program, whatever they wait for.

    Those of a ThreadPoolExecutor are waited for: an interrupt would last as long as the slowest robot's login.
    """

    def __init__(self, size: int, name: str) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name=f"{name}-{at}", daemon=True) for at in range(size)]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """The future result of `work`, which runs as soon as a thread is free."""
        future: Future[T] = Future()

        def call() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except BaseException as error:
                    future.set_exception(error)

        self._tasks.put(call)
        return future

    def dismiss(self) -> None:
        """Lets the threads end after what was submitted; nobody is waited for."""
        for _ in self._threads:
            self._tasks.put(None)

    def _work(self) -> None:
        while task := self._tasks.get():
            task()


def each(items: Iterable[S], work: Callable[[S], T], *, jobs: int = JOBS) -> list[T]:
    """The results of `work` in the order of the items; an exception is raised after all have ended.

    An interrupt waits for nobody: who holds the robots' connections closes them, and with that ends the work.
    """
    items = list(items)
    if len(items) <= 1:
        return [work(item) for item in items]
    crew = Crew(max(1, min(jobs, len(items))), "robot")
    futures = [crew.submit(partial(work, item)) for item in items]
    crew.dismiss()
    try:
        wait(futures)
    finally:
        for future in futures:
            future.cancel()  # after an interrupt, those that have not begun
    return [future.result() for future in futures]


def outcomes(robots: Iterable[Robot], work: Callable[[Robot], T], *, jobs: int = JOBS) -> list[Outcome[T]]:
    """An outcome for each robot, in their order. Only a Failure becomes an outcome; a bug in `work` is raised."""

    def one(robot: Robot) -> Outcome[T]:
        try:
            return Outcome(robot=robot, value=work(robot))
        except Failure as failure:
            failure.subject = failure.subject or robot.name
            return Outcome(robot=robot, failure=failure)

    return each(robots, one, jobs=jobs)


def exit_code(good: Iterable[bool]) -> int:
    """0 when every robot is good, 1 when none is, 3 when some are."""
    flags = list(good)
    if all(flags):
        return 0
    return 3 if any(flags) else 1
