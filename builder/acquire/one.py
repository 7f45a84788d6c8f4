"""One package: its candidates from everywhere, then the strategies in order."""

from __future__ import annotations

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from builder.acquire.indexes import offers
from builder.acquire.job import Acquired, Job
from builder.acquire.strategies import built, fitting, repaired, run
from builder.engine import Engine
from builder.environment import Environment, Index, safe_name
from builder.events import Report, silent
from builder.lock import lock
from builder.profile import Profile
from builder.selection import FITS, Wanted, select
from builder.store import Blob


def acquire(
    wanted: Wanted,
    profile: Profile,
    engine: Engine,
    *,
    indexes: tuple[Index, ...] = (),
    as_of: str | None = None,
    report: Report = silent,
) -> Acquired:
    """A wheel for one package. Raises BuildFailure that names the package, who wants it and all that was tried."""
    job = new_job(wanted, profile, engine, indexes=indexes, as_of=as_of, report=report)
    found = run(job, (fitting, repaired, built))
    if found is None:
        raise job.failure()
    return found


def acquire_project(
    requirement: str, profile: Profile, engine: Engine, *, as_of: str | None = None, report: Report = silent
) -> Acquired:
    """A wheel for a profile of the project that `requirement` names, not of what it needs in turn.

    Nothing uploaded after `as_of` (YYYY-MM-DD) is considered. Raises BuildFailure when the requirement cannot be
    resolved, or when there is no way to a wheel.
    """
    name = canonicalize_name(Requirement(requirement).name)
    environment = Environment(
        name=safe_name(name), requirements=(requirement,), as_of=as_of, python=profile.python, source="requirement"
    )
    environment = engine.search.indexed(environment)
    with engine.store.scratch() as work:
        locked = lock(environment, work, engine.uv(), uv_version=engine.uv_version(), fetcher=engine.fetcher)
        (wanted,) = (package for package in select(locked, profile) if package.name == name)
    return acquire(wanted, profile, engine, indexes=environment.indexes, as_of=locked.as_of, report=report)


def new_job(
    wanted: Wanted, profile: Profile, engine: Engine, *, indexes: tuple[Index, ...], as_of: str | None, report: Report
) -> Job:
    """The job of one package; asks the project's indexes what they have of it. Raises NetworkFailure."""

    def other(requirement: str, other_as_of: str | None) -> Blob:
        return acquire_project(requirement, profile, engine, as_of=other_as_of, report=report).blob

    offered = wanted.candidates
    job = Job(wanted=wanted, profile=profile, engine=engine, report=report, as_of=as_of, offers=offered, other=other)
    named = [] if wanted.local else [offer for index in indexes for offer in offers(index, job)]
    known = {offer.sha256 for offer in named}
    merged = [*named, *(offer for offer in wanted.candidates if offer.sha256 not in known)]
    job.offers = tuple(sorted(merged, key=lambda offer: offer.fit != FITS))
    return job
