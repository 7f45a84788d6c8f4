"""What would be done for each package of an order, and what cannot be had: found out without building anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from builder.acquire import Acquired, gather
from builder.acquire.job import Job
from builder.acquire.source import choose
from builder.build.durations import measured_seconds
from builder.counted import counted
from builder.engine import Engine
from builder.errors import BuildFailure, Failure, HashFailure, NetworkFailure, OfflineFailure
from builder.events import Event, Report, silent
from builder.profile import Profile
from builder.selection import FITS, Candidate, Wanted
from builder.wheels.nearest import nearest
from builder.wheels.orders import Order, Resolved, resolve

PURE, INDEX, REPAIR, BUILT = "pure", "index wheel", "repairable", "built"
BUILD, NONE = "to build", "not to be had"
STATES = (PURE, INDEX, REPAIR, BUILT, BUILD, NONE)
PUBLIC, YOURS = "the public index", "your index"
OF_HOW = {"repaired": REPAIR, "built": BUILT, "local": BUILT}  # else it is an index's


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """One package for one profile: its `state` (one of STATES), why, and what to take `instead` where it has none.

    `recipe` is the directory of its recipe, "default" where it is built as its source says; `seconds` what its build
    took when it was measured; `have` says that its wheel is in the store, `whose` which index has it.
    """

    name: str
    version: str
    profile: str
    state: str
    reason: str
    chain: tuple[str, ...]
    requested: bool
    wheel: str | None = None
    recipe: str | None = None
    seconds: float | None = None
    instead: str = ""
    have: bool = False
    whose: str = PUBLIC

    @property
    def missing(self) -> bool:
        """Whether no index has a wheel that could be taken as it is."""
        return self.state not in (PURE, INDEX)

    @property
    def plan(self) -> str:
        """What would be done, as one sentence."""
        if self.state == PURE:
            tag = (self.wheel or "").removesuffix(".whl").split("-", 2)[-1]
            return f"pure Python: take {tag} from {self.whose}, no build needed"
        if self.state == INDEX:
            return f"take {self.wheel} from {self.whose}"
        if self.state == REPAIR:
            return f"repair {self.wheel}: {self.reason}"
        if self.state == NONE:
            return f"{self.reason.rstrip('.')}; instead: {self.instead}" if self.instead else self.reason
        if self.state == BUILT:
            return f"take {self.wheel} from the store, where it is since it was built"
        how = "build as its source says" if self.recipe == "default" else f"build by the recipe {self.recipe}"
        return f"{how}{f', about {self.seconds:.0f} s' if self.seconds else ''}: {self.reason}"

    def as_dict(self) -> dict[str, Any]:
        """All of it."""
        return {**vars(self), "chain": list(self.chain), "missing": self.missing, "plan": self.plan}


def look(order: Order, profiles: Sequence[Profile], engine: Engine, report: Report = silent) -> tuple[Outlook, ...]:
    """An outlook for every package of the order and every profile, sorted by name.

    Wheels with machine code are downloaded and audited, for their tags may say too much. Raises NetworkFailure.
    """
    resolution = resolve(order, engine, report)
    found = [_unresolved(failure, profile) for failure in resolution.failures for profile in profiles]
    for profile in profiles:
        for part in resolution.parts:
            try:
                wanted = part.wanted(profile)
            except BuildFailure as failure:
                failure.subject = ", ".join(part.order.environment.wanted)
                found.append(_unresolved(failure, profile))
                continue
            found += _of_part(part, wanted, profile, engine, report)
    return tuple({(one.profile, one.name, one.version): one for one in found}.values())


def _of_part(
    part: Resolved, wanted: Iterable[Wanted], profile: Profile, engine: Engine, report: Report
) -> list[Outlook]:
    """The pure ones by their tag alone, the others as far as they come without a build."""
    pure = {one.name: one.candidates[0] for one in wanted if one.candidates and _is_pure(one.candidates[0])}
    rest = [one for one in wanted if one.name not in pure]
    message = f"{counted(len(rest), 'package')} with machine code"
    report(Event(subject=profile.name, stage="look", message=message, level="info"))
    as_of, indexes = part.as_of, part.order.indexes
    got = gather(rest, profile, engine, indexes=indexes, as_of=as_of, build=False, report=report)
    found = []
    for one in wanted:
        if one.name in pure:
            first = pure[one.name]
            whose = YOURS if first.origin == "index" else PUBLIC
            found.append(_outlook(one, profile, PURE, "pure Python", wheel=first.filename, whose=whose))
        elif acquired := got.found.get(one.name):
            found.append(_had(acquired, got.jobs[one.name]))
        elif failure := got.failures.get(one.name):
            found.append(_failed(one, profile, failure))
        else:
            try:
                found.append(_not_had(got.jobs[one.name], engine, as_of))
            except HashFailure as failure:
                found.append(_failed(one, profile, failure))
    return found


def _is_pure(candidate: Candidate) -> bool:
    return candidate.fit == FITS and candidate.filename.endswith("-any.whl")


def _had(acquired: Acquired, job: Job) -> Outlook:
    state = OF_HOW.get(acquired.how, INDEX)
    if acquired.blob.filename.endswith("-any.whl"):
        state = PURE
    newer = "an index's wheel asks for a newer glibc; repaired and audited"
    reason = {BUILT: "built before, and audited", REPAIR: newer}
    told = reason.get(state, "audited")
    way = _way(job) if state == BUILT else {"whose": YOURS if acquired.how == "index" else PUBLIC}
    return _outlook(acquired.wanted, job.profile, state, told, wheel=acquired.blob.filename, have=True, **way)


def _failed(one: Wanted, profile: Profile, failure: Failure) -> Outlook:
    """Offline a wheel that is not here is judged by its tag; another failure is the reason why it cannot be had."""
    if isinstance(failure, OfflineFailure):
        first = one.candidates[0]
        state = INDEX if first.fit == FITS else REPAIR
        return _outlook(one, profile, state, "judged by its tag: it is not in the store", wheel=first.filename)
    if isinstance(failure, NetworkFailure) and not isinstance(failure, HashFailure):
        raise failure
    return _outlook(one, profile, NONE, str(failure))


def _not_had(job: Job, engine: Engine, as_of: str | None) -> Outlook:
    one, profile, recipe = job.wanted, job.profile, job.recipe
    tried = "; ".join(f"{passed.what}: {passed.reason}" for passed in job.tried)
    if recipe and recipe.refusal:
        return _outlook(one, profile, NONE, recipe.refusal.reason, instead=recipe.refusal.instead)
    if choose(job) is None:
        tried = "; ".join(passed.reason for passed in job.tried if passed.reason != "the lock has none")
        reason = tried or "no wheel of this version fits, and there is no source"
        return _outlook(
            one, profile, NONE, reason, instead=nearest(one.name, one.version, profile, engine, as_of=as_of)
        )
    return _outlook(
        one,
        profile,
        BUILD,
        tried or ("your own project" if one.local else "no index has a wheel that fits"),
        **_way(job),
    )


def _way(job: Job) -> dict[str, Any]:
    """By what it is built, and how long that took when it was measured."""
    recipe = f"{job.recipe.name}/{job.recipe.directory.name}" if job.recipe else "default"
    return {"recipe": recipe, "seconds": measured_seconds(job.wanted.name, job.profile)}


def _outlook(one: Wanted, profile: Profile, state: str, reason: str, **more: Any) -> Outlook:
    return Outlook(
        name=one.name,
        version=one.version,
        profile=profile.name,
        state=state,
        reason=reason,
        chain=one.chain,
        requested=one.requested,
        **more,
    )


def _unresolved(failure: Failure, profile: Profile) -> Outlook:
    """What could not even be resolved, under the words that it was asked for with."""
    reason = "; ".join(filter(None, [failure.what, *failure.details[-3:]]))
    return Outlook(
        name=failure.subject, version="", profile=profile.name, state=NONE, reason=reason, chain=(), requested=True
    )
