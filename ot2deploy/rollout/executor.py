"""Carries out tasks: the interface that the roll-out needs, and threads of this process behind it."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from ot2deploy.rollout.planner import Task, Verdict


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A task that ended. `error` is a bug that nobody foresaw; a robot's own failure is in its row."""

    task: Task
    verdict: Verdict
    error: BaseException | None = None


class Executor(Protocol):
    """Does tasks, several at once, in the order in which they are submitted."""

    def submit(self, task: Task) -> None:
        """Adds a task; returns at once."""

    def cancel(self) -> None:
        """Tasks that have not begun end with Verdict.LEFT."""

    def events(self) -> Iterator[Ended]:
        """Each task as it ends, until none is left."""


class LocalThreads:
    """An Executor of at most `size` threads of this process, which end with it, whatever they wait for."""

    def __init__(self, work: Callable[[Task], Verdict], size: int) -> None:
        self._work, self._size = work, size
        self._waiting: deque[Task] = deque()
        self._ended: queue.SimpleQueue[Ended] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._threads = 0
        self._left = 0

    def submit(self, task: Task) -> None:
        """Adds a task; a thread is started for it where there is none free."""
        with self._guard:
            self._waiting.append(task)
            self._left += 1
            if self._threads >= self._size:
                return
            self._threads += 1
        threading.Thread(target=self._serve, name="robot", daemon=True).start()

    def cancel(self) -> None:
        """Ends what has not begun."""
        with self._guard:
            left = list(self._waiting)
            self._waiting.clear()
        for task in left:
            self._ended.put(Ended(task=task, verdict=Verdict.LEFT))

    def events(self) -> Iterator[Ended]:
        """Each task as it ends. Tasks may be submitted while one is looked at."""
        while self._left:
            ended = self._ended.get()
            self._left -= 1
            yield ended

    def _serve(self) -> None:
        while True:
            with self._guard:
                if not self._waiting:
                    self._threads -= 1
                    return
                task = self._waiting.popleft()
            try:
                ended = Ended(task=task, verdict=self._work(task))
            except BaseException as error:
                ended = Ended(task=task, verdict=Verdict.BROKEN, error=error)
            self._ended.put(ended)


class Slots:
    """How many robots are sent to, and installed on, at the same time: a network and robots have limits of their own.

    The work itself runs in more threads than either.
    """

    def __init__(self, *, transfers: int, installs: int) -> None:
        self._transfers, self._installs = threading.Semaphore(transfers), threading.Semaphore(installs)

    def transfer(self, wait: Callable[[], None]) -> AbstractContextManager[None]:
        """One robot's turn to be sent to; `wait` is told where it has to wait for it."""
        return _turn(self._transfers, wait)

    def install(self, wait: Callable[[], None]) -> AbstractContextManager[None]:
        """One robot's turn to install and check; `wait` is told where it has to wait for it."""
        return _turn(self._installs, wait)


@contextmanager
def _turn(slots: threading.Semaphore, wait: Callable[[], None]) -> Iterator[None]:
    if not slots.acquire(blocking=False):
        wait()
        slots.acquire()
    try:
        yield
    finally:
        slots.release()
