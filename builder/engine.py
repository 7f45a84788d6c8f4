"""What making bundles needs, together: store, network, uv, tools, where to look, and the user's options."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from builder import places
from builder import uv as uv_module
from builder.errors import NetworkFailure
from builder.events import Report
from builder.fetch import Fetcher
from builder.profile import Profile
from builder.store import Store
from builder.targets import Search
from builder.toolbox import Toolbox
from builder.uv import Uv

if TYPE_CHECKING:
    from builder.audit import Audit
    from builder.build import BuildOptions, BuildRequest, Built
    from builder.recipe import Recipe


class Tools(Protocol):
    """What reads, repairs and builds wheels; `builder.toolbox.Toolbox` is the real one."""

    @property
    def versions(self) -> str:
        """Changes when wheels would be chosen, repaired or judged differently."""

    def audit(self, path: Path, profile: Profile, *, expect_native: bool = False) -> Audit:
        """Judges a wheel for a profile."""

    def repair(self, path: Path, out: Path, profile: Profile) -> tuple[Path, tuple[str, ...]]:
        """A copy of a too-new wheel made to fit, in `out`, and what was changed. Raises AuditFailure when it cannot."""

    def build(self, request: BuildRequest, out: Path, *, uv: Uv, options: BuildOptions, report: Report) -> Built:
        """Builds a wheel from source into `out`. Raises BuildFailure."""

    def recipe(self, name: str, version: str, directories: tuple[Path, ...]) -> Recipe | None:
        """The recipe for a version of a project, or None."""

    def expected_seconds(self, name: str, profile: Profile) -> float:
        """How long a build will take, so that the longest starts first."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Store, network, uv and options of one command.

    `locks` is the directory of lock files. `uv` is called when uv is needed, `uv_version` tells its version without
    starting it. `repair` allows wheels to be repaired, `upgrade` asks for a new lock, `jobs` builds run at once, and no
    step of a build may take longer than `timeout` (s).
    """

    store: Store
    locks: Path
    search: Search = field(default_factory=Search)
    fetcher: Fetcher = field(default_factory=Fetcher)
    tools: Tools = field(default_factory=Toolbox)
    uv: Callable[[], Uv] = field(default_factory=lambda: functools.cache(uv_module.find))
    uv_version: Callable[[], str | None] = uv_module.version
    offline: bool = False
    repair: bool = True
    upgrade: bool = False
    jobs: int = os.cpu_count() or 1
    timeout: float = 3600.0
    toolchain: str = "zig"
    upgraded: set[str] = field(default_factory=set)  # environments: `upgrade` makes one lock for all profiles
    down: dict[str, NetworkFailure] = field(default_factory=dict)  # indexes that could not be asked: no second wait


def open_engine(
    locks: Path,
    *,
    search: Search | None = None,
    store_root: Path | None = None,
    offline: bool = False,
    repair: bool = True,
    upgrade: bool = False,
    jobs: int | None = None,
    timeout: float | None = None,
    toolchain: str = "zig",
) -> Engine:
    """The engine as commands use it; `locks` is where lock files stand. Touches neither network nor uv."""
    return Engine(
        store=Store(store_root or places.cache_root() / "store"),
        locks=locks,
        search=search or Search(),
        fetcher=Fetcher(offline=offline, indexes=uv_module.index_urls(os.environ)),
        uv=functools.cache(lambda: uv_module.find(offline=offline)),
        offline=offline,
        repair=repair,
        upgrade=upgrade,
        jobs=jobs or os.cpu_count() or 1,
        timeout=timeout or Engine.timeout,
        toolchain=toolchain,
    )
