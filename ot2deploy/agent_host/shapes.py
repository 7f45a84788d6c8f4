"""What an agent's results must look like. A robot is not believed: its answers become rows, messages and numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

DIGEST = re.compile(r"[0-9a-f]{64}")
LARGEST = 1 << 60

Shape = Callable[[Any], bool]


def fits(op: str, result: Mapping[str, Any]) -> bool:
    """Whether a result has what every answer to this request has; more than that is not looked at."""
    return all(name in result and shape(result[name]) for name, shape in RESULTS.get(op, {}).items())


def _digest(value: Any) -> bool:
    return isinstance(value, str) and DIGEST.fullmatch(value) is not None


def _digest_or_none(value: Any) -> bool:
    return value is None or _digest(value)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def text(value: Any) -> bool:
    """Whether it is a string."""
    return isinstance(value, str)


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST


def _seconds(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= LARGEST


def rows(**fields: Shape) -> Shape:
    """The shape of a list of objects that have these fields."""

    def shape(value: Any) -> bool:
        return isinstance(value, list) and all(
            isinstance(row, dict) and all(name in row and one(row[name]) for name, one in fields.items())
            for row in value
        )

    return shape


def _list(of: Shape) -> Shape:
    return lambda value: isinstance(value, list) and all(map(of, value))


def _spent(value: Any) -> bool:
    return isinstance(value, dict) and all(_seconds(value.get(name)) for name in ("install", "compile"))


def _object_or_none(value: Any) -> bool:
    return value is None or isinstance(value, dict)


PROGRAMS = rows(pid=_count, name=text, environments=_list(text))
# For each request the fields that we read of its result.
RESULTS: Mapping[str, Mapping[str, Shape]] = {
    "need": {"missing": rows(sha256=_digest, offset=_count)},
    "install": {"seconds": _spent},
    "verify": {"results": rows(name=text, kind=text, ok=_flag, why=lambda value: value is None or text(value))},
    "switch": {"changed": _flag, "previous": _digest_or_none, "undecided": _flag},
    "rollback": {"current": _digest_or_none, "previous": _digest_or_none},
    "remove": {
        "current": _digest_or_none, "releases": _list(_digest), "blobs": _count, "bytes": _count, "programs": PROGRAMS,
    },
    "purge": {"environments": _list(text), "left": _list(text), "programs": PROGRAMS},
    "unlock": {"state": text, "holder": _object_or_none},
    "journal": {"lines": rows()},
    "collect": {
        "releases": rows(environment=text, digest=_digest, bytes=_count), "blobs": _count, "agents": _count,
        "bytes": _count, "free": _count, "programs": PROGRAMS,
        "kept": rows(environment=text, digest=_digest, why=text),
    },
    "kernel": {"kernel": text},
}  # fmt: skip
