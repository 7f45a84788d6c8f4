"""The main job: leaves every robot with a verified release of an environment, or exactly as it was."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from builder.bundle import Bundle
from builder.errors import Failure
from builder.profile import Profile
from builder.store import Blob
from ot2deploy import fleet
from ot2deploy.bundles import Bundles, from_file, is_bundle_file
from ot2deploy.errors import Interrupted
from ot2deploy.fleet import Outcome
from ot2deploy.link import Link
from ot2deploy.record import RunRecord
from ot2deploy.robots.probe import RobotState, probe, read_state
from ot2deploy.rollout.deploy import Clock, Order, deploy
from ot2deploy.rollout.outcome import PushResult, RobotResult
from ot2deploy.rollout.plan import Action, Plan, make_plan, preflight
from ot2deploy.visit import Fleet

DONE = {Action.INSTALL: "pushed", Action.SWITCH: "switched", Action.VERIFY: "verified"}


@dataclass(frozen=True, kw_only=True)
class PushRequest:
    """What to push where, and how. `method` is "pip", "tree" or None (robot's or environment's own choice)."""

    fleet: Fleet
    target: str
    dry_run: bool = False
    method: str | None = None
    repair: bool = True
    offline: bool = False


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A robot that answered: its state, the bundle for its profile, and what would be done."""

    link: Link
    state: RobotState
    profile: Profile
    bundle: Bundle
    plan: Plan
    clock: Clock


def push(request: PushRequest) -> PushResult:
    """inventory -> probe -> bundles -> plan -> stage, install, verify, switch on each robot -> record.

    Raises UsageFailure for a bad target or inventory; a robot's failure stands in its row and stops only that robot.
    """
    start = time.monotonic()
    robots, links, jobs = request.fleet.robots, request.fleet.links, request.fleet.at_once
    bundles = open_bundles(request)
    record = None if request.dry_run else RunRecord(request.fleet.project.state_dir, "push", target=request.target)
    with _interrupts_told(record):
        prepared = fleet.outcomes(robots, lambda robot: _prepare(request, links[robot.name], bundles), jobs=jobs)
        _record_releases(record, prepared)
        rows = fleet.each(prepared, lambda outcome: _finish(request, record, outcome), jobs=jobs)
    return PushResult(
        environment=bundles.environment,
        origin=bundles.origin,
        run=record.run if record else None,
        record=record.path if record else None,
        rows=tuple(rows),
        seconds=time.monotonic() - start,
    )


def _record_releases(record: RunRecord | None, prepared: Sequence[Outcome[Prepared]]) -> None:
    """Says what each release is made of; `ot2deploy.last_known` reads it back."""
    if record is None:
        return
    manifests = {one.value.bundle.digest: one.value.bundle.manifest for one in prepared if one.value}
    for digest, manifest in manifests.items():
        wheels = [[wheel["name"], wheel["version"], wheel["sha256"]] for wheel in manifest["wheels"]]
        record.add("release", environment=manifest["environment"], digest=digest, wheels=wheels)


@contextmanager
def _interrupts_told(record: RunRecord | None) -> Iterator[None]:
    """Records an interrupt, and says what it means for the robots. Raises Interrupted in its place."""
    try:
        yield
    except KeyboardInterrupt:
        if record is None:
            raise
        record.add("interrupted")
        raise Interrupted(
            "interrupted",
            why="Each robot has the release that was current before, or the new one if its switch was reported.",
            next="Run the same command again to go on.",
        ) from None


def open_bundles(request: PushRequest) -> Bundles:
    """The target as a source of bundles: a bundle file as it is, anything else through the build engine."""
    if is_bundle_file(request.target):
        return from_file(Path(request.target))
    from ot2deploy.engine import environment_bundles

    where = request.fleet
    return environment_bundles(
        where.project, request.target, offline=request.offline, repair=request.repair, report=where.report
    )


def _prepare(request: PushRequest, link: Link, bundles: Bundles) -> Prepared:
    """Asks the robot what it is, gets the bundle for that, and plans."""
    robot = link.robot
    clock = Clock(robot.name, request.fleet.report)
    with clock.stage("probe"):
        state, profile = link.attempt(lambda session: probe(session, robot, bundles.environment))
    with clock.stage("bundle", profile.name):
        bundle = bundles.for_profile(profile)
    plan = make_plan(robot, state, bundle, request.method)
    if plan.action is Action.INSTALL:  # only now it matters what is there already, and how much room there is
        with clock.stage("probe"):
            state = link.attempt(lambda session: read_state(session, robot, bundles.environment))
        plan = make_plan(robot, state, bundle, request.method)
    return Prepared(link=link, state=state, profile=profile, bundle=bundle, plan=plan, clock=clock)


def _finish(request: PushRequest, record: RunRecord | None, outcome: Outcome[Prepared]) -> RobotResult:
    """One robot's row, its plan carried out unless this is a dry run; recorded when it is done."""
    row = RobotResult(robot=outcome.robot.name, outcome="failed", failure=outcome.failure)
    if outcome.value is not None:
        try:
            row = _act(request, record, outcome.value)
        except Failure as failure:
            failure.subject = failure.subject or outcome.robot.name
            ready = outcome.value
            row = replace(row, plan=ready.plan, seconds=ready.clock.seconds, failure=failure)
        finally:
            outcome.value.link.close()
    if record is not None:
        record.add("robot", **row.as_dict())
    return row


def _act(request: PushRequest, record: RunRecord | None, ready: Prepared) -> RobotResult:
    """Carries out one robot's plan. Raises Failure."""
    robot, plan, clock = ready.link.robot, ready.plan, ready.clock
    preflight(robot, ready.state, plan)
    row = RobotResult(robot=robot.name, outcome="planned", plan=plan, seconds=clock.seconds)
    if record is None:
        return row
    if plan.action is Action.NOTHING:
        return replace(row, outcome=str(plan.action))
    record.add("begin", robot=robot.name, environment=plan.environment, digest=plan.digest, current=plan.current)
    order = Order(
        plan=plan, bundle=ready.bundle, run=record.run, fingerprint=ready.state.fingerprint,
        packs=_packs(request, ready) if plan.method == "tree" and plan.action is Action.INSTALL else (),
    )  # fmt: skip
    done = ready.link.attempt(lambda session: deploy(session, robot, order, clock))
    clock.tell(DONE[plan.action], "", level="done")
    return replace(row, outcome=DONE[plan.action], deployment=done)


def _packs(request: PushRequest, ready: Prepared) -> tuple[Blob, ...]:
    """The bundle's wheels as trees, for the tree method."""
    from ot2deploy.engine import packs

    where = request.fleet
    with ready.clock.stage("pack"):
        return packs(ready.bundle, ready.profile, project=where.project, offline=request.offline, report=where.report)
