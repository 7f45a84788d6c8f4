"""Texts that a command writes into a file of the user's, which it never replaces."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from builder.errors import UsageFailure

ENDS = ("/", os.sep)


class NewFile(click.Path):
    """The path of a file to write, which does not end like a directory's."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. Raises BadParameter for a directory, also for one that is not there."""
        if str(value).endswith(ENDS):
            self.fail(f"{value} names a directory; put the file's name behind it", param, ctx)
        return super().convert(value, param, ctx)


def write_new(path: Path, text: str) -> bool:
    """Writes `text` where no file is; says whether that changed anything.

    Raises UsageFailure for a file that says something else, DiskFailure.
    """
    from builder.files import disk_failures, write_bytes

    data = text.encode()
    with disk_failures(path.parent):
        if not path.exists():
            write_bytes(path, data)
            return True
        if path.read_bytes() != data:
            raise UsageFailure(
                f"{path} is there already, and says something else",
                next="Leave out -o to see the text, and add it there by hand; or name another file.",
            )
    return False
