"""Indexes named in the project: which wheels of a locked version they have, by the simple API or in a directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from builder.environment import Index
from builder.errors import MissingExtra, NetworkFailure
from builder.fetch import public, without_login
from builder.files import digest_of, sha256_file
from builder.lock import LockedFile
from builder.selection import Candidate, candidates
from builder.store import FILENAME

if TYPE_CHECKING:
    from pypi_simple import DistributionPackage

    from builder.acquire.job import Job
    from builder.fetch import Fetcher

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"


def offers(index: Index, job: Job) -> tuple[Candidate, ...]:
    """The index's wheels of the wanted version that the profile may get, best first; one without sha256 is passed over.

    Offline an index answers as it did last time. Raises NetworkFailure when it cannot be asked.
    """
    files = _in_directory(index, job) if index.url.startswith("file:") else _by_api(index, job)
    return candidates(files, job.profile, origin="index")


def _in_directory(index: Index, job: Job) -> list[LockedFile]:
    directory = Path(unquote(urlsplit(index.url).path))
    wheels = [path for path in sorted(directory.glob("*.whl")) if _is_wanted(path.name, job)]
    return [
        LockedFile(filename=path.name, url=path.as_uri(), sha256=sha256_file(path), size=path.stat().st_size)
        for path in wheels
    ]


def _by_api(index: Index, job: Job) -> list[LockedFile]:
    store = job.engine.store
    key = digest_of([public(index.url), job.wanted.name, job.wanted.version])
    known = store.answer("index", key) if job.engine.offline else None
    if job.engine.offline:
        return [LockedFile(**row) for row in known or ()]
    found = []
    for filename, url, sha256, size in _ask(index, job):
        if not _is_wanted(filename, job):
            continue
        if sha256 is None:
            job.pass_over(filename, [f"index {index.name} gives no sha256 for it"])
            continue
        found.append(LockedFile(filename=filename, url=url, sha256=sha256, size=size))
    store.keep_answer("index", key, [vars(file) for file in found])
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
    try:
        from pypi_simple import ProjectPage, UnsupportedRepoVersionError
    except ImportError:
        raise MissingExtra("build", "pypi-simple") from None
    url = f"{index.url.rstrip('/')}/{canonicalize_name(name)}/"
    try:
        body, content_type, final = fetcher.get(url, headers={"Accept": ACCEPT})
    except NetworkFailure as failure:
        if failure.what.endswith(" answered 404"):
            return []
        raise
    try:
        if "json" in content_type:
            import json

            page = ProjectPage.from_json_data(json.loads(body), base_url=final)
        else:
            page = ProjectPage.from_html(name, body.decode("utf-8", "replace"), base_url=final)
    except (ValueError, LookupError, TypeError, AttributeError, UnsupportedRepoVersionError) as error:
        raise NetworkFailure(
            f"{public(url)} is no page of a package index: {type(error).__name__}",
            why=f"The index {index.name} answered with something else, or with a newer format.",
            next="Look at its URL in environment.yaml: it is the part before /<project>/.",
        ) from error
    return [package for package in page.packages if not package.is_yanked]


def _is_wanted(filename: str, job: Job) -> bool:
    try:
        name, version, _, _ = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return False
    return bool(FILENAME.fullmatch(filename)) and name == job.wanted.name and version == Version(job.wanted.version)
