"""Profiles: an ABI as data. What a wheel must be to run on a kind of machine."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from packaging.tags import Tag, compatible_tags, cpython_tags

from builder.errors import ConfigFailure, UsageFailure
from builder.files import digest_of

HERE = Path(__file__).parent / "profiles"
# What every glibc system with a CPython has; anything else must come inside the wheel or be named by the profile.
GLIBC_LIBRARIES = frozenset(
    "libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 libpthread.so.0 librt.so.1 libutil.so.1 libresolv.so.2 libnsl.so.1 "
    "libz.so.1 libcrypt.so.1 libgcc_s.so.1 libstdc++.so.6 "
    "ld-linux-armhf.so.3 ld-linux-aarch64.so.1 ld-linux-x86-64.so.2".split()
)
ELF_CLASS = {"armv7l": 32, "aarch64": 64, "x86_64": 64}
ELF_MACHINE = {"armv7l": "EM_ARM", "aarch64": "EM_AARCH64", "x86_64": "EM_X86_64"}


@dataclass(frozen=True, kw_only=True)
class Profile:
    """An ABI: interpreter, machine and C library.

    `glibc` is the newest symbol version that is there, or None where the C library is another one (macOS).
    `platforms` are the wheel platform tags, best first. `full_version` and the markers are what PEP 508 markers
    evaluate to there. `glibcxx` is the newest symbol version of the system's libstdc++ ("3.4.24" is gcc 7's), empty
    where it is not known. Equality of `key` means that a wheel built for one fits the other. `twin_of` is the profile
    whose flags this one is built with.
    """

    name: str
    title: str = ""
    python: str
    machine: str
    system: str = "Linux"
    glibc: tuple[int, int] | None
    cpu: str = ""
    triple: str = ""
    full_version: str = ""
    glibcxx: str = ""
    platforms: tuple[str, ...] = field(default=())
    twin_of: str = ""

    @property
    def minor(self) -> tuple[int, int]:
        """The Python version as (3, minor)."""
        major, minor = self.python.split(".")
        return int(major), int(minor)

    @property
    def abi(self) -> str:
        """The CPython tag, such as cp310."""
        return "cp%d%d" % self.minor

    @cached_property
    def key(self) -> str:
        """Short digest of what decides whether a binary fits; part of every cache key and of a release's digest."""
        facts = [self.python, self.machine, self.system, self.glibc, self.cpu, self.glibcxx, list(self.platform_tags)]
        return f"{self.abi}-{self.machine}-{digest_of(facts)[:12]}"

    @cached_property
    def platform_tags(self) -> tuple[str, ...]:
        """Wheel platform tags, best first (PEP 600: manylinux_2_N for every N up to the glibc minor)."""
        if self.platforms:
            return self.platforms
        if self.glibc is None:
            raise UsageFailure(f"profile {self.name} names neither a glibc nor platform tags")
        lowest = 17 if self.machine in ("armv7l", "aarch64") else 5
        legacy = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
        tags = []
        for minor in range(self.glibc[1], lowest - 1, -1):
            tags.append(f"manylinux_2_{minor}_{self.machine}")
            if minor in legacy:
                tags.append(f"{legacy[minor]}_{self.machine}")
        return (*tags, f"linux_{self.machine}")

    @cached_property
    def tags(self) -> tuple[Tag, ...]:
        """Every wheel tag that pip accepts there, best first (packaging.tags)."""
        platforms = list(self.platform_tags)
        specific = cpython_tags(self.minor, [self.abi], platforms)
        return (*specific, *compatible_tags(self.minor, self.abi, platforms))

    @property
    def markers(self) -> dict[str, str]:
        """The complete PEP 508 marker environment: a missing key would be filled from the host."""
        darwin = self.system == "Darwin"
        full = self.full_version or f"{self.python}.0"
        return {
            "implementation_name": "cpython",
            "implementation_version": full,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": self.system,
            "platform_version": "",
            "python_full_version": full,
            "python_version": self.python,
            "sys_platform": "darwin" if darwin else "linux",
        }

    @property
    def libraries(self) -> frozenset[str]:
        """Shared libraries that a wheel may need without bringing them."""
        return GLIBC_LIBRARIES

    @property
    def elf_class(self) -> int | None:
        """32 or 64, or None where binaries are not ELF."""
        return ELF_CLASS.get(self.machine) if self.system == "Linux" else None

    @property
    def elf_machine(self) -> str | None:
        """The ELF header's e_machine as pyelftools names it, or None where binaries are not ELF."""
        return ELF_MACHINE.get(self.machine) if self.system == "Linux" else None

    def as_dict(self) -> dict[str, Any]:
        """The profile as JSON, as it stands in a bundle's manifest."""
        return {
            "name": self.name,
            "python": self.python,
            "machine": self.machine,
            "system": self.system,
            "glibc": ".".join(map(str, self.glibc)) if self.glibc else None,
            "key": self.key,
        }


def names(directory: Path = HERE) -> list[str]:
    """Names of the shipped profiles, sorted."""
    return sorted(path.stem for path in directory.glob("*.toml"))


def load(name: str, directory: Path = HERE) -> Profile:
    """A shipped profile by name. Raises UsageFailure with did-you-mean.

    `profile_host.load` also knows `host`, the running interpreter's own: names that people type go there.
    """
    path = directory / f"{name}.toml"
    if name not in names(directory):
        from difflib import get_close_matches

        close = sorted(get_close_matches(name, [*names(directory), "host"]))
        raise UsageFailure(
            f"no profile is named {name}",
            why=f"Did you mean {' or '.join(close)}?" if close else "",
            next="Profiles: " + ", ".join([*names(directory), "host"]),
        )
    return parse(path.read_text(encoding="utf-8"), str(path))


def parse(text: str, origin: str) -> Profile:
    """A profile from TOML text; `origin` stands in the error. Raises ConfigFailure."""
    try:
        data = tomllib.loads(text)
        if data.pop("schema") != 1:
            raise ConfigFailure(f"{origin}: this profile was written for a newer ot2deploy", next="Upgrade ot2deploy.")
        glibc = tuple(int(part) for part in data.pop("glibc").split("."))
        return Profile(glibc=(glibc[0], glibc[1]), **data)
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise ConfigFailure(f"{origin}: not a profile: {error}") from error
