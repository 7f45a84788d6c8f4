"""The nearest version of a project that a robot can have, where the wanted one cannot be had: asked of the indexes."""

from __future__ import annotations

import os
from contextlib import suppress

from packaging.version import InvalidVersion, Version

from builder.acquire.indexes import listing
from builder.engine import Engine
from builder.environment import Index
from builder.errors import Failure
from builder.lock import LockedFile
from builder.profile import Profile
from builder.selection import FITS, candidates
from builder.uv import default_index


def nearest(name: str, version: str, profile: Profile, engine: Engine, *, as_of: str | None = None) -> str:
    """What to take instead of a version: the newest older one with a wheel for the profile, else with a source.

    One request to each of the project's indexes, and to the first that uv asks; a sentence, or "" where that one cannot
    be asked.
    """
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    index = Index(name="the index", url=default_index(os.environ) or PYPI_SIMPLE_ENDPOINT)
    try:
        packages = listing(index, name, engine.fetcher)
    except Failure:  # this is advice; what was asked for is answered without it
        return ""
    for own in (*engine.search.first, *engine.search.indexes):
        with suppress(Failure):
            packages += listing(own.branch(profile.name), name, engine.fetcher)
    wheels: dict[Version, list[LockedFile]] = {}
    sources: set[Version] = set()
    for package in packages:
        number = _version(package.version)
        if number is None or number >= Version(version) or number.is_prerelease:
            continue
        if as_of and package.upload_time and package.upload_time.date().isoformat() > as_of:
            continue
        if package.package_type == "sdist":
            sources.add(number)
        elif package.package_type == "wheel":
            wheels.setdefault(number, []).append(LockedFile(filename=package.filename, url=package.url, sha256=""))
    ready = {number for number, files in wheels.items() if any(one.fit == FITS for one in candidates(files, profile))}
    if ready:
        return f"{name}=={max(ready)}, the newest before it that has a wheel for {profile.name}"
    if sources:
        return f"{name}=={max(sources)}, the newest before it whose source the index has"
    return f"nothing of {name}: no version before it has a wheel for {profile.name}, or a source"


def _version(text: str | None) -> Version | None:
    try:
        return Version(text) if text else None
    except InvalidVersion:
        return None
