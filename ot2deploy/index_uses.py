"""What uses the versions of an index, as far as this project knows: its locks, its robots, and locks that are named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from builder.errors import ConfigFailure
from builder.index.choose import Named
from builder.index.upkeep.retention import Use, Uses
from ot2deploy.runs.last_known import LastKnown, last_known

if TYPE_CHECKING:
    from packaging.pylock import Package

    from ot2deploy.project import Project


def gather(project: Project, named: Sequence[Path] = ()) -> tuple[Uses, tuple[str, ...]]:
    """All known uses, and what is not known in sentences; `named` are further lock files (PEP 751).

    Raises ConfigFailure for a lock that cannot be read.
    """
    locks = {path: f"environment {path.name.split('.')[1]}" for path in sorted(project.lock_dir.glob("pylock.*.toml"))}
    locks |= {path: f"lock {path}" for path in named}
    known = last_known(project.state_dir)
    uses = [use for path, what in locks.items() for use in _of_lock(path, what)]
    return Uses(uses=(*uses, *_of_robots(known))), tuple(_unknown(known))


def _of_lock(path: Path, what: str) -> Iterator[Use]:
    import tomllib

    from packaging.pylock import Pylock, PylockValidationError

    try:
        packages = Pylock.from_dict(tomllib.loads(path.read_text(encoding="utf-8"))).packages
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, PylockValidationError) as error:
        raise ConfigFailure(
            f"{path}: cannot be read as a lock: {error}",
            why="Nothing is removed while it is not known what is used.",
            next="Mend it, or delete it if nobody needs it.",
        ) from error
    for package in packages:
        version = Named(name=package.name, version=package.version)
        yield Use(what=what, version=version, sha256=frozenset(_sha256(package)))


def _sha256(package: Package) -> Iterator[str]:
    files: list[Any] = [*(package.wheels or ()), *filter(None, [package.archive])]
    for file in files:
        if sha256 := file.hashes.get("sha256"):
            yield sha256


def _of_robots(known: LastKnown) -> Iterator[Use]:
    for one in known.robots:
        for release in sorted(one.releases):
            what = f"robot {one.robot} ({one.environment}, release {release[:12]})"
            for wheel in known.wheels.get(release, ()):
                yield Use(what=what, version=_named(wheel.name, wheel.version), sha256=frozenset([wheel.sha256]))


def _named(name: str, version: str) -> Named:
    try:
        return Named(name=canonicalize_name(name), version=Version(version))
    except InvalidVersion:
        return Named(name=canonicalize_name(name))


def _unknown(known: LastKnown) -> Iterator[str]:
    for one in known.robots:
        for release in sorted(one.releases - known.wheels.keys()):
            yield (
                f"robot {one.robot} may have release {release[:12]} of {one.environment}, "
                "which no record of this project describes: what it uses is not known here"
            )
