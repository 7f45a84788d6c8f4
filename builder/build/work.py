"""A build's own directory."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from builder.places import cache_root
from builder.work import held_directory


def work_directory() -> AbstractContextManager[Path]:
    """A new directory in the cache, held while the build lives and removed at its end."""
    return held_directory(cache_root() / "work", "build-")
