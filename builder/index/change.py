"""One change of an index: put together in memory, then written whole."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.errors import BuildFailure
from builder.files import replacing_all, sha256_file
from builder.index.front import front
from builder.index.layout import METADATA, OWN, Branch
from builder.index.page import File, Page, root_html, root_json, to_html, to_json

if TYPE_CHECKING:
    from builder.index.tree import Index

SCHEMA = 1
SETTINGS = "index.json"


class Conflict(BuildFailure):
    """Other bytes came under a name that the index has."""

    code = "index-conflict"


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A wheel that may enter a branch: the file at `path`, what its page will say, and its METADATA.

    `builder.index.entry.admit.admit` makes it.
    """

    path: Path
    name: str
    file: File
    metadata: bytes


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """A page to be drawn: `profiles` says for each of its files in which profile's directory it is."""

    branch: Branch
    page: Page
    profiles: Mapping[str, str]


class Change:
    """What is to become of an index, seen as if it were done already; nothing is written before `write`."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._before: dict[tuple[Branch, str], Page] = {}
        self._after: dict[tuple[Branch, str], Page] = {}
        self._wheels: dict[tuple[str, str], Arrival] = {}
        self._branches = set(index.branches())
        self._dropped: set[Branch] = set()
        self.mended: set[tuple[str, str]] = set()  # profile and name of wheels that pages name and that were not whole
        self._all = False

    def page(self, branch: Branch, name: str) -> Page:
        """A project's page as it will be; `name` is normalised."""
        key = branch, name
        if key in self._after:
            return self._after[key]
        if key not in self._before:
            self._before[key] = self._index.page(branch, name)
        return self._before[key]

    def put(self, branch: Branch, page: Page) -> None:
        """Puts a page in the place of what there is; one without files is removed. Wheels stay: see `retention`."""
        self._after[branch, page.name] = page
        self._branches.add(branch)

    def add(self, branch: Branch, arrival: Arrival) -> bool:
        """Puts a wheel on its page; says whether it was not there yet. Raises Conflict."""
        known = self._known(branch.profile, arrival)
        if known and known.sha256 != arrival.file.sha256:
            raise _conflict(branch.profile, arrival, known)
        if not _is_whole(self._index.wheel(branch.profile, arrival.file.filename), arrival.file):
            self._wheels[branch.profile, arrival.file.filename] = arrival
            if known:
                self.mended.add((branch.profile, arrival.file.filename))
        page = self.page(branch, arrival.name)
        new = page.file(arrival.file.filename) is None
        self.put(branch, page.with_files([known or arrival.file]) if new else page)
        return new

    def drop(self, channel: str) -> None:
        """Removes a channel of all profiles. Wheels stay: see `retention`."""
        dropped = [branch for branch in self._branches if branch.channel == channel]
        for branch in dropped:
            for name in self._index.names(branch):
                self.put(branch, Page(name=name))
        self._branches.difference_update(dropped)
        self._dropped.update([*dropped, Branch(profile=OWN, channel=channel)])

    def draw_all(self) -> None:
        """Also writes the index's settings, and draws every page anew."""
        self._all = True
        for branch in self._index.branches():
            for name in self._index.names(branch):
                self.put(branch, self.page(branch, name))

    def write(self) -> None:
        """Writes everything that differs from what is there: wheels first, lists of projects last."""
        # Cut off between two pages, a private name may be in the own branch alone, never missing there: resolvers would
        # look it up elsewhere. So its page there comes first, and goes last.
        pages = [*self._of_own(), *self._of_profiles()]
        with replacing_all() as beside:
            for (profile, filename), arrival in self._wheels.items():
                place = self._index.wheel(profile, filename)
                beside(place.with_name(f"{filename}{METADATA}")).write_bytes(arrival.metadata)
                shutil.copyfile(arrival.path, beside(place))
            for path, data in self._texts(pages):
                if _differs(path, data):
                    beside(path).write_bytes(data)
        for drawn in reversed(pages):
            if not drawn.page.files:
                shutil.rmtree(self._index.root / drawn.branch.page(drawn.page.name), ignore_errors=True)
        for branch in self._dropped:
            simple = self._index.root / branch.simple
            shutil.rmtree(simple, ignore_errors=True)
            with contextlib.suppress(OSError):  # the plain channel's directory is the profile's, which holds more
                simple.parent.rmdir()

    def _of_profiles(self) -> Iterator[_Drawn]:
        for (branch, _), page in self._after.items():
            yield _Drawn(branch=branch, page=page, profiles={file.filename: branch.profile for file in page.files})

    def _of_own(self) -> Iterator[_Drawn]:
        """The page in the own branch of every project that was touched; empty where it is not the lab's own."""
        profiles = sorted({branch.profile for branch in self._branches})
        for channel, name in sorted({(branch.channel, name) for branch, name in self._after}):
            pages = [(one, self.page(Branch(profile=one, channel=channel), name)) for one in profiles]
            # A file that two profiles have is listed once; where their bytes differ, a resolver sees the last one's.
            files = {file.filename: file for _, page in pages for file in page.files}
            where = {file.filename: profile for profile, page in pages for file in page.files}
            own = files.values() if any(page.own for _, page in pages) else ()
            page = Page(name=name).with_files(own)
            yield _Drawn(branch=Branch(profile=OWN, channel=channel), page=page, profiles=where)

    def _texts(self, pages: Iterable[_Drawn]) -> Iterator[tuple[Path, bytes]]:
        """Every file but wheels that has to do with what changed, in the order in which they are to appear."""
        root = self._index.root
        for drawn in pages:
            if drawn.page.files:
                yield from self._texts_of(drawn)
        for branch in sorted({drawn.branch for drawn in pages} - self._dropped):
            names = self._names(branch, pages)
            yield root / branch.simple / "index.json", root_json(names)
            yield root / branch.simple / "index.html", root_html(names)
        yield root / "index.html", front(sorted(self._branches))
        if self._all:
            said = {"schema": SCHEMA, "root_url": self._index.root_url}
            yield root / SETTINGS, json.dumps(said, indent=1).encode() + b"\n"

    def _texts_of(self, drawn: _Drawn) -> Iterator[tuple[Path, bytes]]:
        def link(file: File) -> str:
            return drawn.branch.link(drawn.profiles[file.filename], file.filename, self._index.root_url)

        directory = self._index.root / drawn.branch.page(drawn.page.name)
        yield directory / "index.json", to_json(drawn.page, link)
        yield directory / "index.html", to_html(drawn.page, link)

    def _names(self, branch: Branch, pages: Iterable[_Drawn]) -> set[str]:
        names = set(self._index.names(branch))
        for drawn in pages:
            if drawn.branch == branch:
                (names.add if drawn.page.files else names.discard)(drawn.page.name)
        return names

    def _known(self, profile: str, arrival: Arrival) -> File | None:
        """What the profile has under the wheel's name, in whatever channel."""
        pages = (self.page(branch, arrival.name) for branch in self._branches if branch.profile == profile)
        return next((file for page in pages if (file := page.file(arrival.file.filename))), None)


def _conflict(profile: str, arrival: Arrival, known: File) -> Conflict:
    return Conflict(
        f"{profile} has other bytes under this name",
        subject=arrival.file.filename,
        why=f"There sha256 {known.sha256}, uploaded {known.uploaded}; here {arrival.file.sha256}.",
        next="One name is one content, for ever. Build it with a higher `revision` in its recipe (the build tag of the "
        "wheel), or raise its version.",
    )


def _is_whole(path: Path, file: File) -> bool:
    """Whether a wheel's file and its METADATA are there with the right bytes.

    They may have been damaged, or be those of another wheel that bore the name before and is on no page any more.
    """
    beside = path.with_name(f"{path.name}{METADATA}")
    try:
        return (
            path.stat().st_size == file.size
            and sha256_file(beside) == file.metadata
            and sha256_file(path) == file.sha256
        )
    except FileNotFoundError:
        return False


def _differs(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() != data
    except FileNotFoundError:
        return True
