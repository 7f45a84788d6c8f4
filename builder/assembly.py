"""From acquired wheels to a bundle: the rows of its manifest, and checks where the environment gives none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from builder.acquire import Acquired
from builder.bundle import Bundle, assemble
from builder.engine import Engine
from builder.environment import Check, Environment, import_check
from builder.lock import Lock
from builder.profile import Profile
from builder.store import Store


def bundle_of(
    environment: Environment,
    profile: Profile,
    engine: Engine,
    acquired: Sequence[Acquired],
    locked: Lock,
    provided: Mapping[str, str] | None = None,
) -> Bundle:
    """The bundle of these wheels, sorted by name; `provided` are packages that are there and were left out."""
    store = engine.store
    ordered = sorted(acquired, key=lambda item: item.wanted.name)
    if environment.shared and environment.live is None:
        environment = replace(environment, live=tuple(map(_in_protocols, requested_modules(ordered, store))))
    return assemble(
        environment,
        profile,
        [_row(item, store) for item in ordered],
        [item.blob for item in ordered],
        quick=default_checks(ordered, engine) if environment.quick is None else environment.quick,
        as_of=locked.as_of,
        lock=locked.digest,
        provided=provided,
    )


def default_checks(acquired: Sequence[Acquired], engine: Engine) -> list[Check]:
    """An import of every top-level module of what was asked for, but of private ones; and the checks of recipes."""
    wanted = [item.wanted for item in acquired]
    recipes = [engine.tools.recipe(one.name, one.version, engine.search.packages) for one in wanted]
    named = [check for recipe in recipes if recipe for check in recipe.checks]
    return [*map(import_check, requested_modules(acquired, engine.store)), *named]


def _in_protocols(module: str) -> Check:
    """The check that protocols can import `module`, told from that in its own release."""
    return replace(import_check(module), name=f"import {module} in protocols")


def requested_modules(acquired: Sequence[Acquired], store: Store) -> list[str]:
    """The top-level modules of what was asked for, but private ones, sorted."""
    modules = {
        module
        for item in acquired
        if item.wanted.requested
        for module in (store.record(item.blob.sha256) or {}).get("top_level", ())
        if not module.startswith("_")
    }
    return sorted(modules)


def _row(item: Acquired, store: Store) -> dict[str, Any]:
    record = store.record(item.blob.sha256) or {}
    return {
        "name": item.wanted.name,
        "version": item.wanted.version,
        "filename": item.blob.filename,
        "sha256": item.blob.sha256,
        "size": item.blob.size,
        "unpacked": record.get("unpacked", 0),
        "files": record.get("files", 0),
        "how": item.how,
        "requested": item.wanted.requested,
    }
