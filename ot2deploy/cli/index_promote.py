"""`ot2deploy index promote`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ot2deploy.cli import index_options, options
from ot2deploy.cli.result import Answer, Shown, lines, table

if TYPE_CHECKING:
    from builder.index.upkeep.promote import Moved
    from ot2deploy.project import Project


@click.command("promote")
@click.argument("names", nargs=-1, metavar="[NAME[==VERSION]]...")
@click.option(
    "--from", "source", metavar="CHANNEL", callback=index_options.channel_or_none, help="The channel that has it."
)
@index_options.git_branch("--from")
@click.option("--to", "target", metavar="CHANNEL", default="prod", show_default=True, help="The channel that gets it.")
@click.option("--all", "everything", is_flag=True, help="Everything of the channel that is not yanked.")
@index_options.profiles("May be given again; without it, all that have it.")
@index_options.directory
@click.option("--dry-run", is_flag=True, help="Show what would be promoted; change nothing.")
@options.project
@options.output
def command(
    project: Project,
    names: tuple[str, ...],
    source: str | None,
    target: str,
    everything: bool,
    profiles: tuple[str, ...],
    directory: Path,
    dry_run: bool,
) -> Shown:
    """Let wheels of a channel into another one, prod for example: the same files, nothing is built or copied.

    Without a version it is the newest one. All of it is promoted, or nothing with every reason.
    """
    from builder.errors import UsageFailure
    from builder.index.begun import begun
    from builder.index.choose import named
    from builder.index.layout import channel
    from builder.index.tree import Index
    from builder.index.upkeep.promote import Promotion, promote
    from ot2deploy.runs.record import who

    if not source or everything == bool(names):
        missing = "names to promote, or --all" if source else "the channel to promote from"
        raise UsageFailure(f"give {missing}", next="As in: ot2deploy index promote demo==1.2 --from dev --to prod")
    wanted = Promotion(
        names=tuple(map(named, names)),
        source=source,
        target=channel(target),
        profiles=tuple(index_options.branch_profiles(profiles)),
    )
    index, journal = Index.open(index_options.root(project, directory)), index_options.journal(project)

    def record(moved: Sequence[Moved]) -> None:
        journal.add(*(one.act(who(), source) for one in moved if one.new))

    before = index.branches()
    moved = promote(index, wanted, record=record, dry_run=dry_run)
    changed = any(one.new for one in moved)
    data = {"from": source, "to": target, "changed": changed, "dry_run": dry_run}
    rows = [_row(one, dry_run) for one in moved]
    new = begun(before, (one.branch for one in moved))
    told = [lines(*new.lines(index.root), style="warning")] if new.channels or new.branches else []
    return Shown(
        result=Answer(data={**data, "begun": new.as_dict(), "versions": [one.as_dict() for one in moved]}),
        parts=(table(("profile", "name", "version", "files", target), rows, right=("files",)), *told)
        if moved
        else (lines(f"no change: everything in {source} is yanked"),),
    )


def _row(one: Moved, dry_run: bool) -> tuple[str, ...]:
    did = ("would be promoted" if dry_run else "promoted") if one.new else "no change"
    return one.branch.profile, one.name, one.version, str(len(one.files)), did
