"""`ot2deploy robot import` and `schema`: the inventory and other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ot2deploy.cli import options
from ot2deploy.cli.result import Answer, Shown, lines, table

if TYPE_CHECKING:
    from ot2deploy.project import Project


@click.command("import")
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--update", is_flag=True, help="Change robots that the inventory has already, too.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@options.project
@options.robots
@options.output
def import_robots(source: Path, update: bool, dry_run: bool, project: Project, robots_file: Path | None) -> Shown:
    """Add the robots of a table (.csv) or of an Ansible inventory (.yaml) to the inventory, all or none.

    A table's first line names its columns: name, groups, and settings as `robot show` names them.
    """
    from ot2deploy.inventory import importing as inventory_import

    result = inventory_import.import_robots(robots_file or project.inventory, source, update=update, dry_run=dry_run)
    rows = [
        (
            change.entry.name,
            f"would be {change.did}" if dry_run and change.did in ("added", "changed") else change.did,
            " ".join(f"{setting}={value}" for setting, value in change.entry.settings.items()),
            ", ".join(change.entry.groups),
        )
        for change in result.changes
    ]
    notes = list(result.notes)
    if any(change.did == "left alone" for change in result.changes):
        notes.append("Robots that are left alone are in the inventory with other settings; --update changes them.")
    return Shown(
        result=result,
        parts=(table(("robot", "did", "settings", "groups"), rows), lines(*notes, style="dim")),
    )


@click.command("schema")
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write it to this file.",
)
@options.output
def schema(file: Path | None) -> Shown:
    """Print the JSON Schema of inventories, with which an editor completes and checks them."""
    import json

    from builder import files
    from ot2deploy.inventory import schema as inventory_schema

    made = inventory_schema.schema()
    text = json.dumps(made, indent=2)
    if file is not None:
        files.write_bytes(file, f"{text}\n".encode())
        text = f"written to {file}; an inventory beside it begins with: # yaml-language-server: $schema={file.name}"
    return Shown(result=Answer(data=made), parts=(lines(text),))
