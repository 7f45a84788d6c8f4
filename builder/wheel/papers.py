"""All that is known of one wheel: what its file says and proves, how it came into the store, what went into it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from builder.audit import Audit, audit
from builder.audit.elf import MAGIC, Binary, NotElf, read_binary
from builder.audit.runtimes import max_glibc
from builder.counted import counted
from builder.errors import UsageFailure
from builder.files import sha256_file
from builder.profile import Profile
from builder.store import Store
from builder.wheel.file import WheelFile
from builder.wheel.sbom import components

SHA256 = re.compile(r"[0-9a-f]{8,64}")  # the beginning of one will do

# Values of Tag_CPU_arch and Tag_FP_arch ("Addenda to the ABI for the Arm Architecture").
ARCH = {6: "ARMv6", 9: "ARMv6K", 10: "ARMv7", 14: "ARMv8-A", 22: "ARMv9-A"}
FP = {2: "VFPv2", 3: "VFPv3", 4: "VFPv3-D16", 5: "VFPv4", 6: "VFPv4-D16", 7: "FP-ARMv8", 8: "FP-ARMv8-D16"}


@dataclass(frozen=True, kw_only=True)
class Papers:
    """One wheel. `record` is the store's (see `Store.record`), None for a file that never was in it."""

    wheel: WheelFile
    sha256: str
    size: int
    binaries: tuple[Binary, ...]
    record: Mapping[str, Any] | None = None
    audit: Audit | None = None

    @cached_property
    def components(self) -> tuple[dict[str, Any], ...]:
        """What its bills of materials list."""
        return components(self.wheel)

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON values; `how` and `provenance` are null where the store does not know the file."""
        wheel, record = self.wheel, self.record or {}
        return {
            "filename": wheel.filename,
            "path": str(wheel.path),
            "sha256": self.sha256,
            "size": self.size,
            "unpacked": wheel.unpacked_size,
            "name": wheel.name,
            "version": wheel.version,
            "tags": sorted(map(str, wheel.tags)),
            "requires_python": wheel.requires_python,
            "requires": list(map(str, wheel.requires_dist)),
            "binaries": [_told(binary) for binary in self.binaries],
            "how": record.get("how"),
            "at": record.get("at"),
            "provenance": record.get("facts"),
            "components": list(self.components),
            "audit": self.audit.as_dict() if self.audit else None,
        }


def read_papers(path: Path, store: Store, profile: Profile | None = None) -> Papers:
    """Reads a wheel, with its audit where a profile is given. Raises AuditFailure where the file is no wheel."""
    wheel, sha256 = WheelFile.open(path), sha256_file(path)
    return Papers(
        wheel=wheel,
        sha256=sha256,
        size=path.stat().st_size,
        binaries=tuple(_binaries(wheel)),
        record=store.record(sha256),
        audit=audit(path, profile) if profile else None,
    )


def find_wheel(text: str, store: Store, profile: Profile | None = None) -> Path:
    """The wheel that a path, the (beginning of a) sha256, or a requirement such as `numpy==1.26.4` means.

    Of wheels of one name those whose tags fit the profile count. Raises UsageFailure where the store has none, or
    several, which it lists.
    """
    if text.endswith(".whl") or "/" in text:
        if Path(text).is_file():
            return Path(text)
        raise UsageFailure(f"there is no file {text}")
    kept = {sha256: record for sha256 in store.hashes() if (record := store.record(sha256)) and "name" in record}
    found = [sha256 for sha256 in kept if SHA256.fullmatch(text) and sha256.startswith(text)]
    found = found or [sha256 for sha256, record in kept.items() if _meant(text, record, profile)]
    if len(found) == 1 and (blob := store.blob(found[0])):
        return blob.path
    if not found:
        count = counted(len(kept), "wheel")
        raise UsageFailure(
            f"no wheel in the store is {text}",
            why=f"It is no path, no beginning of a sha256 and no name of the {count} in {store.root}.",
            next=f"Build it: ot2deploy wheel build {text} --profile ot2-py310",
        )
    raise UsageFailure(
        f"{len(found)} wheels in the store are {text}",
        next="Name one by the beginning of its sha256, or the one profile that it fits: --profile NAME",
        details=tuple(sorted(f"{sha256[:12]}  {kept[sha256]['filename']}" for sha256 in found)),
    )


def describe_cpu(binary: Binary) -> str:
    """The CPU that a file's ARM build attributes ask for, such as "ARMv7 VFPv4 NEON"; "" where it has none."""
    arm = binary.arm
    if arm is None:
        return ""
    told = (ARCH.get(arm.cpu or 0, ""), FP.get(arm.fp or 0, ""), "NEON" if arm.simd else "")
    return " ".join(filter(None, told))


def _meant(text: str, record: Mapping[str, Any], profile: Profile | None) -> bool:
    try:
        wanted = Requirement(text)
    except InvalidRequirement:
        return False
    if canonicalize_name(wanted.name) != canonicalize_name(record["name"]):
        return False
    fits = profile is None or parse_wheel_filename(record["filename"])[3].intersection(profile.tags)
    return bool(fits) and wanted.specifier.contains(record["version"], prereleases=True)


def _binaries(wheel: WheelFile) -> Iterator[Binary]:
    for member, data in wheel.contents():
        if data and data.startswith(MAGIC):
            try:
                binary = read_binary(member.name, data)
            except NotElf:  # the audit says it
                continue
            if binary:
                yield binary


def _told(binary: Binary) -> dict[str, Any]:
    glibc = max_glibc([binary])
    return {
        "file": binary.file,
        "machine": binary.machine,
        "cpu": describe_cpu(binary),
        "glibc": "%d.%d" % glibc if glibc else None,
        "needed": list(binary.needed),
    }
