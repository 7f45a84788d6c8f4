"""`ot2deploy store gc`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from builder.errors import UsageFailure
from ot2deploy.cli import options, units
from ot2deploy.cli.result import Answer, Part, Shown, lines, table

if TYPE_CHECKING:
    from builder.store_sweep import Swept
    from ot2deploy.project import Project


@click.command("gc")
@click.option(
    "--keep-days", type=click.IntRange(min=1), metavar="N",
    help="Files used in the last N days stay; without it and --max-size, 30.",
)  # fmt: skip
@click.option("--max-size", metavar="SIZE", help="Instead, as many of the last used files as fit: 800MB, 20GB.")
@click.option("--dry-run", is_flag=True, help="Show what would be removed and why the rest stays; change nothing.")
@options.project
@options.output
def command(project: Project, keep_days: int | None, max_size: str | None, dry_run: bool) -> Shown:
    """Remove files from the store that nobody needs.

    What this project's locks, robots and unfinished runs name stays, and whatever any project used in the last day. The
    rest comes again when it is needed; what was built is then built again.
    """
    from builder.places import cache_root
    from builder.store_sweep import DAY, KEEP_DAYS, Policy, now, parse_size, sizes, sweep
    from ot2deploy.engine import open_for
    from ot2deploy.store_uses import named

    if keep_days and max_size:
        raise UsageFailure("--keep-days and --max-size exclude each other", next="Leave one of them out.")
    store, days, at = open_for(project).store, keep_days or KEEP_DAYS, now()
    policy = Policy(now=at, keep_days=days, max_size=parse_size(max_size) if max_size else None)
    swept = sweep(store, named(project, store, at - days * DAY), policy, dry_run=dry_run)
    others = sizes(cache_root())
    told = {**swept.as_dict(), "path": str(store.root), "dry_run": dry_run, "others": others}
    return Shown(result=Answer(data=told), parts=tuple(_parts(swept, dry_run, policy.max_size, others)))


def _parts(swept: Swept, dry_run: bool, limit: int | None, others: dict[str, int]) -> list[Part]:
    did = "would be removed" if dry_run else "removed"
    parts: list[Part] = []
    if swept.gone:
        rows = [(one.filename, one.how, units.size(one.size)) for one in swept.gone]
        parts.append(table(("file", "how", "size"), rows, right=("size",)))
    size = sum(one.size for one in swept.kept)
    counted = Counter(one.why or "used meanwhile" for one in swept.kept)
    why = [f"  {units.count(number, 'file')}: {reason}" for reason, number in counted.most_common()]
    parts.append(lines(f"{units.count(len(swept.kept), 'file')} stay, {units.size(size)}", *why))
    if limit is not None and size > limit:
        parts.append(lines(f"That is more than {units.size(limit)}: all of it is named or in use.", style="warning"))
    gone = f"{units.count(len(swept.gone), 'file')} {did}, {units.size(swept.freed)}"
    if swept.leftovers:
        gone += f" with {units.count(swept.leftovers, 'leftover')} of commands that were killed"
    parts.append(lines(gone))
    if others:
        beside = ", ".join(f"{name} {units.size(size)}" for name, size in others.items())
        parts.append(lines(f"Beside the store, not touched: {beside}", style="dim"))
    return parts
