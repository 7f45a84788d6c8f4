"""An environment on this computer as it is on robots: the same versions in their Python, for the Opentrons App."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import files, profile_host
from builder import profile as shipped
from builder.bundle import Bundle
from builder.checks import facts as facts_module
from builder.environment import safe_name
from builder.errors import BuildFailure
from builder.events import Event, Report
from builder.pipeline import Engine, make_bundle
from builder.profile import Profile
from builder.run import environment, run
from builder.targets import resolve
from ot2deploy.engine import open_for
from ot2deploy.project import Project

SCHEMA = 1
COMPLETE = "ot2deploy.json"  # written last; what has none is not finished
APP = "opentrons"  # what the Opentrons App starts: python -m opentrons.cli analyze


@dataclass(frozen=True, kw_only=True)
class LocalRequest:
    """Which target, for robots of which profile. `extra` are further requirements for this computer alone."""

    project: Project
    target: str
    profile: str
    report: Report
    extra: tuple[str, ...] = ()
    offline: bool = False


@dataclass(frozen=True, kw_only=True)
class LocalEnvironment:
    """Where an environment is on this computer. `python` stays the same path when a newer one is made.

    `made` is whether it was made now; `for_app` whether the Opentrons App can analyse protocols with it.
    """

    environment: str
    python: Path
    directory: Path
    version: str
    bundle: str
    packages: int
    extra: tuple[str, ...]
    made: bool
    for_app: bool

    exit_code = 0

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        return {**self.__dict__, "python": str(self.python), "directory": str(self.directory), "extra": [*self.extra]}


def make_local(request: LocalRequest) -> LocalEnvironment:
    """Makes the environment, or finds it as it is wanted, and makes it the current one. Raises Failure.

    The lock is that of the robots; of each locked version the wheel for this computer is taken. What is already there
    and what it is replaced by are whole at any time; one that came before is kept, for programs that run in it.
    """
    robots = shipped.load(request.profile) if request.profile != "host" else profile_host.host_profile()
    python, profile = _interpreter(robots.python)
    engine = open_for(request.project, offline=request.offline)
    wanted = resolve(request.target, engine.search)
    bundle = make_bundle(wanted, profile, engine, request.report)
    home = request.project.state_dir / "local" / safe_name(wanted.name)
    known = {"schema": SCHEMA, "bundle": bundle.digest, "python": str(python), "extra": sorted(request.extra)}
    directory = home / files.digest_of(known)[:16]
    home.mkdir(parents=True, exist_ok=True)
    with files.disk_failures(home), files.locked(home / "lock"):
        made = not _is_there(directory, known)
        if made:
            request.report(Event(subject=wanted.name, stage="install", message=f"into {directory}"))
            _fill(directory, python, bundle, request.extra, engine)
            files.write_json(directory / COMPLETE, known)
        _make_current(home, directory)
    return LocalEnvironment(
        environment=wanted.name,
        python=home / "current" / "bin" / "python3",
        directory=directory,
        version=profile.full_version or profile.python,
        bundle=bundle.digest,
        packages=len(bundle.blobs),
        extra=request.extra,
        made=made,
        for_app=any((directory / "lib").glob(f"python*/site-packages/{APP}/cli")),
    )


def _interpreter(minor: str) -> tuple[Path, Profile]:
    """A CPython of that minor on this computer, and what it is. Raises BuildFailure."""
    from builder.toolchain.interpreter import find_interpreter

    try:
        found = find_interpreter(minor)
    except BuildFailure as failure:
        raise BuildFailure(
            f"there is no CPython {minor} on this computer",
            why=f"The robots of this profile have Python {minor}, and so must the copy of their environment.",
            next=f"Install it: uv python install {minor}",
        ) from failure
    said = run([found.path, "-I", facts_module.__file__], timeout=60, env=environment()).stdout
    return found.path, profile_host.draft(json.loads(said))


def _is_there(directory: Path, wanted: Mapping[str, Any]) -> bool:
    try:
        known = json.loads((directory / COMPLETE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return bool(known == wanted) and (directory / "bin" / "python3").exists()


def _fill(directory: Path, python: Path, bundle: Bundle, extra: tuple[str, ...], engine: Engine) -> None:
    """Makes the virtual environment at its final place, for they cannot be moved."""
    shutil.rmtree(directory, ignore_errors=True)
    uv = engine.uv()
    uv.venv(directory, python=python)
    inside = directory / "bin" / "python3"
    uv.install_wheels(inside, [blob.path for blob in bundle.blobs])
    versions = [f"{wheel['name']}=={wheel['version']}" for wheel in bundle.manifest["wheels"]]
    try:
        uv.install(inside, extra, constraints=versions)
    except BuildFailure as failure:
        failure.what = f"{', '.join(extra)} cannot be had beside {bundle.environment}: {failure.what}"
        failure.next = failure.next or "Ask for another version, or leave it out; the versions of the robots stay."
        raise


def _make_current(home: Path, directory: Path) -> None:
    """One rename; then all but this one and the one before go."""
    link = home / "current"
    before = link.resolve() if link.is_symlink() else directory
    if before != directory.resolve() or not link.exists():
        temporary = home / "current.new"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(directory.name)
        os.replace(temporary, link)
        for other in home.iterdir():
            if other.is_dir() and not other.is_symlink() and other.resolve() not in (before, directory.resolve()):
                shutil.rmtree(other, ignore_errors=True)
