"""Robots out of other people's files: which kind of file it is, and what the inventory would take from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.errors import UsageFailure
from ot2deploy.inventory.edit import Change, Entry, merge_robots

CSV = (".csv", ".tsv")
ANSIBLE = (".yaml", ".yml")


@dataclass(frozen=True, kw_only=True)
class Read:
    """The robots of a file, and what of it means nothing here."""

    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What became of each robot of a file."""

    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    dry_run: bool

    @property
    def exit_code(self) -> int:
        """Robots that are left alone are no failure."""
        return 0

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        rows = [
            {
                "robot": change.entry.name,
                "did": change.did,
                "settings": dict(change.entry.settings),
                "groups": list(change.entry.groups),
            }
            for change in self.changes
        ]
        return {"dry_run": self.dry_run, "robots": rows, "notes": list(self.notes)}


def import_robots(inventory: Path, source: Path, *, update: bool = False, dry_run: bool = False) -> Imported:
    """Adds the robots of a CSV file or an Ansible YAML inventory, all or none of them.

    Robots that the inventory has are left alone, unless `update`. Raises ConfigFailure with every problem of the file.
    """
    found = read(source)
    changes = merge_robots(inventory, found.entries, update=update, dry_run=dry_run)
    return Imported(changes=changes, notes=found.notes, dry_run=dry_run)


def read(source: Path) -> Read:
    """The robots of a file, by its ending. Raises UsageFailure, ConfigFailure."""
    kind = source.suffix.lower()
    if kind not in (*CSV, *ANSIBLE):
        raise UsageFailure(
            f"{source} is neither a CSV file nor an Ansible inventory in YAML",
            why=f"Their names end in {', '.join((*CSV, *ANSIBLE))}.",
            next="An Ansible inventory of another kind: ansible-inventory -i FILE --list --yaml > hosts.yaml",
        )
    try:
        text = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError):
            raise UsageFailure(
                f"{source} cannot be read: {error.strerror}", next="Name a file that is there."
            ) from error
        raise UsageFailure(f"{source} cannot be read: it is not in UTF-8", next="Save it as UTF-8.") from error
    if kind in CSV:
        from ot2deploy.inventory.csv_file import read_csv

        return Read(entries=read_csv(source, text))
    from ot2deploy.inventory.ansible import read_ansible

    entries, notes = read_ansible(source, text)
    return Read(entries=entries, notes=notes)
