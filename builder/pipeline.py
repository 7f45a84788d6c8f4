"""From an environment and a profile to a verified bundle: the story of the builder on one screen."""

from __future__ import annotations

from builder import local, remembered
from builder.bundle import Bundle
from builder.counted import counted
from builder.engine import Engine, open_engine
from builder.environment import Environment
from builder.errors import BuildFailure
from builder.events import Event, Report, silent
from builder.files import disk_failures
from builder.limits import broken, limited
from builder.local import LocalFile
from builder.lock import Lock, current, lock
from builder.profile import Profile

__all__ = ["Engine", "make_bundle", "make_lock", "open_engine", "renew_lock"]


def make_bundle(environment: Environment, profile: Profile, engine: Engine, report: Report = silent) -> Bundle:
    """environment x profile -> lock -> select -> acquire -> audit -> bundle.

    The same question asked again is answered from the store in well under a second: uv is not started and the lock
    not parsed. Raises a Failure that names everything that could not be had.
    """
    with disk_failures(engine.store.root):
        return _make_bundle(environment, profile, engine, report)


def _make_bundle(environment: Environment, profile: Profile, engine: Engine, report: Report) -> Bundle:
    files = local.prepare(environment, engine.store, engine.uv, report)
    locked = _locked(environment, engine, files, report)
    key = remembered.key(environment, profile, engine, locked, files)
    if known := remembered.bundle(key, engine.store):
        return known
    from builder.acquire import acquire_all
    from builder.assembly import bundle_of
    from builder.provided import left_out
    from builder.selection import select

    wanted, there = left_out(select(locked, profile, local=[file.sha256 for file in files]), environment.provided)
    report(Event(subject=profile.name, stage="select", message=counted(len(wanted), "package"), level="info"))
    acquired = acquire_all(
        wanted,
        profile,
        engine,
        environment=environment.name,
        indexes=environment.indexes,
        as_of=locked.as_of,
        report=report,
    )
    bundle = bundle_of(environment, profile, engine, acquired, locked, there)
    remembered.keep(key, bundle, engine.store)
    return bundle


def make_lock(environment: Environment, engine: Engine, report: Report = silent) -> Lock:
    """The environment's lock alone: the one that is there while its inputs are the same, else a new one."""
    with disk_failures(engine.locks):
        return _locked(environment, engine, local.prepare(environment, engine.store, engine.uv, report), report)


def renew_lock(environment: Environment, engine: Engine, report: Report = silent) -> Lock:
    """`make_lock` for who asks for a lock in so many words: the indexes' newest wheels of its versions count again."""
    made = make_lock(environment, engine, report)
    if environment.indexes and not engine.offline:
        remembered.renew(made, engine.store)
    return made


def _locked(environment: Environment, engine: Engine, files: tuple[LocalFile, ...], report: Report) -> Lock:
    # Offline there is no use in asking for a lock by the very uv that is installed now.
    accepted = None if engine.offline else engine.uv_version()
    asked, environment = environment, limited(environment, engine)
    with engine.store.lock(f"lock-{environment.lock_name}"):
        upgrade = engine.upgrade and environment.lock_name not in engine.upgraded
        if not upgrade and (known := current(environment, engine.locks, files, accepted)):
            return known
        report(Event(subject=environment.name, stage="lock", message="resolving with uv"))
        version = engine.uv_version()
        try:
            made = lock(
                environment, engine.locks, engine.uv(), uv_version=version, local=files, upgrade=upgrade,
                fetcher=engine.fetcher,
            )  # fmt: skip
        except BuildFailure as failure:
            if added := environment.constraints[len(asked.constraints) :]:
                failure.why = (
                    f"{failure.why} By their recipes, versions that are pinned need {', '.join(added)}.".strip()
                )
            raise
        _tell_broken(made, engine, report)
        engine.upgraded.add(environment.lock_name)
        if upgrade and environment.indexes:
            remembered.renew(made, engine.store)
    report(Event(subject=environment.name, stage="lock", message=f"locked as of {made.as_of}", level="done"))
    return made


def _tell_broken(made: Lock, engine: Engine, report: Report) -> None:
    """Warns of recipes' limits that a new lock does not keep."""
    try:
        packages = made.packages
    except BuildFailure:  # it cannot be used; who reads it for a profile says so
        return
    for subject, said in broken(packages, engine):
        report(Event(subject=subject, stage="lock", message=said, level="warning"))
