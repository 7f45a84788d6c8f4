"""What an index elsewhere has of a project: asked once in a while, remembered, and still known while it is down."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from builder.acquire.indexes import ACCEPT, read_page
from builder.errors import NetworkFailure
from builder.fetch import Answer, Fetcher, public, without_login
from builder.files import write_json
from builder.index.layout import METADATA
from builder.index.mirror.cache import Cache
from builder.index.page import File
from builder.store import FILENAME, SHA256

if TYPE_CHECKING:
    from pypi_simple import DistributionPackage

log = logging.getLogger("ot2deploy.index")

SCHEMA = 1
MOST_PAGE = 32 << 20  # bytes; the largest pages of the public index have a few MB
MOST_METADATA = 4 << 20
LONGEST = 200  # characters of a name
REST = 10.0  # seconds for which an upstream that cannot be reached is left alone
MOST_ABSENT = 4096  # projects that upstream does not have, remembered


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A wheel that upstream has, and where."""

    file: File
    url: str


@dataclass(frozen=True, kw_only=True)
class Project:
    """What upstream said of a project at the time `asked` (s since 1970): also that it has none, not `found`."""

    name: str
    asked: float
    found: bool = True
    etag: str = ""
    offers: tuple[Offer, ...] = ()

    def offer(self, sha256: str, filename: str) -> Offer | None:
        """A wheel by its name and sha256, or None."""
        return next((one for one in self.offers if (one.file.sha256, one.file.filename) == (sha256, filename)), None)


class Upstream:
    """An index elsewhere, at the simple API's `url`. What it said counts for `fresh` seconds, then it is asked whether
    that changed. Safe for several threads.
    """

    def __init__(self, url: str, fetcher: Fetcher, cache: Cache, *, fresh: float) -> None:
        self.url, self.fresh = url.rstrip("/"), fresh
        self._fetcher, self._cache = fetcher, cache
        self._guard = threading.Lock()
        self._absent: dict[str, Project] = {}
        self._rest: tuple[float, NetworkFailure] | None = None

    def known(self, name: str) -> Project | None:
        """What is known of a project without asking: because it is fresh, or because upstream cannot be asked now.

        None where it is to be asked for. Raises NetworkFailure where that would be in vain.
        """
        if len(name) > LONGEST:
            return Project(name=name, asked=time.time(), found=False)
        project = self._kept(name)
        if project and 0 <= time.time() - project.asked < self.fresh:
            return project
        if self._rest and time.monotonic() < self._rest[0]:
            if project is None:
                raise self._rest[1]
            return project
        return None

    def ask(self, name: str) -> Project:
        """What upstream says now; while it cannot, what it said last. Raises NetworkFailure where it never did."""
        before = self._kept(name)
        try:
            project = self._ask(name, before)
        except NetworkFailure as failure:
            if failure.status is None:  # nobody answered: the next one would wait as long
                self._rest = time.monotonic() + REST, failure
            if before is None:
                raise
            log.warning("mirror: %s: %s; what it had before counts", name, failure)
            return before
        self._keep(project)
        return project

    def download(self, offer: Offer, destination: Path) -> None:
        """Writes a wheel to `destination` if it is what the page promised. Raises HashFailure, NetworkFailure."""
        most = offer.file.size or self._cache.limit
        self._fetcher.download(offer.url, destination, sha256=offer.file.sha256, progress=_at_most(most))

    def download_metadata(self, offer: Offer, destination: Path) -> None:
        """Writes the METADATA that upstream has beside a wheel (PEP 658), like `download`."""
        url = urlsplit(offer.url)
        beside = url._replace(path=f"{url.path}{METADATA}").geturl()
        self._fetcher.download(beside, destination, sha256=offer.file.metadata, progress=_at_most(MOST_METADATA))

    def _ask(self, name: str, before: Project | None) -> Project:
        now = time.time()
        try:
            etag = before.etag if before else ""
            answer = self._fetcher.ask(f"{self.url}/{name}/", most=MOST_PAGE, headers={"Accept": ACCEPT}, etag=etag)
        except NetworkFailure as failure:
            if failure.status in (404, 410):
                return Project(name=name, asked=now, found=False)
            raise
        if not answer.changed and before:
            return Project(name=name, asked=now, etag=before.etag, offers=before.offers)
        return Project(name=name, asked=now, etag=answer.etag, offers=_read(name, answer))

    def _kept(self, name: str) -> Project | None:
        if absent := self._absent.get(name):
            return absent
        path = self._cache.get("pages", f"{name}.json")
        try:
            data = json.loads(path.read_bytes()) if path else {}
            if (data.get("schema"), data.get("upstream")) != (SCHEMA, public(self.url)):
                return None
            offers = tuple(Offer(file=File(**one["file"]), url=one["url"]) for one in data["offers"])
            return Project(name=name, asked=float(data["asked"]), etag=data["etag"], offers=offers)
        except (FileNotFoundError, ValueError, LookupError, TypeError, AttributeError):
            return None  # as if it had never been asked

    def _keep(self, project: Project) -> None:
        path = self._cache.place("pages", f"{project.name}.json")
        with self._guard:
            self._absent.pop(project.name, None)
            if not project.found:
                self._absent[project.name] = project
                if len(self._absent) > MOST_ABSENT:
                    del self._absent[next(iter(self._absent))]
        if not project.found:
            path.unlink(missing_ok=True)
            return
        offers = [asdict(offer) for offer in project.offers]
        said = {"asked": project.asked, "etag": project.etag, "offers": offers}
        write_json(path, {"schema": SCHEMA, "upstream": public(self.url), **said}, mode=0o600)
        self._cache.trim()


def _read(name: str, answer: Answer) -> tuple[Offer, ...]:
    """The wheels of a page that can be passed on: well named, of this project, with sha256, over HTTP."""
    try:
        if not re.search("json|html", answer.content_type):
            raise ValueError(answer.content_type[:40] or "nothing")
        packages = read_page(name, answer.body, answer.content_type, answer.url)
    except ValueError as error:
        wrong = NetworkFailure(f"{public(answer.url)} is no page of a package index: {error}")
        wrong.status = 200
        raise wrong from error
    found = {offer.file.filename: offer for package in packages if (offer := _offer(name, package))}
    return tuple(found.values())


def _offer(name: str, package: DistributionPackage) -> Offer | None:
    try:
        project, _, _, _ = parse_wheel_filename(package.filename)
    except InvalidWheelFilename:
        return None
    sha256 = package.digests.get("sha256", "").lower()
    url = without_login(package.url.partition("#")[0])
    good = FILENAME.fullmatch(package.filename) and SHA256.fullmatch(sha256) and url.startswith(("http://", "https://"))
    if not good or project != canonicalize_name(name):
        return None
    uploaded = package.upload_time
    metadata = (package.metadata_digests or {}).get("sha256", "").lower()
    return Offer(
        file=File(
            filename=package.filename,
            sha256=sha256,
            size=max(package.size or 0, 0),
            metadata=metadata if SHA256.fullmatch(metadata) else "",
            uploaded=f"{uploaded.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}" if uploaded else "",
            requires_python=package.requires_python or "",
            yanked=(package.yanked_reason or "") if package.is_yanked else None,
            own=False,
        ),
        url=url,
    )


def _at_most(most: int) -> Callable[[int], None]:
    """Counts chunks of a download. Raises NetworkFailure for more bytes than there should be."""
    left = most

    def count(chunk: int) -> None:
        nonlocal left
        left -= chunk
        if left < 0:
            raise NetworkFailure(f"there came more than {most} bytes")

    return count
