"""A mirror in an index's server: public projects from an index elsewhere, on demand, for names that are not the lab's.

A wheel is fetched when the first robot asks for it, once for all who ask, and reaches nobody before its sha256 and the
audit for their profile were good.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from builder import profile_host
from builder.audited import audited
from builder.counted import counted
from builder.errors import AuditFailure, MissingExtra, NetworkFailure, UsageFailure
from builder.fetch import Fetcher, login_of, public, split, without_login
from builder.files import disk_failures, write_bytes
from builder.index.layout import METADATA, Branch
from builder.index.mirror.cache import Cache
from builder.index.mirror.flights import Flights
from builder.index.mirror.own_names import NAMES, Known, OwnNames
from builder.index.mirror.upstream import Offer, Project, Upstream
from builder.index.page import File, Link, Page
from builder.index.server.parts import Refused
from builder.store import Blob
from builder.uv import default_index
from builder.wheel import WheelFile

if TYPE_CHECKING:
    from packaging.tags import Tag

    from builder.engine import Engine
    from builder.index.tree import Index
    from builder.profile import Profile

log = logging.getLogger("ot2deploy.index")

MIRROR = "mirror"  # in addresses, and the directory in the state of an index
FILES = "files"
QUESTIONS, DOWNLOADS, AUDITS = 4, 8, 2  # under way at once; an audit has a wheel's largest file in memory
SHORT, LONG = 60.0, 300.0  # seconds; installers give up sooner, ask again, and find what was fetched meanwhile


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long (s) what upstream said of a project counts without asking again, and how much (bytes) is kept."""

    fresh: float = 600.0
    size: int = 5_000_000_000


class Mirror:
    """What `builder.index.server.parts.Mirror` wants. Nothing is asked of upstream before somebody asks for it here."""

    def __init__(self, upstream: Upstream, names: OwnNames, cache: Cache, engine: Engine) -> None:
        self._upstream, self._names, self._cache, self._engine = upstream, names, cache, engine
        self._questions, self._downloads = Flights(QUESTIONS, SHORT), Flights(DOWNLOADS, LONG)
        self._audits = Flights(AUDITS, LONG)
        self._accepted: set[tuple[str, str]] = set()  # sha256 and profile

    async def page(self, branch: Branch, name: str) -> tuple[Page, Link] | None:
        """A project's wheels that fit the branch's profile; None for names that are not to be asked for, or unknown."""
        profile = _profile(branch.profile)
        if profile is None:
            return None
        with _refusing(self._cache.root):
            project = await self._project(name)
        if project is None:
            return None
        return await asyncio.to_thread(_fitting, project, profile), functools.partial(_link, branch)

    async def file(self, profile: str, sha256: str, filename: str) -> Path | None:
        """A wheel, or its METADATA, that a page of this mirror names for the profile."""
        found = _profile(profile)
        wheel = filename.removesuffix(METADATA)
        name = _project_of(wheel, found) if found else None
        if found is None or name is None:
            return None
        with _refusing(self._cache.root):
            if await asyncio.to_thread(self._names.covers, name):
                return None
            if filename != wheel:
                return await self._metadata(name, sha256, wheel)
            return await self._wheel(name, sha256, wheel, found)

    def close(self) -> None:
        """Gives up what is being fetched."""
        for flights in (self._questions, self._downloads, self._audits):
            flights.close()

    async def _project(self, name: str) -> Project | None:
        if await asyncio.to_thread(self._names.covers, name):
            return None
        project = await asyncio.to_thread(self._upstream.known, name)
        if project is None:
            project = await self._questions.do(name, functools.partial(self._upstream.ask, name))
        return project if project.found else None

    async def _offer(self, name: str, sha256: str, wheel: str) -> Offer | None:
        project = await self._project(name)
        return project.offer(sha256, wheel) if project else None

    async def _metadata(self, name: str, sha256: str, wheel: str) -> Path | None:
        if path := self._cache.get(FILES, sha256, f"{sha256}{METADATA}"):
            return path
        offer = await self._offer(name, sha256, wheel)
        if offer and offer.file.metadata:
            return await self._downloads.do((sha256, METADATA), functools.partial(self._fetch_metadata, offer))
        path = await self._fetched(name, sha256, wheel)
        if path is None:
            return None
        return await self._downloads.do((sha256, METADATA), functools.partial(self._extract, sha256, path))

    async def _wheel(self, name: str, sha256: str, wheel: str, profile: Profile) -> Path | None:
        path = await self._fetched(name, sha256, wheel)
        if path and (sha256, profile.name) not in self._accepted:
            await self._audits.do((sha256, profile.name), functools.partial(self._judge, path, sha256, profile))
        return path

    async def _fetched(self, name: str, sha256: str, wheel: str) -> Path | None:
        """The wheel's file, whatever the audit says of it."""
        if path := self._cache.get(FILES, sha256, wheel):
            return path
        offer = await self._offer(name, sha256, wheel)
        return await self._downloads.do((sha256, wheel), functools.partial(self._fetch, offer)) if offer else None

    def _fetch(self, offer: Offer) -> Path:
        path = self._cache.place(FILES, offer.file.sha256, offer.file.filename)
        if not path.exists():  # the flight before this one may have landed a moment ago
            self._upstream.download(offer, path)
            self._cache.trim()
        return path

    def _fetch_metadata(self, offer: Offer) -> Path:
        path = self._cache.place(FILES, offer.file.sha256, f"{offer.file.sha256}{METADATA}")
        if not path.exists():
            self._upstream.download_metadata(offer, path)
        return path

    def _extract(self, sha256: str, wheel: Path) -> Path:
        path = self._cache.place(FILES, sha256, f"{sha256}{METADATA}")
        opened = WheelFile.open(wheel)
        write_bytes(path, opened.read(f"{opened.dist_info}/METADATA"))
        return path

    def _judge(self, path: Path, sha256: str, profile: Profile) -> None:
        blob = Blob(filename=path.name, sha256=sha256, size=path.stat().st_size, path=path)
        found = audited(blob, profile, self._engine)
        if not found.ok:
            reasons = "; ".join(f"{one.message} ({one.id})" for one in found.errors)
            raise Refused(403, f"{path.name}: the audit for {profile.name} refuses it: {reasons}"[:1000])
        self._accepted.add((sha256, profile.name))


def open_mirror(
    index: Index,
    engine: Engine,
    state: Path,
    url: str = "",
    *,
    limits: Limits | None = None,
    reserve: Iterable[str] = (),
    release: Iterable[str] = (),
) -> Mirror:
    """The mirror of an index: of `url`, or of the index that pip and uv on this host are told of, or their own.

    `state` is the index's private directory. Patterns of names in `reserve` are never asked for elsewhere, from now on;
    `release` forgets names and patterns. Raises UsageFailure, ConfigFailure, MissingExtra.
    """
    try:
        from pypi_simple import PYPI_SIMPLE_ENDPOINT
    except ImportError:
        raise MissingExtra("build", "pypi-simple") from None
    address = _checked(url or default_index(os.environ) or PYPI_SIMPLE_ENDPOINT)
    if url and login_of(url):
        raise UsageFailure(
            "a user name and password stand in the URL of the mirror",
            why="Everybody on this computer can read the command line.",
            next="Put them into ~/.netrc, or into the keyring, and leave them out of the URL.",
        )
    limits = limits or Limits()
    with disk_failures(state):
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        (state / MIRROR).mkdir(exist_ok=True, mode=0o700)
        names = OwnNames(index, state / NAMES)
        names.release(release)
        names.reserve(reserve)
        log.info("mirror: of %s, but for %s and all names of the index", public(address), _listed(names.look()))
    cache = Cache(state / MIRROR, limits.size)
    upstream = Upstream(without_login(address), Fetcher(indexes=[address], patient=False), cache, fresh=limits.fresh)
    return Mirror(upstream, names, cache, engine)


def _checked(url: str) -> str:
    """The address of an index. Raises UsageFailure for what is none."""
    parts = split(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageFailure(
            f"{public(url)} is no address of an index", next="For example: --mirror http://index.example/simple/"
        )
    return url


@contextlib.contextmanager
def _refusing(where: Path) -> Iterator[None]:
    """Failures of the other index as what a client is answered; those of this host are the server's own."""
    try:
        with disk_failures(where):
            yield
    except TimeoutError:
        raise Refused(504, "the mirrored index takes too long; ask again later") from None
    except NetworkFailure as failure:
        raise Refused(502, f"the mirrored index: {failure}") from failure
    except AuditFailure as failure:
        raise Refused(403, f"what came from the mirrored index is refused: {failure}") from failure


@functools.lru_cache(256)
def _profile(name: str) -> Profile | None:
    """A profile by its name in addresses; the host's own has there the name that it gave to its branch."""
    with contextlib.suppress(UsageFailure):  # not every computer has one
        host = profile_host.host_profile()
        if name == host.name:
            return host
    try:
        return profile_host.load(name)
    except UsageFailure:
        return None


def _listed(known: Known) -> str:
    own = f"{counted(len(known.own), 'own project')} that it has or had"
    return ", ".join([*known.reserved, own])


def _fitting(project: Project, profile: Profile) -> Page:
    tags = frozenset(profile.tags)
    files = (offer.file for offer in project.offers)
    page = Page(name=project.name).with_files(one for one in files if not tags.isdisjoint(_parsed(one.filename)[1]))
    if not page.files:
        offered = counted(len(project.offers), "wheel")
        log.warning("mirror: %s: of %s that upstream has none fits %s", project.name, offered, profile.name)
    return page


def _project_of(filename: str, profile: Profile) -> str | None:
    """The normalised name of a wheel's project; None for a file that is no wheel, or not for the profile."""
    try:
        name, tags = _parsed(filename)
    except InvalidWheelFilename:
        return None
    return None if tags.isdisjoint(profile.tags) else name


def _parsed(filename: str) -> tuple[str, frozenset[Tag]]:
    name, _, _, tags = parse_wheel_filename(filename)
    return name, tags


def _link(branch: Branch, file: File) -> str:
    up = "../" * (len(branch.page("x").parts) - 1)
    return f"{up}{MIRROR}/{file.sha256}/{quote(file.filename)}"
