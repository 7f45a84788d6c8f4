"""What qualifying a bundle found, as values."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from typing import Any

from builder.engine import Engine
from builder.environment import Environment
from builder.qualify.known import Known, snippet

EMULATED, AUDITED = "emulated", "audited, not emulated"
MEMORY = 2048  # MB: twice what an OT-2 has, as QEMU needs some itself


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a bundle is qualified.

    `environment` is what it was made of, where that is known: its twin is then made of the same. `known` failures are
    added to those that stand beside it and beside recipes. `timeout` (s) and `memory` (MB) hold for each check; without
    `timeout` a check has its own. `jobs` checks run at once. With `strict` a known failure that did not fail is a
    failure, too. With `twin` a bundle that cannot be run is built for the emulated minor.
    """

    engine: Engine
    environment: Environment | None = None
    known: tuple[Known, ...] = ()
    deep: bool = True
    strict: bool = False
    twin: bool = True
    jobs: int = os.cpu_count() or 1
    timeout: float | None = None
    memory: int = MEMORY


@dataclass(frozen=True, kw_only=True)
class Row:
    """One check: its `name` and `kind` (audit, import, run, program), how it ended, and why where it did not end well.

    `output` is the end of what it printed, `known` the reason for which it may fail.
    """

    name: str
    kind: str
    ok: bool
    seconds: float = 0.0
    why: str = ""
    output: str = ""
    known: str = ""

    @property
    def state(self) -> str:
        """The row in one word: ok, known or failed."""
        return "ok" if self.ok else "known" if self.known else "failed"


@dataclass(frozen=True, kw_only=True)
class Qualified:
    """A bundle's proof. `state` is "emulated", where all rows were run, or "audited, not emulated".

    `interpreter` is what ran the checks. `why` says why nothing was run, in lines of which the first is complete in
    itself. `twin` is the same for the bundle that was run instead, `title` what it is. `unused` are entries of known
    failures (file:line) that no failure needed, `left_out` the deep checks that were not to be run.
    """

    environment: str
    digest: str
    profile: str
    title: str
    state: str
    wheels: int
    interpreter: str = ""
    rows: tuple[Row, ...] = ()
    why: str = ""
    unused: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    strict: bool = False
    seconds: float = 0.0
    twin: Qualified | None = field(default=None)

    @property
    def failures(self) -> tuple[Row, ...]:
        """What failed and is not known to."""
        return tuple(row for row in self.rows if row.state == "failed")

    @property
    def ran(self) -> bool:
        """Whether anything was run: the bundle itself, or its twin."""
        return self.state == EMULATED or (self.twin is not None and self.twin.ran)

    @property
    def ok(self) -> bool:
        """Whether nothing failed that is not known to, here and in the twin."""
        return not self.failures and not (self.strict and self.unused) and (self.twin is None or self.twin.ok)

    @property
    def snippet(self) -> str:
        """Entries for known-failures.yaml that cover this result's failures, or nothing."""
        failures = [(row.name, row.why) for row in self.failures if row.kind != "audit"]
        return snippet(failures, self.profile) if failures else ""

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            **{name: getattr(self, name) for name in ("environment", "digest", "profile", "title", "state", "wheels")},
            "ok": self.ok,
            "ran": self.ran,
            "interpreter": self.interpreter,
            "why": self.why,
            "seconds": self.seconds,
            "checks": [{**asdict(row), "state": row.state} for row in self.rows],
            "unused": list(self.unused),
            "left_out": list(self.left_out),
            "snippet": self.snippet,
            "twin": self.twin and self.twin.as_dict(),
        }
