"""Run records: the host's own copy of what one changing command did, as JSON lines."""

from __future__ import annotations

import getpass
import json
import os
import secrets
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from builder.errors import UsageFailure

SCHEMA = 1


def who() -> str:
    """The person and machine that act, as user@host; goes into the robot's lock and journal."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def now() -> str:
    """The current time in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class RunRecord:
    """An append-only file `<state_dir>/runs/<run>.jsonl`; the first line says what was asked for.

    Lines are written whole with one system call each, so that a killed run leaves a readable record.
    The robot's journal is the truth; this is for the person at the laptop. Raises UsageFailure where no record can be
    kept: nothing is changed unrecorded.
    """

    def __init__(self, state_dir: Path, command: str, **request: Any) -> None:
        self.run = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        self.path = state_dir / "runs" / f"{self.run}.jsonl"
        self._guard = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.add("start", schema=SCHEMA, command=command, who=who(), **request)
        except OSError as error:
            raise UsageFailure(
                f"no run record can be written to {self.path.parent}: {error.strerror}",
                why="Every command that changes robots keeps one.",
                next="Run it in a project directory that you may write to, or name one with --project.",
            ) from error

    def add(self, event: str, **fields: Any) -> None:
        """Appends one line."""
        line = json.dumps({"at": now(), "run": self.run, "event": event, **fields}, default=str, sort_keys=True)
        with self._guard:
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(handle, line.encode() + b"\n")
            finally:
                os.close(handle)
