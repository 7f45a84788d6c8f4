"""One project by requirement, without an environment: what a build or a report needs of its own, resolved as ever."""

from __future__ import annotations

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from builder.acquire.job import Acquired
from builder.acquire.one import acquire
from builder.engine import Engine
from builder.environment import Environment, safe_name
from builder.events import Report, silent
from builder.lock import lock
from builder.profile import Profile
from builder.selection import select


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
    with engine.store.scratch() as work:
        locked = lock(environment, work, engine.uv(), uv_version=engine.uv_version())
        (wanted,) = (package for package in select(locked, profile) if package.name == name)
    return acquire(wanted, profile, engine, as_of=locked.as_of, report=report)
