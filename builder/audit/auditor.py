"""The audit of one wheel: one pass over its files, then every judgement. Ask the binary, not the tag."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from builder.audit import elf
from builder.audit.contents import (
    Body,
    algorithms,
    hash_bytes,
    judge_extensions,
    judge_metadata,
    judge_native,
    judge_record,
)
from builder.audit.findings import Finding, finding
from builder.audit.policy import judge
from builder.audit.result import Audit
from builder.audit.runtimes import max_glibc
from builder.files import sha256_file
from builder.profile import Profile
from builder.wheel import NotAWheel, UnsafeWheel, WheelFile

# Mach-O for one or several architectures. Java classes begin like the last one, with a larger number after it.
MACH_O = (b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe")
MACH_O_FAT = b"\xca\xfe\xba\xbe"
LOADED = (".so", ".pyd", ".dylib")
MODULE, INIT = ".so", b"PyInit_"  # an extension module exports this function (PEP 489); .pyd is for Windows only


@dataclass(kw_only=True)
class _Seen:
    """What the pass over the files gathers."""

    sizes: dict[str, int] = field(default_factory=dict)
    hashes: dict[tuple[str, str], bytes] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)
    native: list[str] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
    binaries: list[elf.Binary] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def audit(path: Path, profile: Profile, *, sha256: str | None = None, expect_native: bool = False) -> Audit:
    """Reads a wheel whole and judges it for a profile; a file that is no wheel gives a finding, not an exception.

    `sha256` is the hash that the file must have. `expect_native` says that compiled code must be inside, as a wheel
    that was built from a source with extension modules must have.
    """
    if sha256 is not None and path.is_file() and (found := sha256_file(path)) != sha256:
        return _refused(path, profile, finding("file-sha256", f"has sha256 {found}, expected {sha256}"))
    try:
        wheel = WheelFile.open(path)
        seen = _read(wheel, profile)
    except UnsafeWheel as error:
        unsafe = (finding("member-unsafe", why, file=name) for name, why in error.members)
        return _refused(path, profile, *unsafe)
    except NotAWheel as error:
        return _refused(path, profile, finding("not-a-wheel", " ".join(filter(None, (f"{error.what}.", error.why)))))
    body = Body(sizes=seen.sizes, hashes=seen.hashes, damaged=seen.damaged, native=seen.native, modules=seen.modules)
    return Audit(
        filename=wheel.filename,
        profile=profile.name,
        findings=(
            *judge_metadata(wheel, profile),
            *judge_record(wheel, body),
            *judge_native(wheel, body, expect_native),
            *seen.findings,
            *_judge_binaries(wheel, seen, profile),
        ),
        binaries=tuple(seen.binaries),
        max_glibc=max_glibc(seen.binaries),
    )


def _refused(path: Path, profile: Profile, *findings: Finding) -> Audit:
    return Audit(filename=path.name, profile=profile.name, findings=findings, binaries=(), max_glibc=None)


def _read(wheel: WheelFile, profile: Profile) -> _Seen:
    seen, hashed = _Seen(), algorithms(wheel)
    for member, data in wheel.contents():
        if data is None:
            seen.damaged.append(member.name)
            continue
        seen.sizes[member.name] = len(data)
        if algorithm := hashed.get(member.name):
            seen.hashes[member.name, algorithm] = hash_bytes(algorithm, data)
        kind = binary_format(data)
        if kind and member.name.endswith(MODULE) and INIT in data:
            seen.modules.append(member.name)
        loaded = member.name in seen.modules if wheel.is_pure else member.name.endswith(LOADED)
        if kind == "ELF":
            _read_elf(member.name, data, profile, seen, loaded=loaded, pure=wheel.is_pure)
        elif kind and profile.elf_machine:
            known = "binary-foreign" if loaded else "binary-unused"
            seen.findings.append(finding(known, f"is {kind}, not ELF", file=member.name))
        elif kind:
            seen.native.append(member.name)
    return seen


def _read_elf(name: str, data: bytes, profile: Profile, seen: _Seen, *, loaded: bool, pure: bool) -> None:
    """Gathers an ELF file; what a pure wheel brings for other machines, and nothing there loads, is not judged."""
    if profile.elf_machine is None:
        if loaded:
            seen.findings.append(finding("binary-foreign", "is ELF", file=name))
        return
    try:
        binary = elf.read_binary(name, data)
    except elf.NotElf as error:
        seen.findings.append(finding("elf-malformed", f"cannot be read: {error}", file=name))
        return
    if binary is not None:
        seen.native.append(name)
        if loaded or not pure or binary.machine == profile.elf_machine:
            seen.binaries.append(binary)


def _judge_binaries(wheel: WheelFile, seen: _Seen, profile: Profile) -> Iterator[Finding]:
    if profile.elf_machine is None:
        if seen.native:
            yield finding("binaries-unread", f"{len(seen.native)} compiled files are not read for {profile.name}")
        return
    inside = {name for binary in seen.binaries for name in (binary.file.rpartition("/")[2], binary.soname) if name}
    asked = any(binary.undefined for binary in seen.binaries)
    read = (wheel.read(binary.file) for binary in seen.binaries if asked and len(seen.binaries) > 1)
    provided = frozenset().union(*map(elf.defined_in, read))
    for binary in seen.binaries:
        yield from judge(binary, profile, inside, provided)
    yield from judge_extensions(wheel, profile)


def binary_format(data: bytes) -> str | None:
    """ELF, Mach-O or PE by the first bytes, or None for anything else."""
    start = data[:4]
    if start == elf.MAGIC:
        return "ELF"
    if start in MACH_O or (start == MACH_O_FAT and len(data) >= 8 and struct.unpack(">I", data[4:8])[0] < 40):
        return "Mach-O"
    if start[:2] == b"MZ" and len(data) >= 64:
        (at,) = struct.unpack_from("<I", data, 60)
        return "PE" if data[at : at + 4] == b"PE\0\0" else None
    return None
