"""What a push's record keeps to go on from: how it was called, and its bundles."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from builder import places
from builder.bundle import Bundle
from builder.bundle.manifest import BundleFailure, validated
from builder.errors import BuildFailure
from builder.profile import Profile
from builder.store import Store
from ot2deploy.agent.manifest import SHARED
from ot2deploy.bundles import Bundles, Once, is_bundle_file
from ot2deploy.rollout.request import PushRequest
from ot2deploy.runs import Run
from ot2deploy.runs.record import kept_of

# Of a request, what is not an option: it is said otherwise, or again.
NO_OPTIONS = ("fleet", "target", "dry_run", "resumes")


def asked(request: PushRequest, environment: str, origin: str) -> dict[str, Any]:
    """How a push was called, for the first line of its record: target, robots, inventory and all options."""
    where, target = request.fleet, request.target
    options = {field.name: getattr(request, field.name) for field in dataclasses.fields(request)}
    return {
        "target": str(Path(target).absolute()) if is_bundle_file(target) else target,
        "environment": environment,
        "origin": request.resumes.asked.get("origin") if request.resumes else origin,
        "robots": [robot.name for robot in where.robots],
        "robots_file": str((where.robots_file or where.project.inventory).absolute()),
        "limit": where.limit,
        "resumes": request.resumes.run if request.resumes else None,
        "options": {
            name: dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value  # type: ignore[arg-type]
            for name, value in options.items()
            if name not in NO_OPTIONS
        },
    }


def to_keep(bundle: Bundle) -> dict[str, Any]:
    """What is kept of a bundle: all but its wheels, which are in the store."""
    return {"schema": 1, "manifest": dict(bundle.manifest), "signatures": list(bundle.signatures)}


def kept_values(run: Run) -> dict[str, dict[str, Any]]:
    """What a run's record keeps of its bundles, by digest. Raises BundleFailure."""
    values = [_read(path) for path in kept_of(run.path)]
    return {str(value["manifest"]["digest"]): value for value in values}


def kept_bundles(run: Run, otherwise: Callable[[], Bundles]) -> Bundles:
    """The bundles of a run, wheels from the store: no index, lock or build is needed.

    For a profile that the run never met it is `otherwise`; so it is for what is shared, which is made around what each
    robot has now. Raises BundleFailure for a damaged record.
    """
    found = list(kept_values(run).values())
    if not found or found[0]["manifest"]["environment"] == SHARED:
        return otherwise()
    by_abi = {value["manifest"]["abi"]: value for value in found}
    store = Store(places.cache_root() / "store")

    def pick(profile: Profile) -> Bundle:
        value = by_abi.get(profile.key)
        return _from_store(value, store, run) if value else otherwise().for_profile(profile)

    origin = f"{run.asked.get('origin') or run.target}, as in run {run.run}"
    return Once(found[0]["manifest"]["environment"], origin, pick)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
        manifest, signatures = validated(value["manifest"], str(path)), [str(one) for one in value["signatures"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BundleFailure(
            f"{path} cannot be read: {error}", next="Push the same again; that needs no record of the run."
        ) from error
    return {"schema": 1, "manifest": manifest, "signatures": signatures}


def _from_store(value: dict[str, Any], store: Store, run: Run) -> Bundle:
    manifest = value["manifest"]
    found = [(row["filename"], store.blob(row["sha256"])) for row in manifest["wheels"]]
    gone = [name for name, blob in found if blob is None]
    if gone:
        raise BuildFailure(
            f"{len(gone)} of {len(found)} files of release {manifest['digest'][:12]} are not in the store any more",
            why="They were removed after the run.",
            next=f"Push the target again, which gets them again: ot2deploy push {run.target}",
            details=tuple(gone[:10]),
        )
    blobs = tuple(blob for _, blob in found if blob)
    return Bundle(manifest=manifest, blobs=blobs, signatures=tuple(value["signatures"]))
