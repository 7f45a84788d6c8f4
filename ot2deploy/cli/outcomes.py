"""Parts that the commands over a fleet have in common: a release's name, failures below the table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from builder.printable import printable
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


def of_robots(found: Iterable[tuple[str, Failure | None]]) -> tuple[Part, ...]:
    """The failures of robots by their names; what several have in common is told once, with all of their names."""
    alike: dict[tuple[str, ...], list[tuple[str, Failure]]] = {}
    for name, failure in found:
        if failure is not None:
            own = "" if failure.subject in ("", name) else failure.subject
            told = (own, failure.code, failure.what, *failure.lines()[1:])
            alike.setdefault(tuple(_of_all(line, name, "*") for line in told), []).append((name, failure))
    return tuple(part for group in alike.values() for part in _told(group))


def _told(group: list[tuple[str, Failure]]) -> Iterator[Part]:
    (name, failure), names = group[0], [name for name, _ in group]
    first, *rest = failure.lines()
    if failure.subject == name:
        first = printable(f"{', '.join(names)}: {failure.what}")
    elif len(names) > 1:
        rest.insert(0, f"  It is so for {', '.join(names)}.")
    yield lines("", first, style="bad")
    yield lines(*(_of_all(line, name, ",".join(names)) for line in rest))


def _of_all(line: str, name: str, names: str) -> str:
    """A line with a command about one robot as one about several."""
    return re.sub(rf"--limit {re.escape(name)}(?![\w.,-])", f"--limit {names}", line)


def failed(outcomes: Iterable[Outcome[Any]]) -> tuple[Part, ...]:
    """The failures among outcomes."""
    return of_robots((outcome.robot.name, outcome.failure) for outcome in outcomes)


def failed_of(result: RunResult) -> tuple[Part, ...]:
    """The failures of a run: those of robots, and why its record is not whole."""
    return (*failed(result.outcomes), *failures([result.unrecorded]))
