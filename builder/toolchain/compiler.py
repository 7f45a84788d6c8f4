"""The compilers that builds may use: what each must be able to do, and the one that a name means."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from builder.events import Report, silent
from builder.profile import Profile
from builder.toolchain.choice import parse
from builder.toolchain.gcc import find_gcc
from builder.toolchain.gcc_sdk import sdk_directory
from builder.toolchain.zig import find_zig


class Compiler(Protocol):
    """A C and C++ cross compiler behind the names ot2-cc, ot2-c++, ot2-ar and ot2-ranlib."""

    @property
    def name(self) -> str:
        """What it is, for people: zig 0.17.0."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """What decides its output, as JSON values: kind, version, digests. Part of every build's key."""

    @property
    def advice(self) -> str:
        """What to do when what it made needs a newer system than the profile's; empty: nothing is to be said."""

    @property
    def directory(self) -> Path:
        """The directory of its four names, to put on PATH."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Directories that it reads."""

    def variables(self, profile: Profile, *, include: Path, sysroot: Path | None = None) -> dict[str, str]:
        """What its wrapper reads: `include` has the target's Python headers, `sysroot` static libraries.

        Raises BuildFailure where it cannot make code for the profile.
        """

    def prepare(self, profile: Profile, *, report: Report = silent) -> float:
        """Makes once what every build for a profile needs of it; the seconds that took, 0 when it was there."""


def find_compiler(name: str, *, offline: bool = False) -> Compiler:
    """The compiler that a toolchain's name means (`choice.parse`), as it runs on this host.

    Raises UsageFailure for another name, MissingExtra without zig, NetworkFailure where an SDK cannot be got.
    """
    choice = parse(name)
    kind, _, place = choice.compiler.partition(":")
    if kind == "zig":
        return find_zig()
    return find_gcc(sdk_directory(place, installed=not choice.container, offline=offline))


def identity_of(name: str, *, offline: bool = False) -> dict[str, Any]:
    """What decides the output of a toolchain, for the key of a build: its compiler, and the container's image."""
    choice = parse(name)
    identity = dict(find_compiler(name, offline=offline).identity)
    return {**identity, "container": choice.image or "default"} if choice.container else identity
