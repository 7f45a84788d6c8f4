"""`ot2deploy init`."""

from __future__ import annotations

from pathlib import Path

import click

from ot2deploy.cli import options
from ot2deploy.cli.result import Shown, lines, table


@click.command("init")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=".")
@options.output
def command(directory: Path) -> Shown:
    """Start a project: inventory.yaml, ot2deploy.yaml and environments/.

    What is already there stays as it is.
    """
    from ot2deploy.init import InitResult, init

    def view(result: InitResult) -> Shown:
        rows = [(str(step.path.relative_to(result.directory)), step.did) for step in result.steps]
        head = (
            f"project {result.directory}" if result.changed else f"no change: {result.directory} is a project already"
        )
        return Shown(
            result=result,
            parts=(
                lines(head, style="title"),
                table(("file", "done"), rows),
                lines("", "Next:", *(f"  {step}" for step in result.next_steps)),
            ),
        )

    return view(init(directory))
