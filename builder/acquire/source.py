"""Which source a package is built from, and that source as a file of the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from builder import local
from builder.acquire.job import Job, Missing
from builder.build.request import Source
from builder.errors import HashFailure, NetworkFailure
from builder.fetch import public
from builder.files import digest_of
from builder.lock import LockedFile
from builder.source import (
    Archive,
    ArchiveSource,
    DebianSource,
    GithubDevSource,
    GithubReleaseSDistSource,
    GitSource,
    IndexSdist,
    LocalSource,
    git,
)
from builder.source import Source as Named
from builder.store import Blob
from builder.toolchain import apt


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A source before it is got. `path` is the project's directory in it, `why` the reason for it if it is not the one
    that the recipe names.
    """

    kind: str
    filename: str
    url: str
    fetch: Callable[[], Blob]
    path: str | None = None
    why: str = ""

    def get(self) -> Source:
        """The source as a file. Raises Missing, NetworkFailure, ToolFailure."""
        blob = self.fetch()
        return Source(
            path=blob.path, sha256=blob.sha256, url=self.url, kind=self.kind, subdirectory=self.path, why=self.why
        )


def choose(job: Job) -> Chosen | None:
    """The source that the recipe names where it is pinned, else the index's sdist; None where there is neither.

    Notes in the job what is passed over. Raises HashFailure when the locked sdist is not the one that the recipe wants.
    """
    own = job.recipe.source if job.recipe and not job.wanted.local else None
    match own:
        case GithubDevSource() | GithubReleaseSDistSource() | Archive() if own.sha256:
            chosen = partial(Chosen, filename=own.filename, url=public(own.urls[0]))
            return chosen(kind=own.kind, path=own.path, fetch=partial(_archive, job, own, own.sha256))
        case DebianSource() if own.sha256:
            chosen = partial(Chosen, filename=f"{own.package}_{own.version}", url=own.url)
            return chosen(kind=own.kind, path=own.path, fetch=partial(_debian, job, own, own.sha256))
        case GitSource():
            key, filename = digest_of([own.url, own.commit]), f"{own.commit}.tar"
            fetch = partial(_made, job, filename, key, own.pinned_url, partial(git.export, own.url, own.commit))
            chosen = partial(Chosen, filename=filename, url=own.pinned_url)
            return chosen(kind=own.kind, path=own.path, fetch=fetch)
        case LocalSource():
            assert job.recipe is not None
            directory, filename = job.recipe.directory / own.path, f"{job.wanted.name}.tar"
            key = digest_of(local.contents(directory))
            fetch = partial(_made, job, filename, key, "", partial(local.pack, directory))
            return Chosen(kind=own.kind, filename=filename, url="", fetch=fetch)
    return _sdist(job, own)


def _sdist(job: Job, own: Named | None) -> Chosen | None:
    """The locked sdist, in place of what the recipe names without saying which bytes are meant."""
    sdist, why = job.wanted.sdist, ""
    if sdist is None:
        unpinned = own and not isinstance(own, IndexSdist)
        reason = f"pin it with: ot2deploy recipe pin {job.wanted.name}" if unpinned else "the lock has none"
        job.pass_over(str(own or "source distribution"), [reason])
        return None
    if isinstance(own, IndexSdist) and own.sha256 not in (None, sdist.sha256):
        raise HashFailure(
            f"sha256 mismatch for {sdist.filename}",
            subject=job.subject,
            why=f"The recipe expected {own.sha256}, the lock got {sdist.sha256}.",
            next="Look whether the release was replaced, then pin the recipe anew: ot2deploy recipe pin",
        )
    if own and not isinstance(own, IndexSdist):
        why = f"the recipe gives no sha256 for the {own}"
        job.pass_over(str(own), ["its recipe gives no sha256 for it; built from the index's sdist"])
    return Chosen(
        kind=IndexSdist.kind,
        filename=sdist.filename,
        url=public(sdist.url),
        fetch=partial(job.get, sdist),
        why=why,
    )


def _archive(job: Job, own: ArchiveSource, sha256: str) -> Blob:
    """The archive from the first of its places that has it with the right bytes; the index's sdist may be one."""
    files = [LockedFile(filename=own.filename, url=url, sha256=sha256) for url in own.urls] + _same(job, sha256)
    failures: list[NetworkFailure] = []
    for file in files:
        try:
            return job.get(file)
        except Missing:
            raise
        except NetworkFailure as failure:
            job.tell(f"{public(file.url)}: {failure.what}", level="info")
            failures.append(failure)
    if len(failures) == 1:
        raise failures[0]
    said = tuple(f"{public(file.url)}: {failure}" for file, failure in zip(files, failures, strict=True))
    kind = HashFailure if any(isinstance(failure, HashFailure) for failure in failures) else NetworkFailure
    raise kind(f"none of the {len(said)} places of its source has it", subject=job.subject, details=said)


def _same(job: Job, sha256: str) -> list[LockedFile]:
    """The locked sdist where it is the very same file."""
    return [file for file in [job.wanted.sdist] if file and file.sha256 == sha256]


def _debian(job: Job, own: DebianSource, sha256: str) -> Blob:
    for file in _same(job, sha256):
        return job.get(file)
    store = job.engine.store
    with store.lock(f"get-{sha256}"):
        if known := store.blob(sha256):
            return known
        if job.engine.offline:
            raise Missing(job.subject, (f"{own} (sha256 {sha256})",))
        with store.scratch() as work:
            path = apt.upstream_archive(own.package, own.version, sha256, work)
            return store.add(path, how="public", facts={"url": own.url}, sha256=sha256)


def _made(job: Job, filename: str, key: str, url: str, make: Callable[[Path], None]) -> Blob:
    """A tree as a tar, made once. `url` is where it comes from, "" for this host."""
    store = job.engine.store
    with store.lock(f"source-{key}"):
        known = store.answer("source", key)
        if known and (blob := store.blob(known)):
            return blob
        if job.engine.offline and url and not url.startswith("git+file:"):
            raise Missing(job.subject, (url,))
        with store.incoming(filename) as path:
            make(path)
            blob = store.adopt(path, how="public" if url else "local", facts={"url": url})
        store.keep_answer("source", key, blob.sha256)
        return blob
