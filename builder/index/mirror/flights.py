"""Slow work for a server: in threads of its own, and done once however many ask for it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from builder.giving_up import giving_up

T = TypeVar("T")


class Flights:
    """Work by key for the event loop that calls `do`; `threads` pieces run at once, the rest waits its turn.

    Threads of their own, so that a slow upstream never takes those that other requests need.
    """

    def __init__(self, threads: int, patience: float) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="mirror")
        self._patience = patience  # seconds
        self._under_way: dict[Hashable, asyncio.Future[Any]] = {}

    async def do(self, key: Hashable, work: Callable[[], T]) -> T:
        """What `work` gives, or raises; who asks while the same key is under way gets that one's answer.

        Raises TimeoutError when patience ends. The work goes on then, and when who asked goes away: the next one finds
        it done.
        """
        future = self._under_way.get(key)
        if future is None:
            future = asyncio.get_running_loop().run_in_executor(self._pool, work)
            self._under_way[key] = future
            future.add_done_callback(lambda done: self._landed(key, done))
        result: T = await asyncio.wait_for(asyncio.shield(future), self._patience)
        return result

    def close(self) -> None:
        """Gives up what is under way, and waits until it has ended."""
        with giving_up():
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _landed(self, key: Hashable, done: asyncio.Future[Any]) -> None:
        del self._under_way[key]
        if not done.cancelled():
            done.exception()  # looked at, even when everybody who waited for it is gone
