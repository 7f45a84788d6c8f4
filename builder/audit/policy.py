"""Which ELF files a profile can load: facts and a profile in, findings out. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from builder.audit.elf import Binary
from builder.audit.findings import Finding, finding
from builder.audit.runtimes import Version, glibc_version, limits, numbered
from builder.audit.versions import Need
from builder.profile import Profile

EF_ARM_EABI_VER5 = 5  # in the top byte of e_flags
EF_ARM_ABI_FLOAT_HARD = 0x400
VFP_ARGS_HARD = (1, 3)  # arguments in VFP registers, or code that fits both conventions
OLDEST_GLIBCXX = "3.4.19"  # what the oldest manylinux in use promises (2_17)
# Libraries all of whose symbols have a version: what has none is not theirs.
VERSIONED = re.compile(r"(lib(c|m|dl|pthread|rt|util|resolv|gcc_s|stdc\+\+)|ld-linux[\w-]*)\.so\b")
SHOWN = 6  # symbols in one message


@dataclass(frozen=True, kw_only=True)
class Cpu:
    """The newest ARM build attributes whose code a CPU runs: Tag_CPU_arch, Tag_FP_arch, Tag_Advanced_SIMD_arch."""

    title: str
    arch: int
    fp: int
    simd: int


# 32-bit ARM CPUs by the compiler's name. Every armv7l profile without a `cpu` is judged as the first.
CPUS = {
    "cortex_a7": Cpu(title="ARMv7-A with VFPv4 and NEON", arch=10, fp=6, simd=2),
    "cortex_a53": Cpu(title="ARMv8-A", arch=14, fp=8, simd=3),
}
ARCHITECTURES = {14: "ARMv8-A", 15: "ARMv8-R", 16: "ARMv8-M", 17: "ARMv8-M", 21: "ARMv8.1-M", 22: "ARMv9-A"}


def judge(
    binary: Binary, profile: Profile, inside: Collection[str], provided: Collection[str] = ()
) -> Iterator[Finding]:
    """The findings about one ELF file; `inside` names the libraries (file names, sonames) that the wheel brings, and
    `provided` the symbols that its other files have.

    A file for another machine gets that one finding: everything else about it would only follow from it.
    """
    if binary.machine != profile.elf_machine:
        yield finding("elf-machine", f"is for {binary.machine}, not {profile.elf_machine}", file=binary.file)
        return
    if binary.bits != profile.elf_class or not binary.little_endian:
        order = "little" if binary.little_endian else "big"
        message = f"is {binary.bits}-bit {order}-endian, not {profile.elf_class}-bit little-endian"
        yield finding("elf-class", message, file=binary.file)
        return
    if binary.machine == "EM_ARM":
        yield from _float_abi(binary)
        yield from _cpu(binary, CPUS.get(profile.cpu, CPUS["cortex_a7"]))
    for name in binary.needed:
        if name not in profile.libraries and name not in inside:
            yield finding("elf-missing-lib", f"needs {name}", file=binary.file)
    for entry in binary.rpath:
        if entry.startswith("/"):
            yield finding("elf-rpath-absolute", f"searches {entry}", file=binary.file)
    for need in binary.needs:
        if need.library not in inside:
            yield from _version(binary, need, profile)
    lost = tuple(name for name in binary.undefined if name not in provided)
    if lost and profile.glibc and all(map(VERSIONED.match, binary.needed)):  # others may have what they do not version
        yield finding("elf-undefined", f"no library that it needs has {_shown(lost)}", file=binary.file)
    if binary.build_paths:
        count = f" and {binary.build_paths - 1} more" if binary.build_paths > 1 else ""
        yield finding("build-path", f"{binary.build_path}{count}", file=binary.file)


def _float_abi(binary: Binary) -> Iterator[Finding]:
    eabi = binary.flags >> 24
    if eabi != EF_ARM_EABI_VER5:
        yield finding("elf-float-abi", f"is of ARM EABI version {eabi}, not 5", file=binary.file)
        return
    hard = bool(binary.flags & EF_ARM_ABI_FLOAT_HARD)
    if not hard and not (binary.arm and binary.arm.vfp_args in VFP_ARGS_HARD):
        yield finding("elf-float-abi", "passes floating-point arguments as soft-float code does", file=binary.file)


def _cpu(binary: Binary, cpu: Cpu) -> Iterator[Finding]:
    if binary.arm is None:
        return
    newer = []
    if (binary.arm.cpu or 0) > cpu.arch and (binary.arm.cpu or 0) in ARCHITECTURES:
        newer.append(f"{ARCHITECTURES[binary.arm.cpu or 0]} code (Tag_CPU_arch {binary.arm.cpu})")
    if (binary.arm.fp or 0) > cpu.fp:
        newer.append(f"ARMv8 floating point (Tag_FP_arch {binary.arm.fp})")
    if (binary.arm.simd or 0) > cpu.simd:
        newer.append(f"ARMv8 NEON (Tag_Advanced_SIMD_arch {binary.arm.simd})")
    if newer:
        yield finding("elf-cpu-newer", f"{', '.join(newer)}; the CPU is {cpu.title}", file=binary.file)


def _version(binary: Binary, need: Need, profile: Profile) -> Iterator[Finding]:
    if need.version == "GLIBC_PRIVATE":
        message = f"{_shown(need.strong + need.optional)} of {need.library}"
        yield finding("glibc-private", message, file=binary.file)
    elif (release := glibc_version(need.version)) and profile.glibc:
        if release > profile.glibc:
            yield from _glibc(binary, need, profile.glibc)
    elif prefix := next((p for p in ("GLIBCXX", "CXXABI", "GCC") if numbered(p, need.version)), None):
        yield from _libstdcxx(binary, need, prefix, profile)


def _glibc(binary: Binary, need: Need, have: Version) -> Iterator[Finding]:
    """A version flagged weak stops nothing, except where a strong symbol then stays unresolved."""
    if need.strong or not need.weak:
        symbols = need.strong or need.optional
        kind = "" if need.strong or not symbols else ", weak, in a version that is not flagged weak"
        message = f"{need.library} {need.version} for {_shown(symbols)}{kind}; there is glibc {_dotted(have)}"
        yield finding("glibc-too-new", message, file=binary.file)
        return
    for symbol in need.optional:
        yield finding("glibc-weak", f"{symbol}@{need.version} is not there and may stay away", file=binary.file)


def _libstdcxx(binary: Binary, need: Need, prefix: str, profile: Profile) -> Iterator[Finding]:
    needed = numbered(prefix, need.version) or ()
    if needed <= limits(profile.glibcxx or OLDEST_GLIBCXX)[prefix] or (need.weak and not need.strong):
        return
    if not profile.glibcxx:
        message = f"{need.library} {need.version}: {profile.name} does not say whether it is there"
        yield finding("libstdcxx-unknown", message, file=binary.file)
    else:
        message = f"{need.library} {need.version} for {_shown(need.strong)}; there is GLIBCXX_{profile.glibcxx}"
        yield finding("libstdcxx-too-new", message, file=binary.file)


def _shown(symbols: tuple[str, ...]) -> str:
    more = f" and {len(symbols) - SHOWN} more" if len(symbols) > SHOWN else ""
    return ", ".join(symbols[:SHOWN]) + more if symbols else "no symbol"


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
