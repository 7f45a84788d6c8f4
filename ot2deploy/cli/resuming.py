"""`ot2deploy push --resume`: which run, on which of its robots."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from builder.errors import UsageFailure
from ot2deploy.cli import options

if TYPE_CHECKING:
    from ot2deploy.rollout.request import PushRequest

# What may be said beside --resume; all else is as the run was called.
BESIDE = ("resume", "dry_run", "robots_file", "limit", "project", "jobs", "trust", "json", "verbose", "report_file")


def check_alone() -> None:
    """Raises UsageFailure where --resume is given with what the run itself says."""
    context = click.get_current_context()
    said = [
        param.human_readable_name if isinstance(param, click.Argument) else param.opts[-1]
        for param in context.command.params
        if param.name not in BESIDE and context.get_parameter_source(str(param.name)) is ParameterSource.COMMANDLINE
    ]
    if said:
        raise UsageFailure(
            f"--resume and {', '.join(said)} exclude each other",
            why="A run is gone on with as it was called.",
            next="Leave them out, or push without --resume.",
        )


@contextlib.contextmanager
def visiting(name: str, dry_run: bool, where: Mapping[str, Any]) -> Iterator[PushRequest]:
    """The request of the run that `name` means, again."""
    from ot2deploy.rollout import resume

    run = resume.to_resume(where["project"], name)
    with options.visiting(**resume.where(run, where)) as fleet:
        yield resume.resumed(run, fleet, dry_run=dry_run)
