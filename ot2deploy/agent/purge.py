"""The request `purge`: takes everything of ours off the robot, the agent itself and its lock last."""

from __future__ import annotations

import os
import re

from ot2deploy.agent import fields, kernel, release, running, shared, statefile
from ot2deploy.agent.remove import in_use, remove_path
from ot2deploy.agent.used import blob_paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ot2deploy.agent.layout import Layout

AGENT = re.compile(r"[0-9a-f]{64}\.pyz|\.[0-9a-f]{16}\.[0-9a-f]{8}\.part")
DIRECTORIES = ("envs", "wheels", "packs", "tmp", "agent")


def purge(layout: Layout, force: bool = False) -> dict[str, Any]:
    """Removes what ot2deploy keeps below the base directory, and the directory when nothing else is in it.

    `environments` are those that were there, `left` what is not ours and stays. Cut off anywhere, it can be asked for
    again. The caller holds the lock, whose file goes after all that it protects. Refuses with `in-use` while programs
    run from an environment, unless `force`.
    """
    programs = running.programs(layout)
    if programs and not force:
        raise in_use(programs)
    there = [name for name in release.listed(layout.envs) if fields.NAME.fullmatch(name)]
    names = [name for name in there if os.path.isdir(layout.environment(name))]
    for name in names:  # nothing half-removed is ever current
        statefile.remove(layout.current(name))
    shared.clear(layout)
    kernel.remove(layout)
    for name in names:
        remove_path(layout.environment(name))
    for _, path in blob_paths(layout):
        remove_path(path)
    for path in (layout.tmp, layout.facts, statefile.part(layout.facts), layout.journal):
        remove_path(path)
    agents = os.path.join(layout.base, "agent")
    for name in release.listed(agents):
        if AGENT.fullmatch(name):
            statefile.remove(os.path.join(agents, name))
    for name in DIRECTORIES:
        _remove_empty(os.path.join(layout.base, name))
    statefile.remove(layout.lock)
    _remove_empty(layout.base)
    return {"environments": names, "left": release.listed(layout.base), "programs": running.as_values(programs)}


def _remove_empty(directory: str) -> None:
    """Removes a directory, unless something is in it that is not ours, or it is none."""
    if os.path.isdir(directory) and not os.path.islink(directory) and not os.listdir(directory):
        os.rmdir(directory)
