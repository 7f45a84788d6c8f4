"""An index as files to carry: a tree for any web server or stick, or all wheels in one directory; resumable."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as changed_to
from pathlib import Path
from typing import Any
from urllib.parse import quote

from builder.errors import BuildFailure, UsageFailure
from builder.events import Event, Report, silent
from builder.files import PARTS, disk_failures, locked, replacing, sha256_bytes, sha256_file, sync, write_bytes
from builder.index import layout
from builder.index.change import SETTINGS, Arrival, Conflict
from builder.index.export.chosen import Chosen
from builder.index.export.manifest import FLAT, MANIFEST, SUMS, lost_targets, manifest, read, sums, text, unfinished
from builder.index.layout import METADATA, OWN
from builder.index.page import File, Page, to_html
from builder.index.tree import LOCK, Index

FRONT = "index.html"


@dataclass(frozen=True, kw_only=True)
class Exported:
    """An export as it is now: its manifest, the paths of all files in it, how many wheels were written, and the paths
    of those that were removed.

    `changed` says whether any file is another one than before.
    """

    root: Path
    manifest: Mapping[str, Any]
    files: tuple[str, ...]
    written: int
    removed: tuple[str, ...]
    changed: bool


def export(
    chosen: Chosen,
    root: Path,
    *,
    flat: bool = False,
    root_url: str = "",
    replace: bool = False,
    report: Report = silent,
) -> Exported:
    """Brings the export in `root` up to date, or makes it there; what is good already is not written again.

    Every wheel is hashed where it stands in the end. The pages of a tree are relative, or begin with `root_url`; a flat
    export is one directory, with a page for `pip --find-links`. A killed one is gone on with by the same call.
    With `replace` it takes the place of one of other targets. Raises UsageFailure for a directory that holds anything
    else, also for one of other targets, BuildFailure for a wheel that is damaged where it
    comes from, DiskFailure.
    """
    url = f"{root_url.rstrip('/')}/" if root_url else ""
    new = manifest(chosen, flat=flat, root_url=url)
    with disk_failures(root):
        before = read(root, flat=flat)
        if before and not replace and (lost := lost_targets(before, new)):
            raise _other_targets(root, lost)
        writer = _Writer(root=root, chosen=chosen, new=new, report=report)
        return writer.flat(url) if flat else writer.tree(url)


@dataclass(kw_only=True)
class _Writer:
    """One export on its way into its directory."""

    root: Path
    chosen: Chosen
    new: Mapping[str, Any]
    report: Report
    before: Mapping[str, Any] | None = None
    written: int = 0
    unsynced: list[Path] = field(default_factory=list)
    changed: bool = False

    def tree(self, url: str) -> Exported:
        """Wheels first, then the pages of branches, which are drawn as an index's own are."""
        index = Index.create(self.root, url)
        with index.change():
            self._begin()
            self._wheels(self._sources(), metadata=True)
            gone = [branch for branch in index.branches() if branch not in self.chosen.pages]
            for branch in gone:
                shutil.rmtree(self.root / branch.simple)
                _remove_empty(self.root / branch.simple.parent)
            if gone:  # the pages of own projects are drawn from all branches
                shutil.rmtree(self.root / OWN, ignore_errors=True)
        with index.change() as change:
            for branch, pages in self.chosen.pages.items():
                for name in set(index.names(branch)) - {page.name for page in pages}:
                    change.put(branch, Page(name=name))
                for page in pages:
                    change.put(branch, page)
        return self._end(set(_pages(self.root)))

    def flat(self, url: str) -> Exported:
        """Wheels, and one page that lists them."""
        sources = self._sources()
        self.root.mkdir(parents=True, exist_ok=True)
        with locked(self.root / LOCK):
            self._begin()
            self._wheels(sources, metadata=False)
            # No METADATA stands beside the wheels: a code host's release has one name for each file that people see.
            files = [changed_to(one.file, metadata="") for one in self.chosen.wheels.values()]
            page = Page(name="wheels").with_files(files)
            self._write(FRONT, to_html(page, lambda file: f"{url}{quote(file.filename)}"))
            return self._end({FRONT})

    def _begin(self) -> None:
        for left in self.root.rglob(PARTS):  # of a killed export; we hold the lock
            left.unlink()
        self.before = read(self.root, flat=self.new["kind"] == FLAT)
        if self.before is None or {**self.before, "stale": []} != {**self.new, "stale": []}:
            self._write(MANIFEST, text(unfinished(self.new, self.before)))

    def _sources(self) -> dict[str, Arrival]:
        """The wheels by the path that they are to have."""
        places: dict[str, Arrival] = {}
        for (profile, filename), arrival in self.chosen.wheels.items():
            path = filename if self.new["kind"] == FLAT else str(layout.wheel(profile, filename))
            known = places.setdefault(path, arrival)
            if known.file.sha256 != arrival.file.sha256:
                raise Conflict(
                    "two profiles have different wheels of this name",
                    subject=filename,
                    why="In a flat export all wheels stand in one directory.",
                    next="Export each profile by itself (--profile NAME), or a tree (without --flat).",
                )
        return places

    def _wheels(self, sources: Mapping[str, Arrival], *, metadata: bool) -> None:
        total, done = sum(one.file.size for one in sources.values()), 0
        for path, arrival in sources.items():
            if _place(arrival.path, arrival.file, self.root / path):
                self.written += 1
                self.unsynced.append(self.root / path)
            if metadata:
                self._write(f"{path}{METADATA}", arrival.metadata)
            done += arrival.file.size
            self.report(Event(subject=self.root.name, stage="export", done=done, total=total, unit="B"))

    def _end(self, pages: set[str]) -> Exported:
        """Removes what the export before had and this one has not; then the sums, and last that it is complete."""
        stale = unfinished(self.new, self.before)["stale"]
        for path in stale:
            for place in (self.root / path, self.root / f"{path}{METADATA}"):
                place.unlink(missing_ok=True)
            if "/" in path:
                _remove_empty((self.root / path).parent, (self.root / path).parent.parent)
        hashes = {path: sha256_file(self.root / path) for path in pages}
        for row in self.new["files"]:
            hashes[row["path"]] = row["sha256"]
            if self.new["kind"] != FLAT:
                hashes[f"{row['path']}{METADATA}"] = row["metadata"]
        whole = text(self.new)
        self._write(SUMS, sums({**hashes, MANIFEST: sha256_bytes(whole)}))
        sync(self.unsynced)
        self._write(MANIFEST, whole)
        sync([self.root / MANIFEST])
        return Exported(
            root=self.root,
            manifest=self.new,
            files=tuple(sorted([*hashes, SUMS, MANIFEST])),
            written=self.written,
            removed=tuple(stale),
            changed=self.changed or bool(self.written or stale),
        )

    def _write(self, path: str, data: bytes) -> None:
        place = self.root / path
        if not place.is_file() or place.read_bytes() != data:
            write_bytes(place, data, synced=False)
            self.unsynced.append(place)
            self.changed = True


def _other_targets(root: Path, lost: Sequence[str]) -> UsageFailure:
    return UsageFailure(
        f"{root} holds an export of something else, which would be removed",
        why=f"It has {', '.join(lost)}.",
        next=f"Name all targets together (ot2deploy index export {root} A B), or another directory; or, to have only "
        "what is named now: --replace",
    )


def _place(source: Path, file: File, place: Path) -> bool:
    """Puts a wheel into its place unless it is there; whether it was written. It is not synced yet."""
    if place.is_file() and place.stat().st_size == file.size and sha256_file(place) == file.sha256:
        return False
    with replacing(place, synced=False) as temporary:
        shutil.copyfile(source, temporary)
        if sha256_file(temporary) != file.sha256:
            raise BuildFailure(
                f"is damaged in {source.parent}",
                subject=file.filename,
                next="Put it into the index again (ot2deploy index build WHEEL), or look for bad files of the store: "
                "ot2deploy store verify",
            )
    return True


def _remove_empty(*directories: Path) -> None:
    for directory in directories:
        with contextlib.suppress(OSError):  # it holds something, or is gone
            directory.rmdir()


def _pages(root: Path) -> Iterator[str]:
    """Every page of a tree, and its settings."""
    for path in (root / FRONT, root / SETTINGS, *root.rglob("simple/**/index.*")):
        yield path.relative_to(root).as_posix()
