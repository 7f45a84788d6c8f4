"""`ot2deploy index gc`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import index_options, options, units
from ot2deploy.cli.result import Answer, Part, Shown, lines, table

if TYPE_CHECKING:
    from builder.index.upkeep.retention import Judged, Policy
    from builder.index.upkeep.sweep import Leftover, Swept
    from ot2deploy.project import Project


@click.command("gc")
@click.option(
    "--keep", type=click.IntRange(min=1), metavar="N",
    help="Remove versions that are not among the N newest good ones of their project.",
)  # fmt: skip
@click.option("--older-than", metavar="SPAN", help="Remove versions that were uploaded before: 12h, 90d, 8w.")
@click.option("--yanked", is_flag=True, help="Remove yanked versions.")
@index_options.channels("without it, all but prod")
@click.option(
    "--force", "forced", multiple=True, metavar="NAME==VERSION",
    help="Remove this version whatever uses it. May be given again.",
)  # fmt: skip
@click.option(
    "--uses", "files", multiple=True, metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A lock (pylock.toml) of another project, whose versions stay too. May be given again.",
)  # fmt: skip
@index_options.directory
@click.option("--dry-run", is_flag=True, help="Show what would be removed and why the rest stays; change nothing.")
@options.project
@options.output
def command(project: Project, files: tuple[Path, ...], directory: Path, dry_run: bool, **asked: Any) -> Shown:
    """Remove old versions from an index, and files that none of its pages names.

    Without --keep, --older-than and --yanked only such files go; with several of them, versions that fit all. What a
    lock of this project or the last known release of one of its robots uses stays. Locks of other projects are not
    known here: name them with --uses.
    """
    from builder.index.tree import Index
    from builder.index.upkeep.sweep import sweep
    from ot2deploy.index_uses import gather
    from ot2deploy.runs.record import who

    policy = _policy(**asked)
    index, journal = Index.open(index_options.root(project, directory)), index_options.journal(project)
    uses, unknown = gather(project, files)
    if not dry_run:
        index_options.remember_names(project, index)
    swept = sweep(index, policy, uses, record=lambda swept: journal.add(*swept.acts(who())), dry_run=dry_run)
    return Shown(
        result=Answer(data={**swept.as_dict(), "dry_run": dry_run, "unknown": list(unknown)}),
        parts=tuple(_parts(swept, unknown, dry_run)),
    )


def _policy(*, older_than: str | None, forced: tuple[str, ...], **others: Any) -> Policy:
    from datetime import UTC, datetime

    from builder.index.choose import named
    from builder.index.upkeep.retention import Policy, span

    return Policy(
        now=datetime.now(UTC),
        older_than=span(older_than) if older_than else None,
        forced=frozenset(named(one, exact=True) for one in forced),
        **others,
    )


def _parts(swept: Swept, unknown: Sequence[str], dry_run: bool) -> list[Part]:
    parts: list[Part] = []
    gone = [one for one in swept.leftovers if not one.uses]
    kept = [one for one in swept.leftovers if one.uses and one.path.suffix == ".whl"]
    rows = [*(_row(one, dry_run) for one in swept.versions), *(_kept(one) for one in kept)]
    if rows:
        parts.append(table(("branch", "version", "files", "result", "because"), rows, right=("files",)))
    if unknown:
        parts.append(lines(*unknown, style="warning"))
    did = "would be removed" if dry_run else "removed"
    told = f"{units.count(len(gone), 'file')} {did}, {units.size(swept.freed)}"
    parts.append(lines(told if gone else "no file to remove"))
    if swept.elsewhere:
        parts.append(lines(f"files stay where other channels show them: {', '.join(map(str, swept.elsewhere))}"))
    return parts


def _row(one: Judged, dry_run: bool) -> tuple[str, ...]:
    used = f"used by {', '.join(one.uses)}" if one.uses else ""
    if not one.goes:
        return str(one.branch), str(one.version), str(len(one.files)), "kept", used
    did = "would be removed" if dry_run else "removed"
    return str(one.branch), str(one.version), str(len(one.files)), did, f"forced; {used}" if used else ""


def _kept(one: Leftover) -> tuple[str, ...]:
    return "on no page", one.path.name, "1", "kept", f"used by {', '.join(one.uses)}"
