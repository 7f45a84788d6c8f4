"""The bundles of a shared install: for each robot its own, of all that is shared there, around what it has already."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.utils import canonicalize_name

from builder import local
from builder.bundle import Bundle
from builder.engine import Engine
from builder.environment import Environment
from builder.errors import HashFailure, UsageFailure
from builder.events import Report
from builder.pipeline import make_bundle
from builder.profile import Profile
from builder.provided import ProvidedConflict
from builder.store import Blob
from ot2deploy.agent.manifest import SHARED
from ot2deploy.bundles import Ask, Once
from ot2deploy.errors import NotInstalled, SharedConflict
from ot2deploy.inventory import Robot
from ot2deploy.robots.surroundings import Brought, Surroundings, read_surroundings, requirement_name
from ot2deploy.rollout import conflicts
from ot2deploy.rollout.plan import Action, Plan
from ot2deploy.rollout.signatures import signed
from ot2deploy.transport import Session, script

FETCH = 300.0  # seconds for one wheel from a robot


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is asked of the shared sets: to have what is in `adds`, and not the projects named `without`."""

    adds: Environment | None = None
    without: frozenset[str] = frozenset()


@dataclass(kw_only=True)
class SharedBundles:
    """Gives each robot the bundle of its shared environment; robots that are alike get the same one."""

    engine: Engine
    change: Change
    origin: str
    report: Report
    sign: Path | None = None
    environment: str = SHARED
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _made: dict[str, Once] = field(default_factory=dict)
    _there: dict[str, Surroundings] = field(default_factory=dict)

    def for_robot(self, robot: Robot, ask: Ask, profile: Profile) -> Bundle:
        """The bundle for one robot. Raises SharedConflict with everything that speaks against it, NotInstalled where
        nothing is shared yet and nothing is added, RobotUnsupported for software that ignores user packages."""
        there = ask(lambda session: read_surroundings(session, robot))
        if not there.reads:
            raise conflicts.ignored(there)
        environment = self._environment(robot, ask, profile, there)
        with self._guard:
            self._there[robot.name] = there
            once = self._made.setdefault(
                environment.digest, Once(SHARED, self.origin, lambda wanted: self._bundle(environment, wanted))
            )
        try:
            bundle = once.for_profile(profile)
        except ProvidedConflict as failure:
            raise conflicts.refused(robot.name, conflicts.of_versions(failure.conflicts, there)) from None
        if clashes := [*_by_hand(self._names(environment), there), *conflicts.of_modules(bundle, there)]:
            raise conflicts.refused(robot.name, clashes)
        if not bundle.blobs:
            raise _nothing(robot, bundle)
        return bundle

    def planned(self, robot: Robot, plan: Plan, bundle: Bundle) -> Plan:
        """The plan, which also puts links right and tells what was asked for and is there."""
        there, provided = self._there[robot.name], bundle.manifest["provided"]
        texts = (text for text in bundle.manifest["requirements"] if not text.startswith("./"))
        asked = map(requirement_name, texts)
        own = [f"{name} {provided[name]} is the robot's own" for name in asked if name in provided]
        if plan.action is Action.NOTHING and not there.links_right:
            plan = replace(plan, action=Action.VERIFY, reasons=("links among the robot's user packages are missing",))
        absent = [f"{name} was not asked for there" for name in sorted(self.change.without - there.asked)]
        return replace(plan, reasons=(*plan.reasons, *own, *absent))

    def _bundle(self, environment: Environment, profile: Profile) -> Bundle:
        made = make_bundle(environment, profile, self.engine, self.report)
        return signed(made, self.sign) if self.sign else made

    def _environment(self, robot: Robot, ask: Ask, profile: Profile, there: Surroundings) -> Environment:
        """All that is to be shared on a robot: what is there, what is added in its place or beside it, and not what is
        taken out."""
        adds = self.change.adds or self.engine.search.indexed(Environment(name=SHARED))
        if self.change.adds is None and there.digest is None:
            raise NotInstalled(
                "nothing is shared with its protocols yet",
                subject=robot.name,
                next=f"Run: ot2deploy push TARGET --shared --limit {robot.name}{robot.file_option}",
            )
        new = self._names(adds)
        gone = new | self.change.without
        kept = [text for text in there.named if requirement_name(text) not in gone]
        wheels = [self._wheel(robot, ask, wheel).path for wheel in there.brought if wheel.name not in gone]
        if not (kept or wheels or adds.requirements or adds.local):
            raise SharedConflict(
                "nothing would be left of what is shared with its protocols",
                subject=robot.name,
                next=f"Run: ot2deploy remove {SHARED} --limit {robot.name}{robot.file_option}",
            )
        return replace(
            adds,
            name=SHARED,
            requirements=(*kept, *adds.requirements),
            constraints=tuple(dict.fromkeys((*there.constraints, *adds.constraints))),
            local=(*wheels, *adds.local),
            python=profile.python,
            quick=None, deep=None, live=None, variables={},
            system_packages=True,
            shared=True,
            provided=there.provided,
        )  # fmt: skip

    def _names(self, environment: Environment) -> set[str]:
        """The projects that an environment asks for; local ones are made into files for that."""
        with self._guard:
            files = local.prepare(environment, self.engine.store, self.engine.uv, self.report)
        return {requirement_name(text) for text in environment.requirements} | {
            canonicalize_name(file.name) for file in files
        }

    def _wheel(self, robot: Robot, ask: Ask, wheel: Brought) -> Blob:
        """A wheel that was made of local files before: this computer's, else as the robot has it."""
        known = self.engine.store.blob(wheel.sha256)
        if known:
            return known
        data = ask(lambda session: _fetched(session, f"{robot.base_path}/wheels/{wheel.sha256}"))
        with self.engine.store.scratch() as work:
            copy = Path(work) / wheel.filename
            copy.write_bytes(data)
            try:
                return self.engine.store.add(copy, how="local", facts={"origin": robot.name}, sha256=wheel.sha256)
            except HashFailure:
                raise SharedConflict(
                    f"{wheel.name}, which is shared there, is neither on this computer nor whole on the robot",
                    subject=robot.name,
                    why="It was made of local files, and all that is shared is installed together.",
                    next=f"Push it again together with this, or take it out: --without {wheel.name}",
                ) from None


def _fetched(session: Session, directory: str) -> bytes:
    """The one wheel in a directory; its name may hold what no remote command line takes."""
    return session.run(script("cat @directory@/*.whl", directory=directory), timeout=FETCH).stdout


def _by_hand(asked: Collection[str], there: Surroundings) -> list[str]:
    """What is asked for, and was installed by hand in a version that would do."""
    return [
        f"{name} {there.provided[name]} was installed by hand: pip uninstall {name} on the robot, or do not ask for it"
        for name in sorted(there.by_hand.intersection(asked))
    ]


def _nothing(robot: Robot, bundle: Bundle) -> SharedConflict:
    there = ", ".join(f"{name} {version}" for name, version in sorted(bundle.manifest["provided"].items()))
    return SharedConflict(
        f"protocols have it already: {there}",
        subject=robot.name,
        why="It comes with the robot's software, in a version that will do. Nothing was sent.",
        next="Nothing needs to be pushed.",
    )


def change_of(adds: Environment | None, without: Collection[str]) -> Change:
    """What a user asked for. Raises UsageFailure for a project that is added and taken out, and for variables."""
    names = frozenset(canonicalize_name(name) for name in without)
    if adds is not None and (both := names & {requirement_name(text) for text in adds.requirements}):
        raise UsageFailure(f"{', '.join(sorted(both))}: both to be added and to be left out")
    if adds is not None and adds.variables:
        raise UsageFailure(
            f"{adds.name} sets variables ({', '.join(sorted(adds.variables))}), which protocols would not see",
            why="The robot server has the variables that its own software gives it.",
            next="Push it without --shared, or take them out of its environment.yaml.",
        )
    return Change(adds=adds, without=names)
