"""Which wheels may enter a branch: those whose tags fit its profile and that the audit accepts there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from packaging.utils import is_normalized_name

from builder.audited import audited
from builder.engine import Engine
from builder.errors import AuditFailure
from builder.files import sha256_bytes, sha256_file
from builder.index.change import Arrival
from builder.index.page import File
from builder.profile import Profile
from builder.store import FILENAME, Blob
from builder.wheel import WheelFile

PUBLIC = ("public", "repaired", "built")  # how the wheels of public projects come into the store
PRIVATE = ("local directory", "git commit")  # sources of a build (builder.source) that nobody else may know


class NotAdmitted(AuditFailure):
    """A wheel that a branch does not take."""

    code = "not-admitted"


def admit(path: Path, profile: Profile, engine: Engine, *, own: bool | None = None) -> Arrival:
    """A wheel as it may enter the profile's branches; `own` is what the store knows of it where nothing is said.

    Raises NotAdmitted with every reason, AuditFailure for what is no wheel.
    """
    wheel = WheelFile.open(path)
    if not (FILENAME.fullmatch(path.name) and is_normalized_name(wheel.name)):
        raise NotAdmitted(
            "its name can stand in no address of an index",
            subject=path.name,
            why="It has ASCII letters, digits and . _ - + ! only, and the project's begins and ends with a letter or "
            "digit (PEP 508).",
        )
    if not wheel.tags.intersection(profile.tags):
        tags = ", ".join(sorted(map(str, wheel.tags)))
        raise NotAdmitted(f"does not fit {profile.name}", subject=path.name, why=f"It is for {tags}.")
    sha256 = sha256_file(path)
    blob = Blob(filename=path.name, sha256=sha256, size=path.stat().st_size, path=path)
    audit = audited(blob, profile, engine)
    if not audit.ok:
        raise NotAdmitted(
            f"the audit for {profile.name} refuses it",
            subject=path.name,
            details=tuple(f"{found.message} ({found.id})" for found in audit.errors),
            next="What the findings mean: docs/findings.md",
        )
    metadata = wheel.read(f"{wheel.dist_info}/METADATA")
    file = File(
        filename=path.name,
        sha256=sha256,
        size=blob.size,
        metadata=sha256_bytes(metadata),
        uploaded=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        requires_python=wheel.header("Requires-Python"),
        own=is_own(sha256, engine) if own is None else own,
    )
    return Arrival(path=path, name=wheel.name, file=file, metadata=metadata)


def is_own(sha256: str, engine: Engine) -> bool:
    """Whether a wheel is the lab's own project's, as far as the store knows: it is unless it came as a public one."""
    record = engine.store.record(sha256)
    if record is None or record["how"] not in PUBLIC:
        return True
    return record["facts"].get("source", {}).get("kind") in PRIVATE
