"""The report as a file: written whole, and never over a file that is something else."""

from __future__ import annotations

from pathlib import Path

from builder.errors import UsageFailure
from builder.files import disk_failures, write_bytes
from ot2deploy import runs
from ot2deploy.report_page.page import GENERATOR, page
from ot2deploy.report_page.run import Run, read
from ot2deploy.runs.last_known import last_known
from ot2deploy.runs.record import now

HEAD = 2048  # bytes in which a page of ours says what it is


def look(path: Path) -> None:
    """Raises UsageFailure where a report cannot be written to `path`: before a robot is changed, not after."""
    with disk_failures(path.parent):
        if not path.parent.is_dir():
            raise UsageFailure(
                f"{path}: there is no directory {path.parent}", next=f"Run: mkdir -p {path.parent}   or name another."
            )
        if not path.exists():
            return
        with path.open("rb") as file:
            if f'content="{GENERATOR}"'.encode() in file.read(HEAD):
                return
    raise UsageFailure(
        f"{path} is there already, and is no report of ot2deploy",
        next="Name another file, or remove this one first.",
    )


def write(path: Path, record: runs.Run, state_dir: Path) -> Run:
    """Writes the report of the run that a record is of. Raises UsageFailure, DiskFailure."""
    look(path)
    run = read(record)
    document = page(run, last_known(state_dir), now())
    with disk_failures(path.parent):
        write_bytes(path, document)
    return run
