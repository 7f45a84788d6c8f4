"""What a build is asked for and what it gives: the values between `acquire` and `build`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from builder.profile import Profile
from builder.recipe import Recipe
from builder.source import IndexSdist
from builder.uv import Question
from builder.wheel import WheelFile


@dataclass(frozen=True, kw_only=True)
class Source:
    """One sdist or source archive on this host: its file, the sha256 it must have, and where it came from.

    `kind` is that of `builder.source`, `subdirectory` where the project lies in it, `why` the reason for it if it is
    not what the recipe names.
    """

    path: Path
    sha256: str
    url: str = ""
    kind: str = IndexSdist.kind
    subdirectory: str | None = None
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """One wheel to make from source for a profile.

    `as_of` (RFC 3339 date or time) hides build requirements uploaded later. `expects_native` says whether the wheel
    must hold a shared object: True when the index has platform wheels of this version for other machines, None when
    nobody knows (the sources are then looked at). `headers_of` are the profile's wheels whose C headers are compiled
    against; the build environment gets the same versions for the host.
    """

    name: str
    version: str
    source: Source
    profile: Profile
    recipe: Recipe | None = None
    as_of: str | None = None
    expects_native: bool | None = None
    headers_of: tuple[WheelFile, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Built:
    """A wheel that was made and audited: its file, how it came to be (JSON values), and the build's log."""

    path: Path
    provenance: Mapping[str, Any]
    log: Path
    seconds: float


class Uv(Protocol):
    """What a build needs of uv; `builder.uv` has it. Every call may use the package index and raises ToolFailure."""

    def venv(self, path: Path, *, python: Path) -> None:
        """Makes a virtual environment without pip at `path`."""

    def install(
        self,
        python: Path,
        requirements: tuple[str, ...],
        *,
        constraints: tuple[str, ...] = (),
        exclude_newer: str | None = None,
        log: Path | None = None,
    ) -> None:
        """Installs host wheels into the environment of `python`."""

    def compile_lock(self, question: Question, out: Path) -> dict[str, list[str]]:
        """Writes a pylock file to `out`; for what is installed in a container."""

    def freeze(self, python: Path) -> tuple[str, ...]:
        """What the environment of `python` holds, as name==version."""
