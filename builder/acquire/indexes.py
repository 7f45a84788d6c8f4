"""Indexes named in the project: which wheels of a locked version they have, by the simple API or in a directory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from builder.environment import Index
from builder.errors import MissingExtra, NetworkFailure
from builder.events import Event
from builder.fetch import public, without_login
from builder.files import digest_of, sha256_file
from builder.lock import LockedFile
from builder.resolving import PAGE, cannot_be_asked, directory_of, is_tree, missing, not_there
from builder.selection import Candidate, candidates
from builder.store import FILENAME

if TYPE_CHECKING:
    from pypi_simple import DistributionPackage

    from builder.acquire.job import Job
    from builder.fetch import Fetcher

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"


def offers(index: Index, job: Job) -> tuple[Candidate, ...]:
    """The index's wheels of the wanted version that the profile may get, best first; one without sha256 is passed over.

    Of an index with branches it is the profile's; one that it does not have offers nothing. Offline, and while it
    cannot be reached, an index answers as it did last time. Raises NetworkFailure when it never did.
    """
    branch = index.branch(job.profile.name)
    directory = directory_of(branch)
    flat = directory is not None and not is_tree(directory) and not index.branched
    if directory and flat and not missing(index):
        files = _in_directory(directory, job)
    else:
        files = _by_api(branch, job, missing(index))
    return candidates(files, job.profile, origin="index")


def _in_directory(directory: Path, job: Job) -> list[LockedFile]:
    wheels = [path for path in sorted(directory.glob("*.whl")) if _is_wanted(path.name, job)]
    return [
        LockedFile(filename=path.name, url=path.as_uri(), sha256=sha256_file(path), size=path.stat().st_size)
        for path in wheels
    ]


def _by_api(index: Index, job: Job, absent: Path | None) -> list[LockedFile]:
    """What an index says of itself, or said last time; `absent` is its directory where that is not there."""
    store = job.engine.store
    key = digest_of([public(index.url), job.wanted.name, job.wanted.version])
    known = store.answer("index", key)
    if job.engine.offline and directory_of(index) is None:
        return _files(known or ())
    try:
        found = _wheels(index, job, absent)
    except NetworkFailure as failure:
        if failure.status is None and known is not None:
            return _files(known)
        raise
    store.keep_answer("index", key, [vars(file) for file in found])
    return found


def _files(rows: Iterable[Mapping[str, Any]]) -> list[LockedFile]:
    return [LockedFile(**row) for row in rows]


def _wheels(index: Index, job: Job, absent: Path | None) -> list[LockedFile]:
    down, found = job.engine.down, []
    if failure := down.get(index.url):
        raise failure
    try:
        if absent:
            raise not_there(index, absent)
        rows = _ask(index, job)
    except NetworkFailure as failure:
        told = failure if absent else cannot_be_asked(index, failure)
        if down.setdefault(index.url, told) is told and failure.status is None:
            message = f"{failure.what}; what it had last time counts"
            job.report(Event(subject=index.name, stage="acquire", message=message, level="warning"))
        raise told from failure
    for filename, url, sha256, size in rows:
        if not _is_wanted(filename, job):
            continue
        if sha256 is None:
            job.pass_over(filename, [f"index {index.name} gives no sha256 for it"])
            continue
        found.append(LockedFile(filename=filename, url=url, sha256=sha256, size=size))
    return found


def _ask(index: Index, job: Job) -> list[tuple[str, str, str | None, int | None]]:
    return [
        (package.filename, without_login(package.url.partition("#")[0]), package.digests.get("sha256"), package.size)
        for package in listing(index, job.wanted.name, job.engine.fetcher)
        if package.filename.endswith(".whl")
    ]


def listing(index: Index, name: str, fetcher: Fetcher) -> list[DistributionPackage]:
    """Every file of a project that an index offers and has not withdrawn; none where it does not know the project.

    Raises NetworkFailure.
    """
    url = f"{index.url.rstrip('/')}/{canonicalize_name(name)}/"
    if directory := directory_of(index):
        url += PAGE
        if not (directory / canonicalize_name(name) / PAGE).is_file():
            return []
    try:
        body, content_type, final = fetcher.get(url, headers={"Accept": ACCEPT})
    except NetworkFailure as failure:
        if failure.status == 404:
            return []
        raise
    try:
        packages = read_page(name, body, content_type, final)
    except ValueError as error:
        wrong = NetworkFailure(
            f"{public(url)} is no page of a package index: {error}",
            why=f"The index {index.name} answered with something else, or with a newer format.",
            next=f"Look at its URL in {index.said or 'environment.yaml'}: it is the part before /<project>/.",
        )
        wrong.status = 200
        raise wrong from error
    return [package for package in packages if not package.is_yanked]


def read_page(name: str, body: bytes, content_type: str, url: str) -> list[DistributionPackage]:
    """Every file that a project's page names (PEP 503, 691), withdrawn ones too; `url` is where the page is.

    Raises ValueError, with the kind of error as its text, for what is no such page or one of a newer format.
    """
    try:
        from pypi_simple import ProjectPage, UnsupportedRepoVersionError
    except ImportError:
        raise MissingExtra("build", "pypi-simple") from None
    try:
        if "json" in content_type:
            import json

            return ProjectPage.from_json_data(json.loads(body), base_url=url).packages
        return ProjectPage.from_html(name, body.decode("utf-8", "replace"), base_url=url).packages
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, UnsupportedRepoVersionError) as error:
        raise ValueError(type(error).__name__) from error


def _is_wanted(filename: str, job: Job) -> bool:
    try:
        name, version, _, _ = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return False
    return bool(FILENAME.fullmatch(filename)) and name == job.wanted.name and version == Version(job.wanted.version)
