"""The profile's wheels of projects whose C headers a build compiles against: those its recipe names, else numpy's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from builder.acquire.job import Job
from builder.build import Source
from builder.build.sources import has_extension_sources, read_backend
from builder.profile import Profile
from builder.source.unpack import BadSource, unpack
from builder.wheel import WheelFile


def headers_for(job: Job, source: Source) -> tuple[WheelFile, ...]:
    """Wheels for the job's profile, each acquired as any other. Raises BuildFailure where one cannot be had.

    A recipe's constraints say which versions. Without a recipe's word, who compiles and asks for numpy to build with
    is taken to use its headers: they differ between machines, and the host's would be taken without a word.
    """
    recipe = job.recipe
    if recipe and recipe.headers_of:
        limits = {canonicalize_name(one.name): str(one) for one in map(Requirement, recipe.constraints)}
        wanted = [limits.get(canonicalize_name(name), name) for name in recipe.headers_of]
    else:
        requires = _compiled_with(job, source)
        wanted = [requirement for requirement in [numpy_in(requires, job.profile)] if requirement]
    return tuple(WheelFile.open(job.other(name, job.build_as_of).path) for name in wanted)


def _compiled_with(job: Job, source: Source) -> tuple[str, ...]:
    """The build requirements of a source that compiles. Of a source that is in no order the build will tell."""
    with job.engine.store.scratch() as work, contextlib.suppress(BadSource):
        tree = unpack(source.path, work, subdirectory=source.subdirectory)
        return read_backend(tree).requires if has_extension_sources(tree) else ()
    return ()


def numpy_in(requires: Iterable[str], profile: Profile) -> str | None:
    """All that build requirements ask of numpy for a profile, as one requirement; None where they do not name it."""
    found = [one for one in map(Requirement, requires) if canonicalize_name(one.name) == "numpy"]
    holds = [one for one in found if one.marker is None or one.marker.evaluate({**profile.markers, "extra": ""})]
    return f"numpy{','.join(sorted(str(one.specifier) for one in holds if one.specifier))}" if holds else None
