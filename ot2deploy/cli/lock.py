"""`ot2deploy lock`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ot2deploy.cli import options, units
from ot2deploy.cli.result import Answer, Shown, lines, table

if TYPE_CHECKING:
    from ot2deploy.project import Project


@click.command("lock")
@options.target_argument
@click.option("--upgrade", is_flag=True, help="Resolve anew, as of today where the environment names no date.")
@options.project
@options.offline
@options.output
def command(target: str, upgrade: bool, project: Project, offline: bool) -> Shown:
    """Resolve a target into its lock, or say that the lock is good.

    One lock serves every profile; a push makes it by itself. It stays until its inputs change. The next push asks your
    indexes again which wheels they have of its versions.
    """
    from builder.lock import read
    from builder.pipeline import renew_lock
    from builder.targets import resolve
    from ot2deploy.engine import open_for

    engine = open_for(project, offline=offline, upgrade=upgrade)
    environment = resolve(target, engine.search)
    before = read(environment, engine.locks)
    with options.reporting() as report:
        found = renew_lock(environment, engine, report)
    changed = before is None or before.digest != found.digest
    packages = [{"name": one.name, "version": one.version, "marker": one.marker} for one in found.packages]
    told = {
        "path": str(found.path),
        "as_of": found.as_of,
        "digest": found.digest,
        "changed": changed,
        "packages": packages,
    }
    count = units.count(len(packages), "package")
    head = f"{environment.name}: {count} as of {found.as_of}" + ("" if changed else ", no change")
    rows = [(one.name, one.version, one.marker, ", ".join(filter(None, one.parents))) for one in found.packages]
    return Shown(
        result=Answer(data=told),
        parts=(
            lines(head, style="title"),
            table(("package", "version", "where", "wanted by"), rows),
            lines("", str(found.path)),
        ),
    )
