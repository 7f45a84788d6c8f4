"""The journal of an index: who did what to it, one JSON line for each act; private, never in the tree."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from builder.files import disk_failures, locked

JOURNAL = "journal.jsonl"


@dataclass(frozen=True, kw_only=True)
class Act:
    """One act.

    `who` is user@host (`ot2deploy.runs.record.who`) or a token's name; `op` is one of upload, refused, promote, yank,
    unyank, remove, gc, publish; `branches` as people see them ("ot2-py310/dev"); `files` is the sha256 of each by its
    name; `at` is an RFC 3339 time in UTC (without one: when it is written). Nothing secret may stand in `detail`.
    """

    op: str
    who: str
    branches: tuple[str, ...] = ()
    name: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""
    at: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The act as JSON."""
        return asdict(self)


class Journal:
    """An append-only file at `path` that its owner alone may read; made, with its directory, by the first act."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, *acts: Act) -> None:
        """Appends acts, with one system call where there is room, so that a killed writer leaves whole lines. Raises
        DiskFailure.

        It is called before the tree is changed: nothing is done unrecorded.
        """
        if not acts:
            return
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = "".join(json.dumps({**act.as_dict(), "at": act.at or now}, sort_keys=True) + "\n" for act in acts)
        with disk_failures(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with locked(self.path.with_suffix(".lock")):  # another's line that is half there would look cut
                handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
                try:
                    left = b"\n" * _is_cut(handle) + text.encode()
                    while left:  # a disk that becomes full takes a part, and refuses the rest
                        left = left[os.write(handle, left) :]
                finally:
                    os.close(handle)

    def lines(self, limit: int | None = None) -> tuple[Act, ...]:
        """The last `limit` acts, oldest first; lines that a full disk cut are passed over."""
        try:
            with self.path.open("rb") as file:
                return tuple(deque(filter(None, map(_read, file)), maxlen=limit))
        except FileNotFoundError:
            return ()


def _is_cut(handle: int) -> bool:
    """Whether the last line lacks its end: a full disk took a part of it."""
    size = os.fstat(handle).st_size
    if not size:
        return False
    os.lseek(handle, size - 1, os.SEEK_SET)  # O_APPEND writes at the end all the same
    return os.read(handle, 1) != b"\n"


def _read(line: bytes) -> Act | None:
    try:
        read = json.loads(line)
        return Act(**{**read, "branches": tuple(read["branches"]), "files": dict(read["files"])})
    except (ValueError, LookupError, TypeError):
        return None
