"""The robot's own history: one line of JSON for each thing done, only ever added to."""

from __future__ import annotations

import json
import os

from ot2deploy.agent import SCHEMA, statefile
from ot2deploy.agent.clock import now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Line = dict[str, Any]

FIELDS = ("run", "who", "op", "environment", "digest", "previous", "result", "detail")


def append(path: str, line: Line) -> Line:
    """Adds a line, durable when this returns. A torn last line (power lost while writing) is closed first."""
    whole: Line = {"schema": SCHEMA, "at": now()}
    whole.update((field, line.get(field)) for field in FIELDS)
    data = json.dumps(whole, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            data = b"\n" + data
        while data:
            data = data[os.write(fd, data) :]
        os.fsync(fd)
    finally:
        os.close(fd)
    return whole


def read(path: str) -> list[Line]:
    """All readable lines, oldest first. Refuses lines of a newer schema."""
    lines = []
    try:
        with open(path, "rb") as file:
            for data in file:
                try:
                    value = json.loads(data.decode("utf-8"))
                except ValueError:
                    continue  # torn
                if isinstance(value, dict):
                    lines.append(statefile.check_schema(value, path))
    except FileNotFoundError:
        pass
    return lines


def succession(lines: list[Line], environment: str, current: str | None) -> list[str]:
    """The releases that were current one after the other, oldest first, ending with the current one.

    A switch adds to it, a rollback takes away what it left: rolling back twice goes two releases back. `current` is
    what the link says; when the journal does not end with it (power lost between rename and line) it is added.
    What was current before the environment was removed does not count.
    """
    stack: list[str] = []
    for line in lines:
        digest = line.get("digest")
        if line.get("environment") != environment or line.get("result") != "ok":
            continue
        if line.get("op") == "remove":
            stack.clear()
        elif not isinstance(digest, str):
            continue
        elif line.get("op") == "rollback" and digest in stack:
            del stack[len(stack) - stack[::-1].index(digest) :]
        elif line.get("op") in ("switch", "rollback") and stack[-1:] != [digest]:
            stack.append(digest)
    if current and stack[-1:] != [current]:
        stack.append(current)
    return stack
