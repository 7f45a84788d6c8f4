"""Whether work is given up: said by who was interrupted, asked by what waits for something in another thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_guard = threading.Lock()
_times = 0


@contextmanager
def giving_up() -> Iterator[None]:
    """Work of other threads is given up while the block lasts."""
    global _times
    with _guard:
        _times += 1
    try:
        yield
    finally:
        with _guard:
            _times -= 1


def given_up() -> bool:
    """Whether somebody gives up now."""
    return _times > 0
