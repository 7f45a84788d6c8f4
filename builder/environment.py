"""Environments: named sets of requirements with their checks and settings, as values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from builder.fetch import public
from builder.files import digest_of

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
FLOOR = "3.10"  # the oldest Python of a supported robot
TIMEOUTS = {"import": 300.0, "run": 300.0, "program": 900.0}  # seconds; robots and emulated ones are 10-20x slower


PROFILE = "{profile}"  # in an index's URL: its branches


@dataclass(frozen=True, kw_only=True)
class Index:
    """An index named by the project: an http(s) URL of the simple API, or the file: URL of a directory.

    A directory holds wheels, or is the static tree of an index. A URL with {profile} in it is that of our own index's
    branches. `said` tells where the index was named.
    """

    name: str
    url: str
    said: str = field(default="", compare=False)

    @property
    def branched(self) -> bool:
        """Whether it has a branch for each profile, and one of the lab's own projects."""
        return PROFILE in self.url

    def branch(self, name: str) -> Index:
        """The branch of a profile, or of "own", as an index of its own; itself where there are no branches."""
        return replace(self, url=self.url.replace(PROFILE, name))


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check of an installed release; `kind` is import, run or program and says which of the fields is set."""

    kind: str
    name: str
    timeout: float
    module: str = ""
    argv: tuple[str, ...] = ()
    expect: str | None = None
    source: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The check as it stands in a manifest."""
        own: dict[str, dict[str, Any]] = {
            "import": {"module": self.module},
            "run": {"argv": list(self.argv), "expect": self.expect},
            "program": {"source": self.source},
        }
        return {"kind": self.kind, "name": self.name, "timeout": self.timeout, **own[self.kind]}


def parsed(text: str) -> Requirement:
    """A requirement by PEP 508. Raises InvalidRequirement, also for `===` without a version, which packaging takes."""
    requirement = Requirement(text)
    if any(not one.version for one in requirement.specifier):
        raise InvalidRequirement(f"no version stands behind {text.strip()[-3:]}")
    return requirement


def import_check(module: str) -> Check:
    """The check that `module` can be imported from the release."""
    return Check(kind="import", name=f"import {module}", timeout=TIMEOUTS["import"], module=module)


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What is to be installed together.

    `requirements` and `constraints` are PEP 508 strings, `local` absolute paths of projects, modules and files beside
    them. `as_of` is a date (YYYY-MM-DD): nothing uploaded later is considered; None means the day of the first lock.
    `python` is the oldest Python the lock must hold for. `quick`, `deep` and `live` are None where nobody gave checks.
    A `shared` one stands beside the packages of the robot's own software, of which `provided` has names (as indexes
    compare them) and versions. `source` says what the target was: environment, recipe, requirement, path, wheel or url.
    """

    name: str
    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    local: tuple[Path, ...] = ()
    as_of: str | None = None
    indexes: tuple[Index, ...] = ()
    python: str = FLOOR
    quick: tuple[Check, ...] | None = None
    deep: tuple[Check, ...] | None = None
    live: tuple[Check, ...] | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    system_packages: bool = False
    install_method: str | None = None
    shared: bool = False
    provided: Mapping[str, str] = field(default_factory=dict)
    source: str = "environment"
    path: Path | None = None

    def with_indexes(self, *, first: Iterable[Index] = (), last: Iterable[Index] = ()) -> Environment:
        """The environment with further indexes before and after its own; of one name the first counts."""
        by_name: dict[str, Index] = {}
        for index in (*first, *self.indexes, *last):
            by_name.setdefault(index.name, index)
        return replace(self, indexes=tuple(by_name.values()))

    @property
    def wanted(self) -> tuple[str, ...]:
        """What a person would say is in it: the requirements, and the names of local files and directories."""
        return (*self.requirements, *(f"./{path.name}" for path in self.local))

    @property
    def lock_name(self) -> str:
        """What its lock is called. A shared one is locked around what a robot has: robots that differ have others."""
        if not self.shared:
            return self.name
        return f"{self.name}-{digest_of([sorted(self.wanted), sorted(self.constraints), dict(self.provided)])[:12]}"

    @property
    def digest(self) -> str:
        """sha256 over everything that is written in it (not over the contents of local projects)."""
        return digest_of(
            {
                "name": self.name,
                "requirements": list(self.requirements),
                "constraints": list(self.constraints),
                "local": [str(path) for path in self.local],
                "as_of": self.as_of,
                "indexes": [[index.name, public(index.url)] for index in self.indexes],
                "python": self.python,
                "quick": None if self.quick is None else [check.as_dict() for check in self.quick],
                "deep": None if self.deep is None else [check.as_dict() for check in self.deep],
                "live": None if self.live is None else [check.as_dict() for check in self.live],
                "variables": dict(self.variables),
                "system_packages": self.system_packages,
                "install_method": self.install_method,
                "shared": self.shared,
                "provided": dict(self.provided),
            }
        )


def safe_name(text: str) -> str:
    """An environment name made of any text: lower case, other characters become dashes."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._") or "unnamed"
