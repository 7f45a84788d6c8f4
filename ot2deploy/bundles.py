"""Where a push takes its bundles from: an environment and the engine, or a bundle file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from builder.bundle import Bundle
from builder.errors import Failure, UsageFailure
from builder.profile import Profile

if TYPE_CHECKING:
    from ot2deploy.inventory import Robot
    from ot2deploy.rollout.plan import Plan
    from ot2deploy.transport import Session

T = TypeVar("T")


class Ask(Protocol):
    """Asks one robot something over its connection, again where that was lost; `Link.attempt` does."""

    def __call__(self, work: Callable[[Session], T]) -> T:
        """What `work` returns. Raises what it raises."""


class Bundles(Protocol):
    """Gives the bundle for a profile. `environment` is its name, `origin` says in words what the target was."""

    environment: str
    origin: str

    def for_profile(self, profile: Profile) -> Bundle:
        """The bundle for robots of this profile. Raises Failure; safe to call from many threads."""


class RobotBundles(Protocol):
    """Gives each robot its bundle; otherwise like `Bundles`."""

    environment: str
    origin: str

    def for_robot(self, robot: Robot, ask: Ask, profile: Profile) -> Bundle:
        """The bundle for a robot of this profile. Raises Failure; safe to call from many threads."""

    def planned(self, robot: Robot, plan: Plan, bundle: Bundle) -> Plan:
        """The plan for a robot whose bundle was given, with what the bundles know besides."""


class Alike:
    """Gives robots of a profile the same bundle."""

    def __init__(self, bundles: Bundles) -> None:
        self.environment, self.origin, self._bundles = bundles.environment, bundles.origin, bundles

    def for_robot(self, robot: Robot, ask: Ask, profile: Profile) -> Bundle:  # noqa: ARG002 - as RobotBundles has it
        """The bundle for the profile."""
        return self._bundles.for_profile(profile)

    def planned(self, robot: Robot, plan: Plan, bundle: Bundle) -> Plan:  # noqa: ARG002
        """The plan as it is."""
        return plan


class Once:
    """Makes one bundle per ABI, however many robots ask for it at the same time; failures are remembered, too."""

    def __init__(self, environment: str, origin: str, make: Callable[[Profile], Bundle]) -> None:
        self.environment, self.origin, self._make = environment, origin, make
        self._guard = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}
        self._made: dict[str, Bundle | Failure] = {}

    def for_profile(self, profile: Profile) -> Bundle:
        """The bundle for a profile, made by the first who asks; the others wait."""
        with self._guard:
            turn = self._turns.setdefault(profile.key, threading.Lock())
        with turn:
            if profile.key not in self._made:
                try:
                    self._made[profile.key] = self._make(profile)
                except Failure as failure:
                    failure.subject = failure.subject or profile.name  # several robots will show it
                    self._made[profile.key] = failure
        made = self._made[profile.key]
        if isinstance(made, Failure):
            raise made
        return made


def from_file(path: Path) -> Bundles:
    """Bundles of an `.ot2bundle` file; needs no index, uv or compiler."""
    from builder import profile_host

    found = held_in(path)
    by_abi = {bundle.manifest["abi"]: bundle for bundle in found}
    name = found[0].manifest["environment"]

    def pick(profile: Profile) -> Bundle:
        if profile.key not in by_abi:
            held = sorted(bundle.manifest["profile"]["name"] for bundle in found)
            both = " ".join([*(f"--profile {one}" for one in held), profile_host.option(profile)])
            raise UsageFailure(
                f"{path.name} holds nothing for {profile.name}",
                why=f"It was made for {', '.join(held)}.",
                next=f"Make it anew of what it was made from: ot2deploy bundle TARGET -o {path.name} {both}",
            )
        return by_abi[profile.key]

    return Once(name, f"bundle file {path.name}", pick)


def held_in(path: Path) -> tuple[Bundle, ...]:
    """All bundles of a file. Raises UsageFailure when it is not there, BundleFailure when it is none."""
    from builder import bundle as bundle_module

    if not path.is_file():
        raise UsageFailure(f"{path} does not exist", next=f"Run: ot2deploy bundle TARGET --profile NAME -o {path}")
    return bundle_module.read(path)


def is_bundle_file(target: str) -> bool:
    """Whether a target names a bundle file."""
    return target.endswith(".ot2bundle")
