"""The first text of a recipe, with what can be seen in the index's sdist written in."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from builder.build.sources import has_extension_sources, languages, read_backend
from builder.engine import Engine
from builder.environment import Environment, safe_name
from builder.errors import BuildFailure
from builder.lock import Locked, lock
from builder.source.unpack import unpack

TEXT = '''\
"""How {name} is built for robots. The keywords: docs/recipes.md."""

from builder import package_build

{seen}package_build.build_package(
{words}    reason="Say here what the default does not know.",
)
'''


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the sdist of a release says: its sha256, back end, build requirements and languages."""

    version: str
    sha256: str
    backend: str
    requires: tuple[str, ...]
    languages: tuple[str, ...]
    native: bool


def look(requirement: str, engine: Engine) -> Seen:
    """Looks into the sdist that the index has. Raises BuildFailure where there is none, NetworkFailure."""
    package = locked(requirement, engine)
    if package.sdist is None:
        raise BuildFailure(
            f"the index has no sdist of {package.name} {package.version}",
            next="Name another version, or write the recipe without looking: --offline",
        )
    with engine.store.scratch() as work:
        archive = work / package.sdist.filename
        engine.fetcher.download(package.sdist.url, archive, sha256=package.sdist.sha256)
        tree = unpack(archive, work / "tree")
        backend = read_backend(tree)
        return Seen(
            version=package.version,
            sha256=package.sdist.sha256,
            backend=backend.module,
            requires=backend.requires,
            languages=languages(tree),
            native=has_extension_sources(tree),
        )


def draft(name: str, version: str | None, seen: Seen | None) -> str:
    """The text of a build.py. With a version of its own it names that version's sdist."""
    words, notes = [], []
    if seen:
        what = ", ".join(seen.languages) if seen.native else "pure Python"
        notes = [f"# {name} {seen.version}: {what}; back end {seen.backend}, which asks for:"]
        notes += [f"#   {text}" for text in seen.requires] or ["#   nothing"]
        if version:
            words.append(f'source=package_build.index_sdist(sha256="{seen.sha256}")')
        words.append('native=["*.so"]' if seen.native else "native=[]")
    return TEXT.format(
        name=name,
        seen="".join(f"{note}\n" for note in notes),
        words="".join(f"    {word},\n" for word in words),
    )


def locked(requirement: str, engine: Engine) -> Locked:
    """The release that the index offers for a requirement. Raises BuildFailure where there is none."""
    name = canonicalize_name(Requirement(requirement).name)
    environment = Environment(name=safe_name(name), requirements=(requirement,), source="requirement")
    environment = engine.search.indexed(environment)
    with engine.store.scratch() as work:
        made = lock(environment, work, engine.uv(), uv_version=engine.uv_version(), fetcher=engine.fetcher)
        found = made.packages
    return next(package for package in found if package.name == name)
