"""`ot2deploy index drop`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ot2deploy.cli import index_options, options, units
from ot2deploy.cli.result import Answer, Shown, lines

if TYPE_CHECKING:
    from ot2deploy.project import Project


@click.command("drop")
@click.argument("channel", required=False, callback=index_options.channel_or_none)
@index_options.git_branch("CHANNEL")
@index_options.directory
@click.option("--dry-run", is_flag=True, help="Show what would be dropped; change nothing.")
@options.project
@options.output
def command(project: Project, channel: str | None, directory: Path, dry_run: bool) -> Shown:
    """Take a channel off the index, of all profiles; as when its git branch is merged or gone.

    Its wheels stay on the disk until `ot2deploy index gc`.
    """
    from builder.errors import UsageFailure
    from builder.index.tree import Index
    from builder.index.upkeep.channels import drop
    from ot2deploy.runs.record import who

    if not channel:
        raise UsageFailure("give the channel to drop", next="As in: ot2deploy index drop dev   (or --git-branch NAME)")
    index, journal = Index.open(index_options.root(project, directory)), index_options.journal(project)
    if not dry_run:
        index_options.remember_names(project, index)
    dropped = drop(index, channel, record=lambda dropped: journal.add(dropped.act(who())), dry_run=dry_run)
    if not dropped.branches:
        there = ", ".join(sorted({branch.channel for branch in index.branches()}))
        told = f"no change: the index has no channel {channel}; it has {there or 'none yet'}"
    else:
        did = "would be dropped" if dry_run else "dropped"
        only = units.count(len(dropped.only), "wheel")
        told = f"{channel}: {units.count(dropped.projects, 'project')} {did}; {only} are in no other channel"
    data = {**dropped.as_dict(), "changed": bool(dropped.branches), "dry_run": dry_run}
    return Shown(result=Answer(data=data), parts=(lines(told),))
