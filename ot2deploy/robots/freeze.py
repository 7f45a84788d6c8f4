"""What is installed on a robot, as an environment's file with exact versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from builder.environment import FLOOR
from builder.printable import one_line
from ot2deploy.errors import NotInstalled
from ot2deploy.robots.packages import BY_HAND, Environment, Package, RobotPackages


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """An environment.yaml: `requirements` ("numpy==1.26.4"), and `left_out`, what no index has or nobody can use.

    `notes` are further comments, by requirement.
    """

    robot: str
    title: str
    python: str
    as_of: str | None
    system_packages: bool
    requirements: tuple[str, ...]
    notes: Mapping[str, str]
    left_out: tuple[str, ...]

    @property
    def text(self) -> str:
        """The file."""
        lines = [f"# {self.title} on robot {self.robot} (Python {self.python}), with exact versions.", "requirements:"]
        for requirement in self.requirements:
            note = self.notes.get(requirement)
            lines.append(f"  - {requirement}" + (f"  # {note}" if note else ""))
        lines += [f"  # left out: {one}" for one in self.left_out]
        if self.as_of:
            lines.append(f"as_of: {self.as_of}")
        if self.system_packages:
            lines.append("system_packages: true")
        if self.python != FLOOR:
            lines.append(f'python: "{self.python}"')
        return "\n".join(lines) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """The file and its parts as JSON."""
        return {
            "robot": self.robot,
            "requirements": list(self.requirements),
            "left_out": list(self.left_out),
            "text": self.text,
        }


def freeze(found: RobotPackages, environments: Sequence[str] = (), *, by_hand: bool) -> Frozen:
    """What was installed by hand, or is in some of our environments, or both; of one name, ours counts.

    Raises NotInstalled for an environment that is not there, and when nothing is left that an index may have.
    """
    chosen = [_environment(found, name) for name in environments]
    wanted: dict[str, Package] = {}
    left_out = []
    for package in _candidates(found, environments, by_hand=by_hand):
        if reason := _unfit(package, chosen):
            left_out.append(f"{package.name} {package.version or '(no version)'}: {reason}")
        elif package.key not in wanted:
            wanted[package.key] = package
        elif wanted[package.key].version != package.version:
            other = wanted[package.key]
            left_out.append(
                f"{package.name} {package.version} ({_place(package)}): {_place(other)} has {other.version}"
            )
    if by_hand:
        left_out += [f"{path}: it belongs to no package" for path in found.loose]
    for environment in chosen:
        left_out += [f"the value of the variable {name} of {environment.name}" for name in environment.variables]
    title = " and ".join([*(["Installed by hand"] if by_hand else []), *(f"Environment {one}" for one in environments)])
    if not wanted:
        raise NotInstalled(
            "there is nothing to freeze",
            subject=found.robot,
            why=f"{title}: nothing that an index could have.",
            details=tuple(map(one_line, left_out)),
            next=f"See what it has: {found.look}",
        )
    taken = sorted(wanted.values(), key=lambda one: one.key)
    return Frozen(
        robot=found.robot,
        title=title,
        python=found.python,
        # What somebody installed by hand may be younger than any environment's date.
        as_of=None if by_hand else max((one.as_of for one in chosen if one.as_of), default=None),
        system_packages=any(one.system_packages for one in chosen),
        requirements=tuple(map(_requirement, taken)),
        notes={
            _requirement(one): "not used there: another of that name comes first" for one in taken if not one.used_by
        },
        left_out=tuple(map(one_line, left_out)),
    )


def _candidates(found: RobotPackages, environments: Sequence[str], *, by_hand: bool) -> Iterator[Package]:
    for name in environments:
        yield from (one for one in found.packages if one.environment == name)
    if by_hand:
        yield from (one for one in found.packages if one.layer == BY_HAND)


def _environment(found: RobotPackages, name: str) -> Environment:
    for environment in found.environments:
        if environment.name == name:
            return environment
    there = ", ".join(one.name for one in found.environments)
    raise NotInstalled(
        f"environment {name} is not installed",
        subject=found.robot,
        why=f"On the robot: {there or 'nothing'}.",
        next=f"See what it has: {found.look}",
    )


def _requirement(package: Package) -> str:
    return f"{package.name}=={package.version}"


def _unfit(package: Package, chosen: list[Environment]) -> str:
    """Why a package cannot be a requirement on an index; "" when it can."""
    if package.source:
        return f"from {package.source}, not from an index"
    if not package.importable:
        return f"in {package.directory}, where this Python does not look"
    if any(package.key in one.local for one in chosen if one.name == package.environment):
        return f"made from local files of who pushed {package.environment}"
    try:
        canonicalize_name(package.name, validate=True)
        Requirement(_requirement(package))
        local = Version(package.version).local
    except (InvalidName, InvalidRequirement, InvalidVersion):
        return "an index can have no such name or version"
    return "it has a local version, which public indexes do not take" if local else ""


def _place(package: Package) -> str:
    return f"environment {package.environment}" if package.environment else package.layer
