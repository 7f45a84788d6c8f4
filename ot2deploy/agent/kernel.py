"""The request `kernel`: an isolated environment offered by the robot's Jupyter, as a kernel of its own.

Jupyter finds kernels in the data directory that the robot's unit gives it (jupyter-notebook.service in Opentrons'
buildroot: user jupyter, JUPYTER_DATA_DIR=/var/lib/jupyter/data). A directory without kernel.json is none to it, so that
file is written last and removed first. All of it is done as the directory's owner: whoever has a notebook there can put
links in our way, and root would follow them.
"""

from __future__ import annotations

import json
import os
import pkgutil
import shutil
from contextlib import contextmanager

from ot2deploy.agent import fields, journal, manifest, release, statefile
from ot2deploy.agent import layout as layouts
from ot2deploy.agent.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ot2deploy.agent.fields import Request
    from ot2deploy.agent.layout import Layout

DATA = "/var/lib/jupyter/data"
PREFIX = "ot2deploy-"
KERNEL, START = "kernel.json", "start.py"
LAUNCHER = "ipykernel_launcher.py"
SYSTEM_PYTHON = "/usr/bin/python3"


def register(layout: Layout, request: Request, run: str, who: str) -> dict[str, Any]:
    """Makes the kernel of an environment's current release, or finds it as it should be.

    Refuses with `not-installed`, with `no-ipykernel` where the release cannot be a kernel, and with `no-jupyter` where
    the robot has none. After a rollback the same kernel starts in what is current then.
    """
    environment = fields.environment(request)
    digest = layouts.current_digest(layout, environment)
    if digest is None or environment == manifest.SHARED:
        raise Refusal("not-installed", "no isolated environment %s is on this robot" % environment)
    if not os.path.isfile(os.path.join(release.site_packages(layout.release(environment, digest)), LAUNCHER)):
        raise Refusal(
            "no-ipykernel", "release %s of %s has no ipykernel, which every kernel needs" % (digest[:12], environment),
            next="Add ipykernel to its requirements, and push it again.",
        )  # fmt: skip
    if not os.path.isdir(layout.root + DATA):
        raise Refusal(
            "no-jupyter", "this robot's Jupyter has no data directory (%s)" % DATA,
            why="It was never started, or this software has it elsewhere.",
        )  # fmt: skip
    wanted, start = _wanted(layout, environment), pkgutil.get_data("ot2deploy.agent", "kernel_start.py") or b""
    directory = _directory(layout, environment)
    path = os.path.join(directory, KERNEL)
    if _content(os.path.join(directory, START)) == start and _content(path) == wanted:
        return {"changed": False, "kernel": PREFIX + environment, "path": path}
    with _as_owner(layout):
        os.makedirs(directory, exist_ok=True)
        _write(os.path.join(directory, START), start)
        _write(path, wanted)
    line = {"run": run, "who": who, "op": "kernel", "environment": environment, "result": "ok", "detail": path}
    journal.append(layout.journal, line)
    return {"changed": True, "kernel": PREFIX + environment, "path": path}


def remove(layout: Layout, environment: str | None = None) -> None:
    """Removes the kernel of an environment, or of all (None), as far as they are those of this base directory."""
    kernels = _kernels(layout)
    ours = [name for name in release.listed(kernels) if name.startswith(PREFIX)]
    if not ours:
        return
    with _as_owner(layout):
        for name in ours:
            directory, of = os.path.join(kernels, name), name[len(PREFIX) :]
            content = _content(os.path.join(directory, KERNEL))
            if environment in (None, of) and content in (None, _wanted(layout, of)):
                statefile.remove(os.path.join(directory, KERNEL))
                shutil.rmtree(directory, ignore_errors=True)
        if not os.listdir(kernels):
            os.rmdir(kernels)


def _wanted(layout: Layout, environment: str) -> bytes:
    value = {
        "display_name": "%s (ot2deploy)" % environment,
        "language": "python",
        "argv": [
            layout.root + SYSTEM_PYTHON, "-I", os.path.join(_directory(layout, environment), START),
            layout.environment(environment), "-f", "{connection_file}",
        ],
        "metadata": {"debugger": True},
    }  # fmt: skip
    return json.dumps(value, sort_keys=True, indent=1).encode() + b"\n"


def _kernels(layout: Layout) -> str:
    return os.path.join(layout.root + DATA, "kernels")


def _directory(layout: Layout, environment: str) -> str:
    return os.path.join(_kernels(layout), PREFIX + environment)


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def _write(path: str, data: bytes) -> None:
    """Writes a file beside its place, makes it durable, and renames it there."""
    temporary = statefile.part(path)
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    statefile.sync_directory(os.path.dirname(path))


@contextmanager
def _as_owner(layout: Layout) -> Iterator[None]:
    """Does what the block does as the user whom Jupyter's data directory belongs to."""
    if os.geteuid() != 0:
        yield
        return
    owner, group = os.stat(layout.root + DATA), os.getegid()
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
