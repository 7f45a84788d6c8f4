"""What protocols and Jupyter on a robot can import now, what of it is ours, and whether user packages count there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from builder.store import FILENAME, SHA256
from ot2deploy.agent.manifest import SHARED
from ot2deploy.inventory import Robot
from ot2deploy.robots.packages import ask
from ot2deploy.transport import Session

Modules = Mapping[str, tuple[str, ...] | None]  # by name; of a directory that shares its name, the names in it


@dataclass(frozen=True, kw_only=True)
class Place:
    """A directory that the robot's interpreter imports from, without our links in it."""

    path: str
    by_hand: bool
    modules: Modules


@dataclass(frozen=True, kw_only=True)
class Brought:
    """A wheel of the shared environment that no index has: it was made of local files, here or on another computer."""

    name: str
    filename: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """`provided` are names and versions of packages that are not ours, `by_hand` those of them that somebody installed.

    `reads` tells whether the interpreter looks into `site`, the directory of user packages. `digest`, `requirements`,
    `constraints` and `brought` are those of the current shared release; `links_right` whether each of its names has
    its link.
    """

    robot: str
    provided: Mapping[str, str]
    by_hand: frozenset[str]
    builtin: frozenset[str]
    places: tuple[Place, ...]
    site: str
    reads: bool
    digest: str | None
    requirements: tuple[str, ...]
    constraints: tuple[str, ...]
    brought: tuple[Brought, ...]
    links_right: bool

    @property
    def named(self) -> tuple[str, ...]:
        """The requirements that name a project of an index; the others were made of local files."""
        return tuple(text for text in self.requirements if not text.startswith("./"))

    @property
    def asked(self) -> frozenset[str]:
        """The projects that were asked for."""
        return frozenset([*map(requirement_name, self.named), *(wheel.name for wheel in self.brought)])


def requirement_name(requirement: str) -> str:
    """The project that a requirement (PEP 508) is about."""
    return canonicalize_name(Requirement(requirement).name)


def read_surroundings(session: Session, robot: Robot) -> Surroundings:
    """Asks a robot's own interpreter; changes nothing there. Raises CommandFailure."""
    return ask(session, robot, lambda told: parse(robot.name, told), modules=True)


def parse(robot: str, told: Mapping[str, Any]) -> Surroundings:
    """It out of what the script printed. Raises ValueError, LookupError or TypeError for anything else."""
    rows = list(_provided(told["places"]))
    release = next((row for row in told["environments"] if row["name"] == SHARED), None)
    manifest = release["manifest"] if release else {}
    requirements = tuple(text for text in map(str, manifest.get("requirements", ())) if _is_requirement(text))
    return Surroundings(
        robot=robot,
        provided={name: version for name, version, _ in reversed(rows)},  # the first of a name wins
        by_hand=frozenset(name for name, _, by_hand in rows if by_hand),
        builtin=frozenset(map(str, told["builtin"])),
        places=tuple(map(_place, told["places"])),
        site=str(told["user_site"]["path"]),
        reads=bool(told["user_site"]["read"]),
        digest=str(release["digest"]) if release else None,
        requirements=requirements,
        constraints=tuple(map(str, manifest.get("constraints", ()))),
        brought=tuple(map(_brought, manifest.get("brought", ()))),
        links_right=_names(release) == set(told["linked"]),
    )


def _is_requirement(text: str) -> bool:
    try:
        return text.startswith("./") or bool(Requirement(text))
    except InvalidRequirement as error:
        raise ValueError("a manifest names a requirement that is none") from error


def _provided(places: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str, bool]]:
    for place in places:
        for row in place["packages"] if place["on_path"] else ():
            if row["version"]:
                yield canonicalize_name(str(row["name"])), str(row["version"]), bool(place["by_hand"])


def _place(row: Mapping[str, Any]) -> Place:
    modules = {
        str(name): None if inside is None else tuple(map(str, inside)) for name, inside in row["modules"].items()
    }
    return Place(path=str(row["path"]), by_hand=bool(row["by_hand"]), modules=modules if row["on_path"] else {})


def _brought(row: Mapping[str, Any]) -> Brought:
    wheel = Brought(name=canonicalize_name(str(row["name"])), filename=str(row["filename"]), sha256=str(row["sha256"]))
    if not (FILENAME.fullmatch(wheel.filename) and wheel.filename.endswith(".whl") and SHA256.fullmatch(wheel.sha256)):
        raise ValueError("a manifest names a wheel that can be none")
    return wheel


def _names(release: Mapping[str, Any] | None) -> set[str]:
    """The names of a release that have links."""
    names = map(str, release["names"]) if release else ()
    return {name for name in names if name != "__pycache__" and not name.endswith(".pth")}
