"""What recipes say of the versions beside their project that its own papers do not: limits for a resolution."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from builder.engine import Engine
from builder.environment import Environment
from builder.errors import ConfigFailure
from builder.lock import Locked


def limited(environment: Environment, engine: Engine) -> Environment:
    """The environment with the limits of the recipes of all versions that its requirements pin, as constraints."""
    found = [text for name, version in _pinned(environment.requirements) for text in _limits(name, version, engine)]
    new = dict.fromkeys(text for text in found if text not in environment.constraints)
    return replace(environment, constraints=(*environment.constraints, *new))


def broken(packages: Iterable[Locked], engine: Engine) -> Iterator[tuple[str, str]]:
    """Each package of a lock whose recipe's limit another one does not keep, and what is wrong as a sentence.

    That is a version which nobody pinned: its recipe was not known before it was chosen.
    """
    listed = list(packages)
    for package in listed:
        for limit in map(Requirement, _limits(package.name, package.version, engine)):
            chosen = [other.version for other in listed if other.name == canonicalize_name(limit.name)]
            if wrong := [version for version in chosen if not limit.specifier.contains(version, prereleases=True)]:
                said = f"needs {limit} by its recipe, chosen was {', '.join(wrong)}: ask for {limit}, too"
                yield f"{package.name} {package.version}", said


def _pinned(requirements: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Names and versions of the requirements that leave no choice."""
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:  # the resolver will say so
            continue
        parts = list(requirement.specifier)
        if len(parts) == 1 and parts[0].operator == "==" and not parts[0].version.endswith("*"):
            yield canonicalize_name(requirement.name), parts[0].version


def _limits(name: str, version: str, engine: Engine) -> tuple[str, ...]:
    try:
        recipe = engine.tools.recipe(name, version, engine.search.packages)
    except ConfigFailure:  # told when its wheel is wanted; an index may have one
        return ()
    return recipe.requires if recipe else ()
