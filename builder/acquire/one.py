"""One package: its candidates from everywhere, then the strategies in order."""

from __future__ import annotations

from builder.acquire.indexes import offers
from builder.acquire.job import Acquired, Job
from builder.acquire.strategies import built, fitting, repaired, run
from builder.engine import Engine
from builder.environment import Index
from builder.events import Report, silent
from builder.profile import Profile
from builder.selection import FITS, Wanted


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


def new_job(
    wanted: Wanted, profile: Profile, engine: Engine, *, indexes: tuple[Index, ...], as_of: str | None, report: Report
) -> Job:
    """The job of one package; asks the project's indexes what they have of it. Raises NetworkFailure."""
    job = Job(wanted=wanted, profile=profile, engine=engine, report=report, as_of=as_of, offers=wanted.candidates)
    named = [] if wanted.local else [offer for index in indexes for offer in offers(index, job)]
    known = {offer.sha256 for offer in named}
    merged = [*named, *(offer for offer in wanted.candidates if offer.sha256 not in known)]
    job.offers = tuple(sorted(merged, key=lambda offer: offer.fit != FITS))
    return job
