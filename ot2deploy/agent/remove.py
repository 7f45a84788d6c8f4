"""The request `remove`: takes an environment off the robot, and the blobs that nothing else there uses."""

from __future__ import annotations

import os
import shutil

from ot2deploy.agent import fields, journal, kernel, release, running, shared, statefile, used
from ot2deploy.agent import layout as layouts
from ot2deploy.agent.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ot2deploy.agent.fields import Request
    from ot2deploy.agent.layout import Layout
    from ot2deploy.agent.running import Program


def remove(layout: Layout, request: Request, run: str, who: str) -> dict[str, Any]:
    """Removes every release of an environment; its directory goes last, so that a cut removal can be asked for again.

    `blobs` counts the wheels and packs that go with it, `bytes` all that goes. With `dry_run` nothing does. Refuses
    with `not-installed`, and with `in-use` while a program runs from it, unless `force`.
    """
    environment, dry_run = fields.environment(request), fields.flag(request, "dry_run")
    directory = layout.environment(environment)
    if not os.path.isdir(directory):
        raise Refusal("not-installed", "environment %s is not installed on this robot" % environment)
    programs = running.of_environment(running.programs(layout), environment)
    if programs and not (dry_run or fields.flag(request, "force")):
        raise in_use(programs)
    current = layouts.current_digest(layout, environment)
    digests = release.listed(layout.releases(environment))
    blobs = used.unused(layout, [(environment, digest) for digest in digests], strays=True)
    answer = {
        "current": current, "releases": digests, "blobs": len(blobs),
        "bytes": used.size(directory) + sum(map(used.size, blobs)), "programs": running.as_values(programs),
    }  # fmt: skip
    if dry_run:
        return answer
    statefile.remove(layout.current(environment))
    statefile.sync_directory(directory)
    if environment == shared.NAME:
        shared.clear(layout)
    kernel.remove(layout, environment)
    for path in blobs:
        remove_path(path)
    for digest in digests:
        release.remove(layout.release(environment, digest))
    line = {"run": run, "who": who, "op": "remove", "environment": environment, "previous": current}
    journal.append(layout.journal, dict(line, result="ok", detail=""))
    shutil.rmtree(directory)
    return answer


def in_use(programs: list[Program]) -> Refusal:
    """The refusal to take files away from running programs."""
    return Refusal(
        "in-use", "programs run from it: they would lose their files",
        details=[running.words(program) for program in programs],
        data={"programs": running.as_values(programs)},
    )  # fmt: skip


def remove_path(path: str) -> None:
    """Removes a file, a link or a whole directory, if it is there."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        statefile.remove(path)
