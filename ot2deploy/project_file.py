"""`ot2deploy.yaml`: what holds for a whole project."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from builder.environment import Index
from builder.index_entries import index_of
from builder.yaml_reader import Reader

FILE = "ot2deploy.yaml"
KEYS = ("schema", "indexes")
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class ProjectFile:
    """The settings of a project: `indexes` hold for every target, after those of its own environment."""

    indexes: tuple[Index, ...] = ()


def load(path: Path) -> ProjectFile:
    """The settings in a file, none where there is none. Raises ConfigFailure with every problem as file:line."""
    if not path.is_file():
        return ProjectFile()
    reader = Reader(path)
    data = reader.document(first="indexes", may_be_empty=True) or {}
    reader.known(data, KEYS, "")
    reader.schema(data, SCHEMA)
    indexes = tuple(reader.each(data, "indexes", partial(index_of, reader)))
    reader.finish()
    return ProjectFile(indexes=indexes)
