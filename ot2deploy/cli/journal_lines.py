"""A line of a robot's journal as a row of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builder.printable import one_line
from ot2deploy.cli.outcomes import release

COLUMNS = ("at", "who", "did", "environment", "release", "result", "detail")


def row(line: Mapping[str, Any]) -> tuple[str, ...]:
    """The cells for COLUMNS; what the journal lacks is empty."""
    texts = [plain(line.get(field)) for field in ("at", "who", "op", "environment")]
    return (*texts, release(plain(line.get("digest"))), plain(line.get("result")), plain(line.get("detail")))


def plain(value: object) -> str:
    """A value of a robot as one line of text in which nothing steers a terminal."""
    return one_line(str(value or ""))
