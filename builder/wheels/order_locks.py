"""Locks of orders that nobody named: beside those of environments, and no more of them than are in use."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from builder.engine import Engine
from builder.lock import Lock

DIRECTORY = "orders"  # below that of the locks of environments
KEPT = 100  # the last used ones: each other question has a lock of its own, which keeps its day


def for_orders(engine: Engine) -> Engine:
    """The engine with the directory of these locks."""
    return replace(engine, locks=engine.locks / DIRECTORY)


def keep_in_use(lock: Lock) -> None:
    """Notes that a lock is in use, and removes those of its directory that were not used for longest."""
    os.utime(lock.path)
    used: list[tuple[int, Path]] = []
    for path in lock.path.parent.glob("pylock.*.toml"):
        try:
            used.append((path.stat().st_mtime_ns, path))
        except FileNotFoundError:  # another process removes them, too
            continue
    for _, path in sorted(used, reverse=True)[KEPT:]:
        path.unlink(missing_ok=True)
