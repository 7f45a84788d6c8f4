"""One package on its way to a wheel: what is wanted, what was tried so far, and the steps that all strategies share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from builder.audited import audited
from builder.engine import Engine
from builder.errors import BuildFailure, OfflineFailure
from builder.events import Event, Report
from builder.fetch import public
from builder.files import digest_of
from builder.lock import LockedFile
from builder.profile import Profile
from builder.selection import Candidate, Wanted
from builder.store import Blob

if TYPE_CHECKING:
    from builder.audit import Audit
    from builder.recipe import Recipe


OTHERWISE = "Constrain it to a version that has one, name an index with one, or add a recipe under package/."
MEND = {  # where a build was tried and failed
    "local": "Mend the project, or say what its build needs in package/{name}/default/build.py (docs/recipes.md).",
    "recipe": "Mend {recipe}/build.py, or write a recipe under package/ that comes before it (docs/recipes.md).",
    "index": "Say what its build needs (ot2deploy recipe new {name}=={version}), or take a version that has a wheel.",
}


@dataclass(frozen=True, kw_only=True)
class PassedOver:
    """Something that was tried and not taken, with the reason and, of a program, the last lines that it printed."""

    what: str
    reason: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Acquired:
    """A wheel for a wanted package. `how` it came first: index, public, repaired, built or local; `reused` when the
    store had it already.
    """

    wanted: Wanted
    blob: Blob
    how: str
    reused: bool
    passed_over: tuple[PassedOver, ...] = ()


class Missing(OfflineFailure):
    """A file is not in the store and may not be downloaded; `files` are those that one package lacks."""

    def __init__(self, subject: str, files: tuple[str, ...]) -> None:
        self.files = files
        super().__init__(
            "is not in the store", subject=subject, details=files, next="Run the same command without --offline."
        )


@dataclass(kw_only=True)
class Job:
    """One package for one profile. `offers` are all candidates, those of the project's indexes first.

    `other` gives the profile's wheel of another project by requirement and as-of date, for what its build needs.
    Its build may keep `cores` of them busy.
    """

    wanted: Wanted
    profile: Profile
    engine: Engine
    report: Report
    as_of: str | None
    offers: tuple[Candidate, ...]
    other: Callable[[str, str | None], Blob]
    cores: int = os.cpu_count() or 1
    tried: list[PassedOver] = field(default_factory=list)
    refused: list[Blob] = field(default_factory=list)

    @property
    def subject(self) -> str:
        """The package as it stands in messages."""
        return f"{self.wanted.name} {self.wanted.version}"

    @cached_property
    def recipe(self) -> Recipe | None:
        """The recipe for this version as it holds for the profile, if there is one."""
        found = self.engine.tools.recipe(self.wanted.name, self.wanted.version, self.engine.search.packages)
        return found and found.for_profile(self.profile)

    @cached_property
    def build_as_of(self) -> str | None:
        """The day after which no build requirement was uploaded: the recipe's, else that of the release where the
        recipe leaves the versions of build dependencies open (what is younger is not what it was written for), else
        the lock's.
        """
        recipe, sdist = self.recipe, self.wanted.sdist
        released = sdist.uploaded if sdist and recipe and recipe.open_dependencies else None
        return (recipe and recipe.as_of) or released or self.as_of

    @cached_property
    def key(self) -> str:
        """Digest of everything that decides which wheel is taken."""
        sdist = self.wanted.sdist
        return digest_of(
            {
                "name": self.wanted.name,
                "version": self.wanted.version,
                "profile": self.profile.key,
                "offers": [[offer.filename, offer.sha256] for offer in self.offers],
                "sdist": sdist and sdist.sha256,
                "recipe": self.recipe and self.recipe.digest,
                "repair": self.engine.repair,
                "toolchain": self.engine.toolchain,
                "tools": self.engine.tools.versions,
            }
        )

    def tell(self, message: str, level: str = "progress") -> None:
        """Reports a step of this package."""
        self.report(Event(subject=self.subject, stage="acquire", message=message, level=level))

    def pass_over(self, what: str, reasons: Iterable[str], *, lines: Iterable[str] = ()) -> None:
        """Notes that something was not taken, and why."""
        reason = "; ".join(dict.fromkeys(reasons))
        self.tried.append(PassedOver(what=what, reason=reason, lines=tuple(lines)))
        self.tell(f"{what} passed over: {reason}", level="info")

    def get(self, file: Candidate | LockedFile) -> Blob:
        """A file from the store, or downloaded into it. Raises Missing, NetworkFailure, AuditFailure (no wheel)."""
        store = self.engine.store
        with store.lock(f"get-{file.sha256}"):
            if known := store.blob(file.sha256):
                return known
            if self.engine.offline and not file.url.startswith("file:"):
                raise Missing(self.subject, (f"{file.filename} (sha256 {file.sha256})",))
            with store.incoming(file.filename) as path:
                self.engine.fetcher.download(file.url, path, sha256=file.sha256)
                how = "local" if self.wanted.local else getattr(file, "origin", "public")
                return store.adopt(path, how=how, facts={"url": public(file.url)}, sha256=file.sha256)

    def audit(self, blob: Blob, *, expect_native: bool = False) -> Audit:
        """The audit of a wheel for the profile, from the store when it was made before."""
        return audited(blob, self.profile, self.engine, expect_native=expect_native)

    def failure(self) -> BuildFailure:
        """What to say when nothing was left to try."""
        chain = " -> ".join(self.wanted.chain)
        refusal = self.recipe.refusal if self.recipe else None
        return BuildFailure(
            f"no wheel for {self.profile.name}",
            subject=self.subject,
            details=(f"wanted by: {chain}", *(line for passed in self.tried for line in _told(passed))),
            next=f"Instead: {refusal.instead}" if refusal else self._otherwise(),
        )

    def _otherwise(self) -> str:
        """What can be done, where its build failed or nothing was there to build."""
        if not any(passed.lines for passed in self.tried):
            return OTHERWISE
        case = "recipe" if self.recipe else "local" if self.wanted.local else "index"
        wanted, recipe = self.wanted, self.recipe and self.recipe.directory
        return MEND[case].format(name=wanted.name, version=wanted.version, recipe=recipe)


def _told(passed: PassedOver) -> list[str]:
    return [f"{passed.what}: {passed.reason}", *(f"  {line}" for line in passed.lines)]
