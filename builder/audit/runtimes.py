"""Symbol versions of the C and C++ runtime libraries as numbers, and the manylinux policy that they prove."""

from __future__ import annotations

import re
from collections.abc import Iterable

from builder.audit.elf import Binary
from builder.profile import GLIBC_LIBRARIES, Profile

Version = tuple[int, ...]

# libstdc++ -> the libsupc++ ABI and the gcc release that came with it (libstdc++ manual, "ABI Policy and Guidelines").
LIBSTDCXX: dict[Version, tuple[Version, int]] = {
    (3, 4, 19): ((1, 3, 7), 4),
    (3, 4, 20): ((1, 3, 8), 4),
    (3, 4, 21): ((1, 3, 9), 5),
    (3, 4, 22): ((1, 3, 10), 6),
    (3, 4, 23): ((1, 3, 11), 7),
    (3, 4, 24): ((1, 3, 11), 7),
    (3, 4, 25): ((1, 3, 11), 8),
    (3, 4, 26): ((1, 3, 12), 9),
    (3, 4, 28): ((1, 3, 12), 10),
    (3, 4, 29): ((1, 3, 13), 11),
    (3, 4, 30): ((1, 3, 13), 12),
    (3, 4, 32): ((1, 3, 14), 13),
    (3, 4, 33): ((1, 3, 15), 14),
    (3, 4, 34): ((1, 3, 16), 15),
}
# The newest libstdc++ that each manylinux policy allows. Source: auditwheel's policy file.
MANYLINUX_LIBSTDCXX: dict[int, Version] = {
    17: (3, 4, 19), 24: (3, 4, 22), 27: (3, 4, 24), 28: (3, 4, 24), 31: (3, 4, 28), 34: (3, 4, 29), 35: (3, 4, 30),
    39: (3, 4, 32),
}  # fmt: skip
# What every manylinux policy lets a wheel expect; libcrypt.so.1 was taken out of it.
MANYLINUX_LIBRARIES = GLIBC_LIBRARIES - {"libcrypt.so.1"}
# Version names of glibc that mark a feature of ld.so and not a release.
GLIBC_FEATURES: dict[str, Version] = {"GLIBC_ABI_DT_RELR": (2, 36)}


def glibc_version(name: str) -> Version | None:
    """The release that a symbol version such as GLIBC_2.28 came with; None when it is not one of glibc's releases."""
    return GLIBC_FEATURES.get(name) or numbered("GLIBC", name)


def numbered(prefix: str, name: str) -> Version | None:
    """The numbers of a version such as GLIBCXX_3.4.24 under this prefix, or None."""
    found = re.fullmatch(rf"{prefix}_(\d+(?:\.\d+)*)", name)
    return tuple(map(int, found[1].split("."))) if found else None


def limits(glibcxx: str) -> dict[str, Version]:
    """The newest version under each prefix on a system whose libstdc++ has this GLIBCXX version, such as "3.4.24"."""
    own = tuple(map(int, glibcxx.split(".")))
    known = [release for release in LIBSTDCXX if release <= own] or [min(LIBSTDCXX)]
    abi, gcc = LIBSTDCXX[max(known)]
    return {"GLIBCXX": own, "CXXABI": abi, "GCC": (gcc, 999)}


def max_glibc(binaries: Iterable[Binary]) -> tuple[int, int] | None:
    """The newest glibc that ld.so insists on, (2, minor): versions flagged weak without strong symbols do not count."""
    found = [
        version
        for binary in binaries
        for need in binary.needs
        if (version := glibc_version(need.version)) and (need.strong or not need.weak)
    ]
    return max(((version[0], version[1]) for version in found), default=None)


def proven_platform(binaries: Iterable[Binary], profile: Profile) -> str:
    """The platform tag that these files prove: manylinux_2_N_<machine> with the oldest fitting N, else linux_<machine>.

    N is the glibc that is needed, raised to what the need of libstdc++ asks for; the lowest is 17, the oldest that
    the armv7l and aarch64 policies know. Libraries inside the wheel are not judged by the policy.
    """
    binaries = tuple(binaries)
    inside = {name for binary in binaries for name in (binary.file.rpartition("/")[2], binary.soname)}
    outside = {name for binary in binaries for name in binary.needed} - inside
    minor = max(17, (max_glibc(binaries) or (2, 17))[1])
    cxx = max(
        (version for binary in binaries for need in binary.needs if (version := numbered("GLIBCXX", need.version))),
        default=(0,),
    )
    fitting = [at for at, allowed in MANYLINUX_LIBSTDCXX.items() if cxx <= allowed]
    if "libstdc++.so.6" in outside:
        minor = max(minor, min(fitting, default=1000))
    if outside - MANYLINUX_LIBRARIES or profile.glibc is None or (2, minor) > profile.glibc:
        return f"linux_{profile.machine}"
    return f"manylinux_2_{minor}_{profile.machine}"
