"""Profiles read off an interpreter: the host's own, and robots that are no OT-2 (simulated ones, other Linux boxes)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from packaging.tags import mac_platforms

from builder import profile as shipped
from builder.checks import facts as facts_module
from builder.errors import UsageFailure
from builder.profile import ELF_CLASS, Profile

TRIPLES = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu", "armv7l": "arm-linux-gnueabihf"}


def load(name: str) -> Profile:
    """A profile by the name that a person gave: `host`, or a shipped one. Raises UsageFailure with did-you-mean."""
    return host_profile() if name == "host" else shipped.load(name)


def host_profile() -> Profile:
    """The running interpreter's own profile."""
    return draft(facts_module.facts())


def option(profile: Profile) -> str:
    """`--profile NAME` for a command line. A profile that was read off a robot has no name there: it is `host`, on
    this computer or, as the words behind it say, on one that is like the robot.
    """
    if profile.name in shipped.names():
        return f"--profile {profile.name}"
    like = "" if profile.key == host_profile().key else f"   (on a computer that is {profile.name})"
    return f"--profile host{like}"


def match(facts: Mapping[str, Any]) -> Profile | None:
    """The shipped profile that fits an interpreter's facts, or None.

    Fits: same implementation, minor, machine and system, hard float on ARM, and a glibc not older than the profile's.
    Of several the one with the newest glibc wins.
    """
    if facts["implementation"] != "cpython" or facts["hard_float"] is False:
        return None
    fitting = [
        profile
        for profile in _shipped()
        if (profile.python, profile.machine, profile.system) == (facts["python"], facts["machine"], facts["system"])
        and profile.glibc is not None
        and facts["glibc"]
        and profile.glibc <= _version(facts["glibc"])
    ]
    return max(fitting, key=lambda profile: profile.glibc or (0, 0), default=None)


@cache
def _shipped() -> tuple[Profile, ...]:
    """All shipped profiles, read once: every robot of a fleet is matched with them."""
    return tuple(map(shipped.load, shipped.names()))


def draft(facts: Mapping[str, Any]) -> Profile:
    """A profile made from an interpreter's facts alone. Raises UsageFailure where wheels have no tag for it."""
    name = f"{facts['system'].lower()}-{facts['machine']}-cp{facts['python'].replace('.', '')}"
    common = {
        "title": f"CPython {facts['python']} on {facts['system']} {facts['machine']}",
        "python": facts["python"],
        "machine": facts["machine"],
        "system": facts["system"],
        "full_version": facts["full_version"],
    }
    if facts["implementation"] != "cpython":
        raise UsageFailure(f"no profile for {facts['implementation']}: only CPython is supported")
    if facts["system"] == "Darwin":
        version = _version(facts["mac_version"])
        platforms = tuple(mac_platforms(version, facts["machine"]))
        return Profile(name=f"{name}-macos{version[0]}", glibc=None, platforms=platforms, **common)
    if facts["system"] != "Linux" or not facts["glibc"] or facts["machine"] not in ELF_CLASS:
        raise UsageFailure(
            f"no profile for {facts['system']} on {facts['machine']}",
            why="Wheels are chosen for glibc Linux on armv7l, aarch64 and x86_64, and for macOS.",
        )
    return Profile(
        name=f"{name}-glibc{facts['glibc']}",
        glibc=_version(facts["glibc"]),
        triple=TRIPLES[facts["machine"]],
        **common,
    )


def _version(text: str) -> tuple[int, int]:
    parts = [int(part) for part in text.split(".")[:2]]
    return parts[0], parts[1] if len(parts) > 1 else 0
