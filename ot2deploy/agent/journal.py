"""The robot's own history: one line of JSON for each thing done, only ever added to."""

from __future__ import annotations

import json
import os

from ot2deploy.agent import SCHEMA, statefile
from ot2deploy.agent.clock import now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Line = dict[str, Any]

SWITCHES = ("switch", "rollback", "withdraw")
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


def settle(path: str, holder: Line | None, current: Callable[[str], str | None]) -> None:
    """Writes the line for which a dead holder of the lock had no time, between its switch and the journal.

    `holder` is what it left in the lock's file, `current(environment)` the digest that is current now.
    """
    doing = (holder or {}).get("doing")
    if not isinstance(doing, dict) or doing.get("op") not in SWITCHES:
        return
    environment, op, before = str(doing.get("environment")), doing["op"], doing.get("previous")
    now = current(environment)
    if now == before:
        return
    said = [line for line in read(path) if line.get("environment") == environment and line.get("result") == "ok"]
    said = [line for line in said if line.get("op") in SWITCHES]
    if said and (said[-1]["op"] == "withdraw" if now is None else said[-1].get("digest") == now):
        return
    digest, previous = (before, None) if now is None else (now, before)
    line = dict(holder or {}, op=op, environment=environment, digest=digest, previous=previous, result="ok")
    append(path, dict(line, detail="cut off right after it; written by the next run"))


def succession(lines: list[Line], environment: str, current: str | None) -> list[str]:
    """The releases that were current one after the other, oldest first, ending with the current one.

    A switch adds to it, a rollback takes away what it left: rolling back twice goes two releases back. `current` is
    what the link says; when the journal does not end with it (power lost between rename and line) it is added.
    What was current before the environment was removed, or its first release withdrawn, does not count.
    """
    stack: list[str] = []
    for line in lines:
        digest = line.get("digest")
        if line.get("environment") != environment or line.get("result") != "ok":
            continue
        if line.get("op") in ("remove", "withdraw"):  # from then on nothing was current
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
