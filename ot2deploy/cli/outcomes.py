"""Parts that the commands over a fleet have in common: a release's name, failures below the table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ot2deploy.cli.result import Part, lines

if TYPE_CHECKING:
    from builder.errors import Failure
    from ot2deploy.fleet import Outcome
    from ot2deploy.runs.result import RunResult


def release(digest: str | None) -> str:
    """A release's digest, as short as people compare it."""
    return digest[:12] if digest else ""


def failures(found: Iterable[Failure | None]) -> tuple[Part, ...]:
    """Each failure in its three parts, after an empty line."""
    return tuple(
        part
        for failure in found
        if failure is not None
        for part in (lines("", failure.lines()[0], style="bad"), lines(*failure.lines()[1:]))
    )


def failed(outcomes: Iterable[Outcome[Any]]) -> tuple[Part, ...]:
    """The failures among outcomes."""
    return failures(outcome.failure for outcome in outcomes)


def failed_of(result: RunResult) -> tuple[Part, ...]:
    """The failures of a run: those of robots, and why its record is not whole."""
    return (*failed(result.outcomes), *failures([result.unrecorded]))
