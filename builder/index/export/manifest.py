"""What an export says of itself: `manifest.json` and `SHA256SUMS` at its root."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builder.errors import UsageFailure
from builder.index import layout
from builder.index.export.chosen import Chosen
from builder.index.layout import Branch

SCHEMA = 1
MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
TREE, FLAT = "tree", "flat"


def manifest(chosen: Chosen, *, flat: bool, root_url: str) -> dict[str, Any]:
    """The manifest of a complete export; equal exports have equal ones.

    `files` has a row for each wheel, by its path: filename, project, version, size, sha256, the sha256 of its METADATA,
    whose project it is, and the branches that list it.
    """
    rows: dict[str, dict[str, Any]] = {}
    for branch, pages in sorted(chosen.pages.items()):
        for page in pages:
            for file in page.files:
                path = file.filename if flat else str(layout.wheel(branch.profile, file.filename))
                row = rows.setdefault(
                    path,
                    {
                        "path": path,
                        "filename": file.filename,
                        "project": page.name,
                        "version": file.version,
                        "size": file.size,
                        "sha256": file.sha256,
                        "metadata": file.metadata,
                        "own": file.own,
                        "branches": [],
                    },
                )
                row["branches"].append(str(branch))
    return {
        "schema": SCHEMA,
        "kind": FLAT if flat else TREE,
        "complete": True,
        "root_url": root_url,
        "profiles": list(chosen.profiles),
        "branches": [_branch(branch, flat=flat) for branch in sorted(chosen.pages)],
        "targets": [dict(target) for target in chosen.targets],
        "files": [rows[path] for path in sorted(rows)],
    }


def unfinished(new: Mapping[str, Any], old: Mapping[str, Any] | None) -> dict[str, Any]:
    """The manifest while an export is written: what it will hold, and as `stale` what is to go of the one before."""
    before = {*(row["path"] for row in old["files"]), *old.get("stale", ())} if old else set()
    return {**new, "complete": False, "stale": sorted(before - {row["path"] for row in new["files"]})}


def lost_targets(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """What an export was made of, and one in its place is not, in words: targets, or a whole index. Pure."""
    if not old["files"]:
        return ()
    if not old.get("targets"):
        return ("the copy of an index",) if new["targets"] else ()
    kept = {(row["environment"], row["profile"]) for row in new["targets"]}
    lost = [row for row in old["targets"] if (row.get("environment"), row.get("profile")) not in kept]
    return tuple(f"{row.get('target')} for {row.get('profile')}" for row in lost)


def read(directory: Path, *, flat: bool) -> dict[str, Any] | None:
    """The manifest of the export that is in a directory; None for a new or empty directory, or an index without a page.

    Raises UsageFailure for a directory that holds anything else, and for an export of the other kind.
    """
    if not directory.exists() or (directory.is_dir() and not any(_visible(directory))):
        return None
    kind = FLAT if flat else TREE
    try:
        found = json.loads((directory / MANIFEST).read_bytes())
        if found["schema"] > SCHEMA:
            raise UsageFailure(f"the export in {directory} was made by a newer ot2deploy", next="Upgrade ot2deploy.")
        if found["kind"] == kind and all(_is_inside(path) for path in _paths(found)):
            return dict(found)
        why = f"It holds an export of the other kind ({found['kind']})."
    except (OSError, ValueError, LookupError, TypeError):
        why = "It holds something that is no export."
    raise UsageFailure(f"{directory} is not written to", why=why, next="Name a new or empty directory.")


def text(manifest: Mapping[str, Any]) -> bytes:
    """A manifest as its file."""
    return json.dumps(manifest, indent=1, ensure_ascii=False).encode() + b"\n"


def sums(hashes: Mapping[str, str]) -> bytes:
    """Paths and their sha256 as `sha256sum -c` reads them."""
    return "".join(f"{hashes[path]}  {path}\n" for path in sorted(hashes)).encode()


def _branch(branch: Branch, *, flat: bool) -> dict[str, str]:
    return {"branch": str(branch)} if flat else {"branch": str(branch), "simple": f"{branch.simple}/"}


def _visible(directory: Path) -> list[Path]:
    """What is in a directory, but hidden files and the beginnings of an export that was cut off."""
    found = [path for path in directory.iterdir() if not path.name.startswith(".")]
    begun = {"index.json", "index.html"} if (directory / "index.json").is_file() else set()
    return [] if {path.name for path in found} <= begun else found


def _paths(manifest: Mapping[str, Any]) -> list[str]:
    return [*(row["path"] for row in manifest["files"]), *manifest.get("stale", ())]


def _is_inside(path: str) -> bool:
    """A manifest comes from a stick that others wrote: nothing that it names outside may be removed."""
    return path == posixpath.normpath(path) and not path.startswith(("/", "..")) and path.endswith(".whl")
