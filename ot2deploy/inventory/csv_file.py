"""Robots out of a table: CSV as spreadsheets write it, columns named in the first line."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

from builder.yaml_reader import Reader
from ot2deploy.inventory.edit import Entry
from ot2deploy.inventory.file import close
from ot2deploy.inventory.settings import NAME, SETTINGS

COLUMNS = ("name", "groups", *SETTINGS)
DELIMITERS = ",;\t"


def read_csv(path: Path, text: str) -> tuple[Entry, ...]:
    """The robots of a table: `name`, any settings, and `groups` with spaces between them. Empty cells say nothing.

    The delimiter is a comma, a semicolon or a tab, whichever the first line has more of. Raises ConfigFailure with
    every problem.
    """
    problems = Reader(path)
    first = text.partition("\n")[0]
    rows = csv.reader(StringIO(text, newline=""), delimiter=max(DELIMITERS, key=first.count), strict=True)
    columns: list[str] = []
    found: dict[str, Entry] = {}
    lines: dict[str, int] = {}
    begin = 1
    try:
        for row in rows:
            line, begin = begin, rows.line_num + 1
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if not columns:
                columns = _header(problems, cells, line)
                if problems.problems:  # what stands under wrong names cannot be judged
                    break
                continue
            entry = _entry(problems, columns, cells, line)
            if entry and entry.name in found:
                problems.problem(line, "name", f"`{entry.name}` stands in line {lines[entry.name]}, too")
            elif entry:
                found[entry.name], lines[entry.name] = entry, line
    except csv.Error as error:
        problems.problem(begin, "", f"this is no CSV: {error}")
    if not columns:
        problems.problem(1, "", f"the file is empty; its first line names the columns: {', '.join(COLUMNS)}")
    problems.finish()
    return tuple(found.values())


def _header(problems: Reader, cells: Sequence[str], line: int) -> list[str]:
    """The columns; what is none becomes a problem."""
    columns = [re.sub(r"[\s-]+", "_", cell.lower()) for cell in cells]
    for column, cell in zip(columns, cells, strict=True):
        if column not in COLUMNS:
            what = f"`{cell}` is no column" if cell else "a column has no name"
            problems.problem(line, "", what + close(column, COLUMNS))
        elif columns.count(column) > 1:
            problems.problem(line, "", f"column `{column}` stands twice")
    if "name" not in columns:
        problems.problem(line, "", f"there is no column `name`; columns are {', '.join(COLUMNS)}")
    return columns


def _entry(problems: Reader, columns: Sequence[str], cells: Sequence[str], line: int) -> Entry | None:
    if len(cells) > len(columns) and any(cells[len(columns) :]):
        problems.problem(line, "", f"{len(cells)} cells under {len(columns)} columns")
        return None
    row: Mapping[str, str] = {column: cell for column, cell in zip(columns, cells, strict=False) if cell}
    name = row.get("name", "")
    if not NAME.fullmatch(name):
        problems.problem(line, "name", f"{name!r}: only letters, digits and . _ - are allowed" if name else "is empty")
    settings: dict[str, str | int] = {}
    for setting in SETTINGS.keys() & row.keys():
        try:
            settings[setting] = value_of(setting, row[setting])
        except ValueError as error:
            problems.problem(line, setting, str(error))
    groups = tuple(dict.fromkeys(filter(None, re.split(r"[\s,;]+", row.get("groups", "")))))
    for group in groups:
        if not NAME.fullmatch(group):
            problems.problem(line, "groups", f"{group!r}: only letters, digits and . _ - are allowed")
    return Entry(name=name, settings={key: settings[key] for key in SETTINGS if key in settings}, groups=groups)


def value_of(setting: str, text: str) -> str | int:
    """A setting's value out of text. Raises ValueError for one that the setting cannot have."""
    value = int(text) if SETTINGS[setting].whole_number and text.isdecimal() else text
    SETTINGS[setting].check(value)
    return value
