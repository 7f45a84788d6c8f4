"""What a build compiles against, by its source: C headers in wheels of other projects, and whether it is in Rust."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from builder.acquire.job import Job
from builder.build import Source
from builder.build.sources import has_extension_sources, read_backend, uses_rust
from builder.profile import Profile
from builder.source.unpack import BadSource, unpack
from builder.wheel import WheelFile


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a source that compiles asks for to be built: its requirements, and `rust` when it calls cargo."""

    requires: tuple[str, ...] = ()
    rust: bool = False


def asked_by(job: Job, source: Source) -> Asked:
    """What the source says of its own build. Of one that compiles nothing or is in no order, nothing."""
    with job.engine.store.scratch() as work, contextlib.suppress(BadSource):
        tree = unpack(source.path, work, subdirectory=source.subdirectory)
        if has_extension_sources(tree):
            backend = read_backend(tree)
            return Asked(requires=backend.requires, rust=uses_rust(tree, backend))
    return Asked()


def headers_for(job: Job, requires: Iterable[str]) -> tuple[WheelFile, ...]:
    """The profile's wheels of projects whose C headers a build compiles against: those its recipe names, else numpy's
    where its source `requires` it.

    They are acquired as any other. Raises BuildFailure where one cannot be had.

    A recipe's constraints say which versions. Without a recipe's word, who compiles and asks for numpy to build with
    is taken to use its headers: they differ between machines, and the host's would be taken without a word.
    """
    recipe = job.recipe
    if recipe and recipe.headers_of:
        limits = _requirements(recipe.constraints, job.profile)
        named = _requirements(recipe.headers_of, job.profile)
        wanted = [_joined([one, *_of(limits, one.name)]) for one in named]
    else:
        wanted = [requirement for requirement in [numpy_in(requires, job.profile)] if requirement]
    return tuple(WheelFile.open(job.other(name, job.build_as_of).path) for name in wanted)


def numpy_in(requires: Iterable[str], profile: Profile) -> str | None:
    """All that build requirements ask of numpy for a profile, as one requirement; None where they do not name it."""
    found = _of(_requirements(requires, profile), "numpy")
    return _joined(found) if found else None


def _requirements(texts: Iterable[str], profile: Profile) -> list[Requirement]:
    """Those that hold for the profile and are in order: old sources ask for setuptools>=40.*, as uv knows to read."""
    found = []
    for text in texts:
        with contextlib.suppress(InvalidRequirement):
            found.append(Requirement(text))
    return [one for one in found if one.marker is None or one.marker.evaluate({**profile.markers, "extra": ""})]


def _of(requirements: Iterable[Requirement], name: str) -> list[Requirement]:
    return [one for one in requirements if canonicalize_name(one.name) == canonicalize_name(name)]


def _joined(requirements: Sequence[Requirement]) -> str:
    """All that is asked of one project, as one requirement."""
    limits = sorted({str(one.specifier) for one in requirements if one.specifier})
    return f"{canonicalize_name(requirements[0].name)}{','.join(limits)}"
