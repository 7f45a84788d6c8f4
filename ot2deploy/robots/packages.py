"""What Python packages a robot has: the image's own, those installed by hand and ours, and which of them is used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from packaging.utils import canonicalize_name

from builder.fetch import public
from ot2deploy.agent import packages as script_module
from ot2deploy.agent.manifest import SHARED
from ot2deploy.errors import CommandFailure, RobotUnsupported
from ot2deploy.inventory import Robot
from ot2deploy.robots import probe
from ot2deploy.transport import Session, command

SYSTEM, BY_HAND, OURS = "system", "by hand", "environment"
PROTOCOLS = "protocols"  # and Jupyter: both run in the system's interpreter
USER_PACKAGES = "/var/user-packages"
T = TypeVar("T")
TIMEOUT = 120.0  # seconds; an emulated robot under load reads hundreds of small files


@dataclass(frozen=True, kw_only=True)
class Package:
    """One package at one place.

    `layer` is system, by hand or environment, `environment` the name of ours. `source` says where pip had it from,
    when that was no index. `importable` is False where the interpreter does not look. `used_by` names who gets this
    one: "protocols" (and Jupyter), environments.
    """

    name: str
    version: str
    layer: str
    directory: str
    environment: str | None = None
    source: str = ""
    importable: bool = True
    used_by: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The name as indexes compare it (PEP 503)."""
        return canonicalize_name(self.name)

    def as_dict(self) -> dict[str, Any]:
        """The package as JSON."""
        return {**self.__dict__, "used_by": list(self.used_by)}


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One of our environments, as its current release's manifest has it. `local` are packages that no index has."""

    name: str
    digest: str
    as_of: str | None
    system_packages: bool
    variables: tuple[str, ...]
    local: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class RobotPackages:
    """All packages of a robot, whose Python is `python` ("3.10"). `loose` are modules by hand of no package.

    `look` is the command that shows them.
    """

    robot: str
    look: str
    python: str
    packages: tuple[Package, ...]
    environments: tuple[Environment, ...]
    loose: tuple[str, ...]

    def named(self, name: str) -> tuple[Package, ...]:
        """The places of one package; all packages where the name is empty."""
        return tuple(one for one in self.packages if not name or one.key == canonicalize_name(name))

    def as_dict(self, name: str = "") -> dict[str, Any]:
        """Them as JSON, or one package's places."""
        return {
            "robot": self.robot,
            "python": self.python,
            "packages": [one.as_dict() for one in self.named(name)],
            "loose": list(self.loose),
        }


def read_packages(session: Session, robot: Robot) -> RobotPackages:
    """Asks a robot's own interpreter; changes nothing there. Raises CommandFailure, RobotUnsupported."""
    state = probe.read_state(session, robot, brief=True)
    if state.interpreter is None:
        raise RobotUnsupported("it has no /usr/bin/python3", subject=robot.name, why="Its system is damaged.")
    return ask(session, robot, lambda told: parse(robot, told))


def ask(session: Session, robot: Robot, read: Callable[[Any], T], *, modules: bool = False) -> T:
    """What `read` makes of what the script in a robot's own interpreter prints, with `modules` also what can be
    imported. Raises CommandFailure where it cannot be read."""
    words = (json.dumps(robot.base_path), json.dumps(robot.system_path(USER_PACKAGES)), str(modules))
    source = Path(script_module.__file__).read_bytes() + f"\nmain({', '.join(words)})\n".encode()
    python = robot.system_path("/usr/bin/python3")
    done = session.run(command(python, "-I", "-"), input=source, timeout=TIMEOUT)
    try:
        return read(json.loads(done.stdout))
    except (ValueError, LookupError, TypeError, AttributeError):
        raise CommandFailure(
            "its Python does not say which packages it has",
            subject=robot.name,
            why=f"It ended with status {done.status}.",
            details=tuple(done.error.splitlines()[-8:]),
        ) from None


def parse(robot: Robot, told: Mapping[str, Any]) -> RobotPackages:
    """The packages out of what the script printed. Raises ValueError, LookupError or TypeError for anything else."""
    environments = tuple(map(_environment, told["environments"]))
    shared = list(_shared(told["places"]))
    own = [package for row in told["environments"] for package in _own(row)]
    return RobotPackages(
        robot=robot.name,
        look=f"ot2deploy robot packages {robot.name}{robot.file_option}",
        python=str(told["python"]),
        packages=tuple(sorted(_used(shared, own, environments), key=lambda package: package.key)),
        environments=environments,
        loose=tuple(f"{row['path']}/{name}" for row in told["places"] for name in row.get("loose", ())),
    )


def _shared(places: list[Mapping[str, Any]]) -> Iterator[Package]:
    for place in places:
        layer = BY_HAND if place["by_hand"] else SYSTEM
        for row in place["packages"]:
            package = _package(row, layer, str(place["path"]))
            yield replace(package, importable=bool(place["on_path"]))


def _own(row: Mapping[str, Any]) -> Iterator[Package]:
    for told in row["packages"]:
        # pip noted the blob that we gave it, which tells nothing about where it came from.
        package = _package({**told, "source": None}, OURS, str(row["path"]))
        yield replace(package, environment=str(row["name"]))


def _package(row: Mapping[str, Any], layer: str, directory: str) -> Package:
    return Package(
        name=str(row["name"]), version=str(row["version"]), layer=layer, directory=directory,
        source=_source(row.get("source")),
    )  # fmt: skip


def _source(direct: Mapping[str, Any] | None) -> str:
    """A direct URL (PEP 610) in a few words, without logins."""
    if direct is None:
        return ""
    url = public(str(direct.get("url") or "an unknown place"))
    if (direct.get("dir_info") or {}).get("editable"):
        return f"{url} (editable)"
    commit = (direct.get("vcs_info") or {}).get("commit_id")
    return f"{url} at {commit}" if commit else url


def _environment(row: Mapping[str, Any]) -> Environment:
    manifest = row["manifest"]
    return Environment(
        name=str(row["name"]),
        digest=str(row["digest"]),
        as_of=manifest["as_of"],
        system_packages=bool(manifest["system_packages"]),
        variables=tuple(map(str, manifest["variables"])),
        local=frozenset(canonicalize_name(str(name)) for name in manifest["local"]),
    )


def _used(shared: list[Package], own: list[Package], environments: tuple[Environment, ...]) -> Iterator[Package]:
    """Each package with who gets it: the first of its name on the path wins."""
    first: dict[str, Package] = {}
    for package in shared:
        if package.importable:
            first.setdefault(package.key, package)
    has = {(package.environment, package.key) for package in own}
    users_of_the_system = [PROTOCOLS, *(one.name for one in environments if one.system_packages and one.name != SHARED)]
    for package in shared:
        won = first.get(package.key) is package
        users = (user for user in users_of_the_system if won and (user, package.key) not in has)
        yield replace(package, used_by=tuple(users))
    for package in own:
        others = users_of_the_system if package.environment == SHARED and package.key not in first else []
        yield replace(package, used_by=(*others, str(package.environment)))
