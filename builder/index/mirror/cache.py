"""What a mirror keeps on disk: files that can be fetched again, the least recently used of which go first."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

GRACE = 60.0  # seconds in which a file that was asked for is opened by who sends it
CUT = 86_400.0  # seconds after which a part is nobody's any more: its process was killed


class Cache:
    """Files below `root` that together have about `limit` bytes; safe for several threads and processes.

    A file's time of access is that of its last use. What is being sent stays readable: it is open already, or was asked
    for less than a minute ago and stays.
    """

    def __init__(self, root: Path, limit: int) -> None:
        self.root, self.limit = root, limit

    def place(self, *words: str) -> Path:
        """Where a file is, or would be; `words` are safe as names of files."""
        return self.root.joinpath(*words)

    def get(self, *words: str) -> Path | None:
        """A file that is there, marked as used; else None."""
        path = self.place(*words)
        try:
            modified = path.stat().st_mtime_ns  # stays as it is: a download that was broken off goes on by it
            os.utime(path, ns=(time.time_ns(), modified))
        except FileNotFoundError:
            return None
        return path

    def trim(self) -> None:
        """Removes what was not used for the longest time, until the rest is within the limit."""
        now = time.time()
        files = sorted(self._files())
        total = sum(size for _, size, _ in files)
        for used, size, path in files:
            cut = path.name.endswith(".part") and now - used > CUT
            if not cut and (total <= self.limit or now - used < GRACE):
                continue
            with contextlib.suppress(OSError):  # another process was faster, or Windows has it open
                path.unlink()
                total -= size
            with contextlib.suppress(OSError):  # a directory that still has something stays
                path.parent.rmdir()

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        for directory, _, names in os.walk(self.root):
            for name in names:
                path = Path(directory, name)
                with contextlib.suppress(OSError):
                    facts = path.stat()
                    yield facts.st_atime, facts.st_size, path
