"""The ways to a wheel, in their order; each gives a blob of the store or None, noting in the job why not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from builder.acquire.job import Acquired, Job, PassedOver
from builder.errors import AuditFailure, BuildFailure, DiskFailure, NetworkFailure
from builder.files import digest_of
from builder.selection import FITS, Candidate
from builder.store import Blob

if TYPE_CHECKING:
    from builder.build import BuildRequest, Source

Strategy = Callable[[Job], Blob | None]


def chosen_before(job: Job) -> Blob | None:
    """What was chosen for the same question before, if it is still in the store and, built, of the same compiler.

    What was built stays as it is on later days, and whatever became of what else it was built with: see `build_key`.
    """
    known = job.engine.store.answer("choice", job.key)
    if known and known["compiler"] and known["compiler"] != _compiler(job):
        return None
    blob = job.engine.store.blob(known["sha256"]) if known else None
    if blob:
        job.tried += [PassedOver(what=what, reason=reason) for what, reason in known["passed_over"]]
    return blob


def fitting(job: Job) -> Blob | None:
    """The first candidate with a fitting tag that the audit accepts."""
    for candidate in job.offers:
        if candidate.fit == FITS and (blob := _readable(job, candidate)):
            if accepted(job, blob):
                return blob
            job.refused.append(blob)
    return None


def repaired(job: Job) -> Blob | None:
    """A wheel that needs a slightly newer glibc than there is, made to do without it."""
    if not job.engine.repair:
        for candidate in job.offers:
            if candidate.fit != FITS:
                job.pass_over(candidate.filename, ["its tag asks for a newer glibc, and repairing is switched off"])
        return None
    for blob in _repairable(job):
        with job.engine.store.scratch() as work:
            try:
                path, changes = job.engine.tools.repair(blob.path, work, job.profile)
            except AuditFailure as failure:
                job.pass_over(f"repair of {blob.filename}", [failure.what, *failure.details[:3]])
                continue
            facts = {"from": blob.filename, "sha256": blob.sha256, "changes": list(changes)}
            made = job.engine.store.add(path, how="repaired", facts=facts)
        if accepted(job, made):
            return made
    return None


def built(job: Job) -> Blob | None:
    """A wheel built from the sdist by its own back end, for the profile."""
    from builder.acquire.source import choose
    from builder.build import BuildOptions

    if job.recipe and job.recipe.refusal:
        job.pass_over("recipe", [job.recipe.refusal.reason])
        return None
    chosen, engine = choose(job), job.engine
    if chosen is None:
        return None
    options = BuildOptions(offline=engine.offline, timeout=engine.timeout, jobs=job.cores, toolchain=engine.toolchain)
    with engine.store.scratch() as work:
        try:
            request, key = _asked(job, chosen.get())
            known = engine.store.answer("build", key)
            made_before = engine.store.blob(known) if known else None  # for other offers or options
            if made_before and accepted(job, made_before, expect_native=job.wanted.native):
                return made_before  # what an earlier audit let pass and today's does not is made anew
            _tell_day(job)
            made = engine.tools.build(request, work, uv=engine.uv(), options=options, report=job.report)
        except (DiskFailure, NetworkFailure):  # of this host: no other way to a wheel is better
            raise
        except BuildFailure as failure:
            reasons = filter(None, [failure.what, failure.why])
            lines = filter(None, [*failure.details, failure.next])
            job.pass_over(f"build of {chosen.filename}", reasons, lines=lines)
            return None
        how = "local" if job.wanted.local else "built"
        blob = engine.store.add(made.path, how=how, facts=made.provenance)
        engine.store.keep_answer("build", key, blob.sha256)
    return blob if accepted(job, blob, expect_native=job.wanted.native) else None


def _asked(job: Job, source: Source) -> tuple[BuildRequest, str]:
    """The build of a source, and its key."""
    from builder.acquire.headers import asked_by, headers_for
    from builder.build import BuildRequest
    from builder.build.key import build_key

    asked, engine = asked_by(job, source), job.engine
    request = BuildRequest(
        name=job.wanted.name,
        version=job.wanted.version,
        source=source,
        profile=job.profile,
        recipe=job.recipe,
        as_of=job.build_as_of,
        expects_native=job.wanted.native or None,
        headers_of=headers_for(job, asked.requires),
    )
    key = build_key(request, engine.toolchain, rust=asked.rust, offline=engine.offline, report=job.report)
    return request, key


def _tell_day(job: Job) -> None:
    """Says where the day of a build is neither the lock's nor its recipe's."""
    if job.recipe and job.build_as_of not in (job.as_of, job.recipe.as_of):
        opened = ", ".join(job.recipe.open_dependencies)
        job.tell(f"its recipe leaves {opened} open: as of {job.build_as_of}, the day of the release", level="info")


def _compiler(job: Job) -> str:
    """Digest of the compiler that a build would have now."""
    from builder.toolchain.compiler import identity_of

    return digest_of(identity_of(job.engine.toolchain, offline=job.engine.offline))


def run(job: Job, strategies: tuple[Strategy, ...]) -> Acquired | None:
    """The first blob that one of the strategies gives, remembered as the choice for the job's question."""
    with job.engine.store.lock(f"acquire-{job.key}"):
        tried = list(job.tried)
        job.tried.clear()
        if blob := chosen_before(job):
            return _acquired(job, blob)
        job.tried[:] = tried
        for strategy in strategies:
            if blob := strategy(job):
                _keep_choice(job, blob, compiler=_compiler(job) if strategy is built else None)
                return _acquired(job, blob, reused=False)
    return None


def accepted(job: Job, blob: Blob, *, expect_native: bool = False) -> bool:
    """Whether the audit lets a wheel through; if not, its errors are noted as the reason."""
    audit = job.audit(blob, expect_native=expect_native)
    if not audit.ok:
        job.pass_over(blob.filename, [f"{found.message} ({found.id})" for found in audit.errors[:3]])
    return audit.ok


def _keep_choice(job: Job, blob: Blob, *, compiler: str | None) -> None:
    passed = [[passed.what, passed.reason] for passed in job.tried]
    answer = {"sha256": blob.sha256, "passed_over": passed, "compiler": compiler}
    job.engine.store.keep_answer("choice", job.key, answer)


def _acquired(job: Job, blob: Blob, *, reused: bool = True) -> Acquired:
    how = str((job.engine.store.record(blob.sha256) or {}).get("how", "public"))
    if how == "repaired" and not reused:  # builds tell of themselves, and what was only fetched is counted
        job.tell(f"{blob.filename}, repaired", level="info")
    return Acquired(wanted=job.wanted, blob=blob, how=how, reused=reused, passed_over=tuple(job.tried))


def _repairable(job: Job) -> Iterator[Blob]:
    """What the audit refused, and the too-new candidates, each got only when the one before it did not do."""
    yield from job.refused
    for candidate in job.offers:
        if candidate.fit != FITS and (blob := _readable(job, candidate)):
            yield blob


def _readable(job: Job, candidate: Candidate) -> Blob | None:
    try:
        return job.get(candidate)
    except AuditFailure as failure:
        job.pass_over(candidate.filename, [failure.what])
        return None
