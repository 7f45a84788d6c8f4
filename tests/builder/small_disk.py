"""A disk that is soon full, for tests. Needs the right to mount."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(where: Path) -> Iterator[Path]:
    """A file system of 16 MiB at a directory, filled by a file, which is given."""
    where.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(where)]
    if os.name != "posix" or os.geteuid() != 0 or subprocess.run(words, capture_output=True, timeout=30).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        (where / "ballast").touch()  # while there is room for it
        yield where / "ballast"
    finally:
        subprocess.run(["umount", "-l", str(where)], check=True, timeout=30)


def fill(ballast: Path, *, free: int) -> None:
    """Fills the disk up to some bytes, or fewer where somebody else writes meanwhile."""
    os.truncate(ballast, 0)
    left = os.statvfs(ballast.parent)
    try:
        ballast.write_bytes(bytes(left.f_bavail * left.f_frsize - free))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
