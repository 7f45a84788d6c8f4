"""Publishing into a directory: a share that is mounted, a USB stick, a web server's root."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from builder.errors import UsageFailure
from builder.events import Event, Report
from builder.files import PARTS, disk_failures, replacing_all, sha256_file
from builder.index.publish.flow import NotOurs
from builder.index.publish.publication import Listed, Publication

TURN = 256 << 20  # bytes that are written before they are renamed into their places
LIST = "simple/index.html"
MOST_NAMED = 5  # of what else is there
CUT = 3600.0  # seconds after which a part of a file is one that nobody goes on with


class Directory:
    """A directory of this computer, made where it is not there; `beside` says that it may be one of other things."""

    proof = "sha256"

    def __init__(self, root: Path, *, beside: bool = False) -> None:
        """Raises UsageFailure for what is no directory."""
        if root.exists() and not root.is_dir():
            raise UsageFailure(f"{root} is not a directory")
        self.root, self.name, self._beside = root, str(root), beside

    def there(self, publication: Publication) -> dict[str, str]:
        """See Place. Raises DiskFailure, and NotOurs where there are other things and nothing of an index."""
        with disk_failures(self.root):
            self._look_for_others(publication)
            found = dict.fromkeys((path for depth in ("*", "*/*") for path in self._found(f"{depth}/{LIST}")), "")
            for path in (path for top in publication.tops for path in self._below(top)):
                found[path] = sha256_file(self.root / path)
            return found

    def send(self, publication: Publication, files: Sequence[Listed], report: Report) -> None:
        """See Place. Raises DiskFailure."""
        total, done = sum(file.size for file in files), 0
        with disk_failures(self.root):
            for some in portions(files):
                self._sweep({(self.root / file.path).parent for file in some})
                with replacing_all() as beside:
                    for file in some:
                        shutil.copyfile(publication.root / file.path, beside(self.root / file.path))
                        done += file.size
                        report(Event(subject=self.name, stage="send", done=done, total=total, unit="B"))

    def remove(self, paths: Sequence[str]) -> None:
        """See Place; directories that are empty then go, too. Raises DiskFailure."""
        with disk_failures(self.root):
            for path in paths:
                (self.root / path).unlink(missing_ok=True)
                for parent in list((self.root / path).parents)[: path.count("/")]:
                    if any(parent.iterdir()):
                        break
                    parent.rmdir()

    def _look_for_others(self, publication: Publication) -> None:
        there = {path.name for path in self.root.glob("[!.]*")}
        if there and there.isdisjoint(publication.tops) and not self._beside:
            raise NotOurs(
                f"{self.root} holds other things, and no index",
                why=f"It has {', '.join(sorted(there)[:MOST_NAMED])}{' ...' if len(there) > MOST_NAMED else ''}.",
                next=f"Name a directory of its own ({self.root / 'wheels'}), or say that it is meant: --beside",
            )

    def _found(self, pattern: str) -> Iterator[str]:
        for path in self.root.glob(pattern):
            yield path.relative_to(self.root).as_posix()

    def _below(self, top: str) -> Iterator[str]:
        place = self.root / top
        for path in [place] if place.is_file() else place.rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                yield path.relative_to(self.root).as_posix()

    def _sweep(self, directories: set[Path]) -> None:
        """Removes the parts of files that a killed publisher left."""
        for part in (part for directory in directories for part in directory.glob(PARTS)):
            with contextlib.suppress(FileNotFoundError):  # its publisher goes on with it just now
                if part.stat().st_mtime < time.time() - CUT:
                    part.unlink()


def portions(files: Sequence[Listed], size: int = TURN) -> Iterator[tuple[Listed, ...]]:
    """Wheels in their order, cut where the next would make more than `size` bytes of it; then all pages as one portion,
    so that they change together.
    """
    some: list[Listed] = []
    for file in (file for file in files if file.lasting):
        if some and sum(one.size for one in some) + file.size > size:
            yield tuple(some)
            some = []
        some.append(file)
    if some:
        yield tuple(some)
    if pages := tuple(file for file in files if not file.lasting):
        yield pages
