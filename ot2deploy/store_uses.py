"""What names files of the store, as far as a project knows: its locks and bundles, its robots, runs to go on with."""

from __future__ import annotations

from builder.files import sha256_file
from builder.store import Store
from builder.store_sweep import in_bundles
from ot2deploy.index_uses import gather
from ot2deploy.project import Project
from ot2deploy.runs import runs
from ot2deploy.runs.last_known import last_known


def named(project: Project, store: Store, since: float) -> dict[str, str]:
    """The files, by sha256, that may not go, each with who names it; runs count that were on after `since` (seconds
    since the epoch). Raises ConfigFailure for a lock that cannot be read."""
    found: dict[str, str] = {}
    wheels = last_known(project.state_dir).wheels
    for run in runs(project.state_dir):
        if run.resumable and run.path.stat().st_mtime > since:
            for release in run.releases:
                found |= {wheel.sha256: f"run {run.run}, to be resumed" for wheel in wheels.get(release, ())}
    locks = sorted(project.lock_dir.glob("pylock.*.toml"))
    found |= in_bundles(store, {sha256_file(path): f"environment {path.name.split('.')[1]}" for path in locks})
    uses, _ = gather(project)
    for use in uses.uses:
        found |= dict.fromkeys(use.sha256, use.what)
    return found
