"""A system update of an embedded robot: other software, another Python where this computer has one; /var stays."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from builder import files
from builder.errors import BuildFailure
from builder.toolchain.interpreter import find_interpreter
from ot2deploy.project import Project
from ot2deploy.sim import embedded
from ot2deploy.sim.failures import SimFailure
from ot2deploy.sim.lab import place, status
from ot2deploy.sim.results import SimResult

MINORS = ("3.13", "3.12", "3.11")


def update(project: Project, name: str, python: Path | None = None) -> SimResult:
    """Gives a robot newer software, and `python` or another one of this computer; keeps its Python where there is none.

    Its releases stay, as on a robot. Raises NotSimulated, SimFailure for a robot in a container, EmbeddedFailure.
    """
    at = place(project)
    at.read().robot(name)
    with at.held():
        robot = at.read().robot(name)
        if not robot.root:
            raise SimFailure(
                f"{name} cannot be updated: it is a container, whose system is its image",
                next="Embedded robots can: ot2deploy sim up --kind embedded, in a project of its own.",
            )
        root = Path(robot.root)
        python = python or _another(_minor(root))
        if python is not None:
            _give(root, Path(robot.directory), name, python)
        version = _newer(json.loads((root / "etc" / "VERSION.json").read_text(encoding="utf-8")))
        files.write_json(root / "etc" / "VERSION.json", version)
    minor = _minor(root)
    did = f"{name} was updated to {version['opentrons_api_version']}"
    return replace(status(project), did=f"{did} with {'Python ' + minor if python else 'the Python that it had'}")


def _give(root: Path, directory: Path, name: str, python: Path) -> None:
    """Makes usr anew with another Python; what was there comes back where that cannot be."""
    usr, before = root / "usr", root / "usr.before"
    usr.rename(before)
    try:
        embedded.create(directory, name, python)
    except BaseException:
        shutil.rmtree(usr, ignore_errors=True)
        before.rename(usr)
        raise
    shutil.rmtree(before)


def _minor(root: Path) -> str:
    return next(path.name.removeprefix("python") for path in (root / "usr" / "lib").glob("python3.*"))


def _another(minor: str) -> Path | None:
    for other in MINORS:
        if other != minor:
            with contextlib.suppress(BuildFailure):
                return find_interpreter(other).path
    return None


def _newer(version: dict[str, Any]) -> dict[str, Any]:
    """A VERSION.json with the next minor version of the software."""
    software = re.sub(r"^(\d+)\.(\d+)", lambda at: f"{at[1]}.{int(at[2]) + 1}", str(version["opentrons_api_version"]))
    return {**version, "opentrons_api_version": software, "buildroot_version": software}
