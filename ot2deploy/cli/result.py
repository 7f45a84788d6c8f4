"""What commands return: a result for --json, and the parts that a person sees of it. Nothing here prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Style = Literal["plain", "good", "warning", "bad", "dim", "title"]


class Result(Protocol):
    """What a command found or did: whole as JSON, and as an exit code."""

    @property
    def exit_code(self) -> int: ...

    def as_dict(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under headings. Headings in `right` are numbers; a heading whose every cell is empty is left out.

    Headings in `folded` have long texts: these are wrapped, so that the table is no wider than a page. Those of `spare`
    are left out, one after the other, where a terminal is too narrow for all.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    right: frozenset[str] = frozenset()
    folded: frozenset[str] = frozenset()
    spare: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Lines of text in one style. In style "plain" they reach standard output as they are."""

    lines: tuple[str, ...]
    style: Style = "plain"


Part = Table | Lines


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A result and how a person sees it; what every command function returns to the boundary."""

    result: Result
    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The result of a command that only looks something up."""

    data: Mapping[str, Any]
    exit_code: int = 0

    def as_dict(self) -> Mapping[str, Any]:
        """The data itself."""
        return self.data


def lines(*text: str, style: Style = "plain") -> Lines:
    """A part of lines."""
    return Lines(lines=text, style=style)


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    right: Sequence[str] = (),
    folded: Sequence[str] = (),
    spare: Sequence[str] = (),
) -> Table:
    """A part of rows."""
    written = tuple(map(tuple, rows))
    return Table(
        columns=tuple(columns), rows=written, title=title, right=frozenset(right), folded=frozenset(folded),
        spare=tuple(spare),
    )  # fmt: skip


def envelope(
    command: str, *, exit_code: int, result: Mapping[str, Any] | None, error: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The one JSON document that every command prints with --json: either `result` or `error` is null."""
    return {
        "schema": 1,
        "command": command,
        "ok": exit_code == 0,
        "exit_code": exit_code,
        "result": result,
        "error": error,
    }
