"""What a push is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ot2deploy.rollout.afterwards import Afterwards
from ot2deploy.rollout.waves import Policy
from ot2deploy.runs import Run
from ot2deploy.visit import Fleet


@dataclass(frozen=True, kw_only=True)
class PushRequest:
    """What to push where, and how. `method` is "pip", "tree" or None (robot's or environment's own choice).

    `wait_idle` is for how many seconds busy robots are waited for; None leaves them staged. `transfers` and `installs`
    are how many robots are sent to and installed on at the same time; None is the default. `sign` is an SSH key.
    `shared` installs for protocols: what is shared with them already, with the target (which may be "") and not the
    projects of `without`. `resumes` is the run whose bundles are pushed again.
    """

    fleet: Fleet
    target: str
    dry_run: bool = False
    method: str | None = None
    repair: bool = True
    offline: bool = False
    policy: Policy = field(default_factory=Policy)
    wait_idle: float | None = None
    transfers: int | None = None
    installs: int | None = None
    afterwards: Afterwards = field(default_factory=Afterwards)
    sign: Path | None = None
    shared: bool = False
    without: tuple[str, ...] = ()
    resumes: Run | None = None
