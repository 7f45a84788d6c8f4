"""Run records: the host's own copy of what one changing command did, as JSON lines."""

from __future__ import annotations

import contextlib
import errno
import getpass
import json
import os
import secrets
import socket
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from builder.errors import DiskFailure, UsageFailure
from builder.files import held, write_json

SCHEMA = 1
INTENT = ("begin",)  # events before something is changed: without their line it is not


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


def kept_of(record: Path) -> list[Path]:
    """The files that a record keeps of its releases."""
    return sorted(record.with_suffix("").glob("*.json"))


class RunRecord:
    """An append-only file `<state_dir>/runs/<run>.jsonl`; the first line says what was asked for, the last that it
    ended.

    Lines are written whole with one system call each, so that a killed run leaves a readable record; while the run goes
    on its file is held (`builder.files.held`). The robot's journal is the truth; this is for the person at the laptop,
    and to go on from. Raises UsageFailure where no record can be kept: nothing is changed unrecorded.
    """

    def __init__(self, state_dir: Path, command: str, **request: Any) -> None:
        self.run = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        self.path = state_dir / "runs" / f"{self.run}.jsonl"
        self.failure: DiskFailure | None = None  # the first line about something done that could not be written
        self._guard = threading.Lock()
        self._torn = False
        self._held = contextlib.ExitStack()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._write("start", {"schema": SCHEMA, "command": command, "who": who(), **request})
            self._held.enter_context(held(self.path))
        except OSError as error:
            raise UsageFailure(
                f"no run record can be written to {self.path.parent}: {error.strerror}",
                why="Every command that changes robots keeps one.",
                next="Run it in a project directory that you may write to, or name one with --project.",
            ) from error

    def add(self, event: str, **fields: Any) -> None:
        """Appends one line. Raises DiskFailure where it says what will be done; what was done is done, so of other
        lines the first failure is kept in `failure`."""
        try:
            self._write(event, fields)
        except OSError as error:
            failure = self._unwritten(error)
            if event in INTENT:
                raise failure from error
            self.failure = self.failure or failure

    def keep(self, digest: str, value: Mapping[str, Any]) -> None:
        """Keeps what a release is made of beside the record, to go on from; for the user alone, since an environment's
        variables may be secret."""
        try:
            write_json(self.path.with_suffix("") / f"{digest}.json", dict(value), mode=0o600)
        except OSError as error:
            self.failure = self.failure or self._unwritten(error)

    def end(self, exit_code: int) -> None:
        """Says that the run came to its end, and lets go of the file."""
        self.add("end", exit_code=exit_code)
        self._held.close()

    def _unwritten(self, error: OSError) -> DiskFailure:
        return DiskFailure(
            f"the run record {self.path} cannot be written: {error.strerror}",
            why="Nothing is changed on a robot unrecorded; what was done stands in the robots' own journals.",
            next="Free some space there and run it again. What the robots say: ot2deploy history",
        )

    def _write(self, event: str, fields: Mapping[str, Any]) -> None:
        line = json.dumps({"at": now(), "run": self.run, "event": event, **fields}, default=str, sort_keys=True)
        with self._guard:
            data = b"\n" * self._torn + line.encode() + b"\n"
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                written = os.write(handle, data)
            finally:
                os.close(handle)
            self._torn = 0 < written < len(data)
            if self._torn:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
