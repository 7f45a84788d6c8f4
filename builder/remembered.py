"""Bundles made before: found again by everything that went into them, with as few imports as can be."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import builder
from builder.bundle import Bundle
from builder.engine import Engine
from builder.environment import Environment
from builder.files import digest_of, sha256_file
from builder.local import LocalFile
from builder.lock import Lock
from builder.profile import Profile
from builder.store import Store

KIND = "bundle"


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
            "repair": engine.repair,
            "toolchain": [engine.toolchain, zig_version()],
            "code": code(),
        }
    )


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
