"""`ot2deploy index yank`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ot2deploy.cli import index_options, options
from ot2deploy.cli.result import Answer, Shown, table

if TYPE_CHECKING:
    from builder.index.upkeep.yank import Yanked
    from ot2deploy.project import Project


@click.command("yank")
@click.argument("version", metavar="NAME==VERSION")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--reason", metavar="TEXT", help="One line, which pip shows to who has pinned the version.")
@click.option("--undo", is_flag=True, help="Take a yank back.")
@index_options.profiles("May be given again; without it, all.")
@index_options.channels("without it, all")
@index_options.directory
@click.option("--dry-run", is_flag=True, help="Show what would be yanked; change nothing.")
@options.project
@options.output
def command(
    project: Project,
    version: str,
    files: tuple[str, ...],
    reason: str | None,
    undo: bool,
    profiles: tuple[str, ...],
    channels: tuple[str, ...],
    directory: Path,
    dry_run: bool,
) -> Shown:
    """Mark a version, or some of its files, as one that nobody should choose any more (PEP 592).

    Installers pass it over unless it is pinned, and show the reason then. Nothing is removed.
    """
    from builder.errors import UsageFailure
    from builder.index.choose import named
    from builder.index.tree import Index
    from builder.index.upkeep.yank import Yank, yank
    from ot2deploy.runs.record import who

    if undo == (reason is not None):
        raise UsageFailure("give --reason TEXT, or --undo", next='As in: ot2deploy index yank demo==1.2 --reason "..."')
    branches = tuple(index_options.branch_profiles(profiles))
    wanted = Yank(version=named(version, exact=True), files=files, reason=reason, profiles=branches, channels=channels)
    index, journal = Index.open(index_options.root(project, directory)), index_options.journal(project)

    def record(found: Sequence[Yanked]) -> None:
        journal.add(*(one.act(who()) for one in found if one.changed))

    found = yank(index, wanted, record=record, dry_run=dry_run)
    rows = [_row(one, undo, dry_run) for one in found]
    data = {"changed": any(one.changed for one in found), "dry_run": dry_run}
    return Shown(
        result=Answer(data={**data, "versions": [one.as_dict() for one in found]}),
        parts=(table(("profile", "channel", "name", "version", "files", "result"), rows, right=("files",)),),
    )


def _row(one: Yanked, undo: bool, dry_run: bool) -> tuple[str, ...]:
    did = f"{'would be ' if dry_run else ''}{'good again' if undo else 'yanked'}" if one.changed else "no change"
    return one.branch.profile, one.branch.channel, one.name, one.version, str(len(one.files)), did
