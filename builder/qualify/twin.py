"""Twins: the same versions, built with the same flags for the Python that can be emulated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from builder.bundle import Bundle
from builder.engine import Engine
from builder.environment import Check, Environment
from builder.events import Report
from builder.pipeline import make_bundle
from builder.profile import Profile
from builder.qualify.emulated import Emulated


def twin_of(profile: Profile, emulated: Emulated) -> Profile:
    """The profile with the emulated interpreter's Python and everything else its own; of two glibcs the older."""
    abi = f"cp{emulated.minor.replace('.', '')}"
    return replace(
        profile,
        name=f"{profile.name}-{abi}-twin",
        title=f"{abi} twin of {profile.name} on {emulated.origin}",
        python=emulated.minor,
        full_version=emulated.version,
        glibc=min(profile.glibc, emulated.glibc) if profile.glibc else emulated.glibc,
        twin_of=profile.name,
    )


def make_twin(
    bundle: Bundle, profile: Profile, environment: Environment | None, engine: Engine, report: Report
) -> Bundle:
    """The bundle for a twin's profile: of the environment where that is known, else of the bundle's own versions.

    Raises a Failure that names what cannot be had.
    """
    return make_bundle(environment or environment_of(bundle), profile, engine, report)


def environment_of(bundle: Bundle) -> Environment:
    """An environment with exactly the versions of a bundle, and its checks; wheels of the user's own by their files."""
    manifest = bundle.manifest
    paths = {blob.sha256: blob.path for blob in bundle.blobs}
    own = [row for row in manifest["wheels"] if row["how"] == "local"]
    return Environment(
        name=f"{bundle.environment}-twin",
        requirements=tuple(f"{row['name']}=={row['version']}" for row in manifest["wheels"] if row not in own),
        local=tuple(paths[row["sha256"]] for row in own),
        as_of=manifest["as_of"],
        quick=tuple(_check(row) for row in manifest["checks"]["quick"]),
        deep=tuple(_check(row) for row in manifest["checks"]["deep"]),
        live=tuple(_check(row) for row in manifest["checks"].get("live", ())),
        variables=manifest["variables"],
        system_packages=manifest["system_packages"],
    )


def _check(row: dict[str, Any]) -> Check:
    """A check of a manifest as a value."""
    return Check(**{**row, "argv": tuple(row.get("argv", ()))})
