"""The request `remove`: takes an environment off the robot, and the blobs that nothing else there uses."""

from __future__ import annotations

import os
import shutil

from ot2deploy.agent import fields, journal, release, statefile
from ot2deploy.agent import layout as layouts
from ot2deploy.agent.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ot2deploy.agent.fields import Request
    from ot2deploy.agent.layout import Layout


def remove(layout: Layout, request: Request, run: str, who: str) -> dict[str, Any]:
    """Removes every release of an environment; its directory goes last, so that a cut removal can be asked for again.

    `blobs` and `bytes` count the wheels and packs that went with it. Refuses with `not-installed`.
    """
    environment = fields.environment(request)
    directory = layout.environment(environment)
    if not os.path.isdir(directory):
        raise Refusal("not-installed", "environment %s is not installed on this robot" % environment)
    current = layouts.current_digest(layout, environment)
    statefile.remove(layout.current(environment))
    statefile.sync_directory(directory)
    blobs = _unused(layout, environment)
    size = sum(_size(path) for path in blobs)
    for path in blobs:
        remove_path(path)
    digests = release.listed(layout.releases(environment))
    for digest in digests:
        release.remove(layout.release(environment, digest))
    line = {"run": run, "who": who, "op": "remove", "environment": environment, "previous": current}
    journal.append(layout.journal, dict(line, result="ok", detail=""))
    shutil.rmtree(directory)
    return {"current": current, "releases": digests, "blobs": len(blobs), "bytes": size}


def blob_paths(layout: Layout) -> list[tuple[str, str]]:
    """Kind and path of everything that is a blob or the first part of one."""
    found = []
    for kind in fields.FILENAME:
        directory = os.path.join(layout.base, kind)
        for name in release.listed(directory):
            if fields.DIGEST.fullmatch(name[:-5] if name.endswith(".part") else name):
                found.append((kind, os.path.join(directory, name)))
    return found


def remove_path(path: str) -> None:
    """Removes a file, a link or a whole directory, if it is there."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        statefile.remove(path)


def _unused(layout: Layout, environment: str) -> list[str]:
    """The blobs of which no release of another environment is made; none where a manifest cannot be read."""
    sums, stems = set(), []
    for other in release.listed(layout.envs):
        for digest in release.listed(layout.releases(other)) if other != environment else []:
            manifest = statefile.read(os.path.join(layout.release(other, digest), layouts.MANIFEST))
            if manifest is None:
                return []
            for wheel in manifest.get("wheels") or ():
                sums.add(wheel.get("sha256"))
                stems.append(str(wheel.get("filename"))[: -len("whl")])  # a pack is named like its wheel, and more
    starts = tuple(stems)
    unused = []
    for kind, path in blob_paths(layout):
        packed = kind == "packs" and any(name.startswith(starts) for name in release.listed(path))
        if os.path.basename(path) not in sums and not packed:
            unused.append(path)
    return unused


def _size(path: str) -> int:
    names = [os.path.join(path, name) for name in release.listed(path)] if os.path.isdir(path) else [path]
    return sum(os.lstat(name).st_size for name in names)
