"""`ot2deploy store`: wheels and answers that this machine keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ot2deploy.cli import options, store_gc, units
from ot2deploy.cli.group import Group
from ot2deploy.cli.result import Answer, Shown, lines

if TYPE_CHECKING:
    from builder.store import Store


@click.group("store", cls=Group)
def command() -> None:
    """Wheels that this machine keeps: path, verify, gc."""


@command.command("path")
@options.output
def path() -> Shown:
    """Show where the store is; OT2DEPLOY_CACHE moves it."""
    root = _store().root
    return Shown(result=Answer(data={"path": str(root)}), parts=(lines(str(root)),))


@command.command("verify")
@options.output
def verify() -> Shown:
    """Hash every file of the store and remove the damaged ones.

    What was removed comes again when it is needed.
    """
    store = _store()
    found = [(sha256, store.blob(sha256, verify=True)) for sha256 in store.hashes()]
    good = [blob for _, blob in found if blob]
    removed = [sha256 for sha256, blob in found if not blob]
    size = sum(blob.size for blob in good)
    told = {"path": str(store.root), "good": len(good), "bytes": size, "removed": removed}
    return Shown(
        result=Answer(data=told),
        parts=(
            lines(f"{units.count(len(good), 'file')} good, {units.size(size)}, {len(removed)} damaged and removed"),
            *((lines(*removed, style="warning"),) if removed else ()),
        ),
    )


def _store() -> Store:
    from ot2deploy.engine import open_for
    from ot2deploy.project import Project

    return open_for(Project.find()).store


command.add_command(store_gc.command)
