"""Small files of state on a robot: written whole or not at all, durable, and never newer than we understand."""

from __future__ import annotations

import json
import os

from ot2deploy.agent import SCHEMA
from ot2deploy.agent.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read(path: str) -> dict[str, Any] | None:
    """A state file's value, or None when there is none or it is not readable JSON. Refuses one of a newer schema."""
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError):
        return None
    return check_schema(value, path) if isinstance(value, dict) else None


def check_schema(value: dict[str, Any], where: str) -> dict[str, Any]:
    """Returns the value; refuses one that a newer ot2deploy wrote."""
    schema = value.get("schema", SCHEMA)
    if not isinstance(schema, int) or schema > SCHEMA:
        raise Refusal(
            "agent-too-new",
            "this robot is managed by a newer ot2deploy",
            why="%s has schema %s; this ot2deploy knows %d." % (where, schema, SCHEMA),
            next="Upgrade ot2deploy.",
        )
    return value


def write(path: str, value: dict[str, Any]) -> None:
    """Writes a value as JSON beside its place, makes it durable, and renames it there."""
    directory, temporary = os.path.dirname(path), part(path)
    os.makedirs(directory, exist_ok=True)
    try:
        with open(temporary, "w", encoding="utf-8", errors="backslashreplace") as file:  # as JSON has it
            json.dump(value, file, sort_keys=True, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise
    sync_directory(directory)


def part(path: str) -> str:
    """Where a state file stands while it is written."""
    directory, name = os.path.split(path)
    return os.path.join(directory, ".%s.part" % name)


def remove(path: str) -> None:
    """Removes a file, if it is there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def sync_directory(path: str) -> None:
    """Makes the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_tree(path: str) -> None:
    """Makes everything below a directory durable, with one call for its file system (thousands of fsyncs take minutes).

    syncfs also reports what could not be written; where the C library lacks it, sync must do.
    """
    try:
        import ctypes

        library = ctypes.CDLL(None, use_errno=True)
        call = library.syncfs
    except (ImportError, OSError, AttributeError):
        os.sync()
        return
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if call(fd) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(fd)
