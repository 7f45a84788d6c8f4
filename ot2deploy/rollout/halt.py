"""Stopping a push: the first Ctrl-C lets each robot's step end, the second ends everything at once."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = "interrupted"
INTERVAL = 0.2  # seconds between two looks while something is waited for


class Halted(Exception):
    """The push was stopped before this robot's next step; nothing is half-done on it."""


class Halt:
    """Whether no further step is to begin, and why; asked between the steps of every robot."""

    def __init__(self) -> None:
        self.why = ""
        self._at_work = 0
        self._guard = threading.Lock()

    def set(self, why: str) -> None:
        """Lets no further step begin. The first reason stays. Takes no lock: a signal's handler may call it."""
        self.why = self.why or why

    @property
    def interrupted(self) -> bool:
        """Whether a person stopped it."""
        return self.why == INTERRUPTED

    @property
    def at_work(self) -> bool:
        """Whether a step on a robot is under way."""
        return self._at_work > 0

    def check(self) -> None:
        """Raises Halted when the push is stopped."""
        if self.why:
            raise Halted

    def wait(self, seconds: float) -> None:
        """Sleeps, unless the push is stopped meanwhile. Raises Halted then."""
        deadline = time.monotonic() + seconds
        self.check()
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, INTERVAL))
            self.check()

    @contextmanager
    def working(self) -> Iterator[None]:
        """A step that changes a robot lasts as long as the block. Raises Halted instead of beginning one."""
        self.check()
        with self._guard:
            self._at_work += 1
        try:
            yield
        finally:
            with self._guard:
                self._at_work -= 1


@contextmanager
def on_interrupt(halt: Halt, tell: Callable[[], None]) -> Iterator[None]:
    """While the block lasts, the first Ctrl-C sets `halt` where a robot is being changed, and `tell` says so.

    The second one, or one at any other moment, raises KeyboardInterrupt as always. Does nothing outside the main
    thread, which alone gets signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def first(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        if not halt.at_work:
            raise KeyboardInterrupt
        halt.set(INTERRUPTED)
        tell()

    if before is None:  # installed by somebody who is not Python
        yield
        return
    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
