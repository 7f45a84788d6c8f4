"""The real tools of an engine; each is imported when it is first used, for most commands use none of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from builder.events import Report
from builder.profile import Profile

if TYPE_CHECKING:
    from builder.audit import Audit
    from builder.build import BuildOptions, BuildRequest, Built
    from builder.recipe import Recipe
    from builder.uv import Uv


class Toolbox:
    """Audit, repair, recipes and builds of this package."""

    @property
    def versions(self) -> str:
        """The audit's version and our own part in builds: a stored choice of others is made anew."""
        from builder.audit import AUDIT_VERSION
        from builder.build.key import own

        return f"audit-{AUDIT_VERSION}, build-{own()[:12]}"

    def audit(self, path: Path, profile: Profile, *, expect_native: bool = False) -> Audit:
        """Judges a wheel for a profile."""
        from builder.audit import audit

        return audit(path, profile, expect_native=expect_native)

    def repair(self, path: Path, out: Path, profile: Profile) -> tuple[Path, tuple[str, ...]]:
        """A copy of a too-new wheel made to fit, in `out`, and what was changed. Raises AuditFailure when it cannot."""
        from builder.repair import repair

        repaired = repair(path, out, profile)
        return repaired.path, repaired.changes

    def build(self, request: BuildRequest, out: Path, *, uv: Uv, options: BuildOptions, report: Report) -> Built:
        """Builds a wheel from source into `out`. Raises BuildFailure."""
        from builder.build import build_wheel

        return build_wheel(request, uv=uv, out=out, report=report, options=options)

    def recipe(self, name: str, version: str, directories: tuple[Path, ...]) -> Recipe | None:
        """The recipe for a version of a project, or None."""
        from builder.recipe import find

        return find(name, version, directories)

    def expected_seconds(self, name: str, profile: Profile) -> float:
        """How long a build will take, so that the longest starts first."""
        from builder.build import expected_seconds

        return expected_seconds(name, profile)
