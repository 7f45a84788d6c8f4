"""Bundles made before: found again by everything that went into them, with as few imports as can be."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import builder
from builder.bundle import Bundle
from builder.engine import Engine
from builder.environment import Environment, Index
from builder.fetch import public
from builder.files import digest_of, sha256_file
from builder.local import LocalFile
from builder.lock import Lock, listing
from builder.profile import Profile
from builder.store import Store

KIND = "bundle"
RENEWED = "renewed"
OFFERED = "offered"


def key(environment: Environment, profile: Profile, engine: Engine, locked: Lock, files: Sequence[LocalFile]) -> str:
    """Digest of all inputs of a bundle: environment, local files, lock, profile, recipes, options, and our own code."""
    return digest_of(
        {
            "environment": environment.digest,
            "wanted": list(environment.wanted),
            "local": [[file.name, file.sha256] for file in files],
            "lock": [locked.digest, locked.key],
            "profile": [profile.as_dict(), profile.markers],
            "recipes": [contents(directory) for directory in engine.search.packages],
            "offers": [_offered(index.branch(profile.name), engine.store) for index in environment.indexes],
            "renewed": engine.store.answer(RENEWED, locked.key),
            "repair": engine.repair,
            "toolchain": [engine.toolchain, zig_version()],
            "code": code(),
        }
    )


def _offered(index: Index, store: Store) -> str | None:
    """What a directory holds, or held when it was there last; None for an index elsewhere."""
    where, found = digest_of(public(index.url)), listing(index)
    known = store.answer(OFFERED, where)
    if found and found != known:
        store.keep_answer(OFFERED, where, found)
    return found or known


def renew(locked: Lock, store: Store) -> None:
    """Lets the next bundle of a lock be made anew, with what the indexes have then.

    Without it whoever pushes again pushes what other robots have, whatever was uploaded in between.
    """
    store.keep_answer(RENEWED, locked.key, datetime.now(UTC).isoformat())


def bundle(key: str, store: Store) -> Bundle | None:
    """The bundle kept under a key, if every one of its wheels is still in the store."""
    manifest = store.answer(KIND, key)
    if manifest is None:
        return None
    blobs = [store.blob(row["sha256"]) for row in manifest["wheels"]]
    found = tuple(blob for blob in blobs if blob)
    return Bundle(manifest=manifest, blobs=found) if len(found) == len(blobs) else None


def keep(key: str, made: Bundle, store: Store) -> None:
    """Keeps a bundle's manifest; its wheels are in the store anyway."""
    store.keep_answer(KIND, key, dict(made.manifest))


def zig_version() -> str | None:
    """The version of the zig that builds would use, without starting it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("ziglang")
    except PackageNotFoundError:
        return None


def contents(directory: Path) -> list[list[str]]:
    """Names and sha256 of a directory's files, sorted."""
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path.parent.name != "__pycache__")
    return [[path.relative_to(directory).as_posix(), sha256_file(path)] for path in files]


@functools.cache
def code() -> str:
    """Digest of this package's files: another ot2deploy may choose, build, repair or judge differently."""
    return digest_of(contents(Path(builder.__file__).parent))
