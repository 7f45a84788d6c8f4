"""The main job: leaves every robot with a verified release of an environment, or exactly as it was."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from builder.bundle import Bundle
from builder.errors import UsageFailure
from builder.events import Event
from ot2deploy.agent.manifest import SHARED
from ot2deploy.bundles import Alike, Bundles, RobotBundles, from_file, is_bundle_file
from ot2deploy.errors import Interrupted
from ot2deploy.rollout.afterwards import Afterwards
from ot2deploy.rollout.course import Course
from ot2deploy.rollout.executor import Executor, LocalThreads, Slots
from ot2deploy.rollout.halt import Halt, on_interrupt
from ot2deploy.rollout.importable import Importable
from ot2deploy.rollout.kept import asked, kept_bundles, kept_values, to_keep
from ot2deploy.rollout.outcome import PushResult, RobotResult
from ot2deploy.rollout.planner import Planner, Step, Task
from ot2deploy.rollout.prepare import Common
from ot2deploy.rollout.signatures import signed_with
from ot2deploy.rollout.waves import Policy
from ot2deploy.runs import Run
from ot2deploy.runs.record import RunRecord
from ot2deploy.visit import Fleet

TRANSFERS = 8  # robots sent to at once; more only share the same air


@dataclass(frozen=True, kw_only=True)
class PushRequest:
    """What to push where, and how. `method` is "pip", "tree" or None (robot's or environment's own choice).

    `wait_idle` is for how many seconds busy robots are waited for; None leaves them staged. `transfers` and `installs`
    are how many robots are sent to and installed on at the same time; None is the default. `sign` is an SSH key.
    `shared` installs for protocols: what is shared with them already, with the target (which may be "") and not the
    projects of `without`. `resumes` is the run whose bundles are pushed again.
    """

    fleet: Fleet
    target: str
    dry_run: bool = False
    method: str | None = None
    repair: bool = True
    offline: bool = False
    policy: Policy = field(default_factory=Policy)
    wait_idle: float | None = None
    transfers: int | None = None
    installs: int | None = None
    afterwards: Afterwards = field(default_factory=Afterwards)
    sign: Path | None = None
    shared: bool = False
    without: tuple[str, ...] = ()
    resumes: Run | None = None


def push(request: PushRequest) -> PushResult:
    """inventory -> probe -> bundles -> plan -> stage, install, verify, switch on each robot -> record.

    Raises UsageFailure for a bad target or inventory; a robot's failure stands in its row and stops only that robot.
    """
    start = time.monotonic()
    robots = request.fleet.robots
    with _interrupts_told(None):
        bundles = robot_bundles(request)
    record = None if request.dry_run else _record(request, bundles)
    halt = Halt()
    finishing = request.policy.all_or_none and request.afterwards.any
    common = Common(
        fleet=request.fleet, bundles=bundles, record=record, halt=halt, slots=_slots(request), method=request.method,
        offline=request.offline, met=_Releases(record),
        deadline=None if request.wait_idle is None else start + request.wait_idle, afterwards=request.afterwards,
        finishing=finishing,
    )  # fmt: skip
    courses = {robot.name: Course(common, request.fleet.links[robot.name]) for robot in robots}
    planner = Planner(
        robots=tuple(courses), policy=request.policy, waiting=request.wait_idle is not None, finishing=finishing
    )
    executor = LocalThreads(lambda task: courses[task.robot].take(task.step), request.fleet.at_once)
    with _interrupts_told(record), on_interrupt(halt, lambda: _tell_stop(request)):
        if record is None:
            look(executor, courses)
        else:
            roll_out(planner, executor, halt, courses, record)
    rows = tuple(course.row for course in courses.values())
    result = PushResult(
        environment=bundles.environment,
        origin=bundles.origin,
        run=record.run if record else None,
        record=record.path if record else None,
        rows=rows,
        seconds=time.monotonic() - start,
        waves=tuple(planner.waves),
        stopped=planner.stopped,
        interrupted=halt.interrupted,
        importable=_importable(request, bundles.environment, rows),
    )
    if record is None:
        return result
    record.end(result.exit_code)
    return replace(result, unrecorded=record.failure)


def _record(request: PushRequest, bundles: RobotBundles) -> RunRecord:
    """The run's record, begun; a run that goes on with another keeps that one's bundles, too."""
    record = RunRecord(request.fleet.project.state_dir, "push", **asked(request, bundles.origin))
    for digest, value in kept_values(request.resumes).items() if request.resumes else ():
        record.keep(digest, value)
    return record


def _importable(request: PushRequest, environment: str, rows: Sequence[RobotResult]) -> Importable | None:
    """Where what is now on some robot can be imported; None where it is on none."""
    there = {row.robot for row in rows if row.is_current}
    robots = [robot for robot in request.fleet.robots if robot.name in there]
    if not robots:
        return None
    return Importable(
        environment=environment,
        shared=environment == SHARED,
        kernel=request.afterwards.kernel,
        restarted=all(row.restarted for row in rows if row.robot in there),
        bases=tuple(robot.base for robot in robots),
        options=robots[0].file_option,
    )


def look(executor: Executor, courses: Mapping[str, Course]) -> None:
    """Has every robot looked at, for a dry run."""
    for name in courses:
        executor.submit(Task(robot=name, step=Step.LOOK))
    for ended in executor.events():
        if ended.error is not None:
            raise ended.error


def roll_out(
    planner: Planner, executor: Executor, halt: Halt, courses: Mapping[str, Course], record: RunRecord
) -> None:
    """Lets the executor do what the planner says, until nothing is left; records each robot's row as it changes."""
    for task in planner.begin():
        executor.submit(task)
    stopped = False
    for ended in executor.events():
        if ended.error is not None:
            raise ended.error
        record.add("robot", **courses[ended.task.robot].row.as_dict())
        if halt.why:
            planner.stop(halt.why)
        waves = len(planner.waves)
        following = planner.ended(ended.task, ended.verdict)
        if planner.stopped and not stopped:
            stopped = True
            record.add("stopped", why=planner.stopped)
            halt.set(planner.stopped)
            executor.cancel()
        if len(planner.waves) > waves:
            record.add("wave", robots=list(planner.waves[-1]))
        for task in following:
            executor.submit(task)


class _Releases:
    """Says once what each release is made of, for `ot2deploy.runs.last_known`, and keeps it to go on from."""

    def __init__(self, record: RunRecord | None) -> None:
        self._record = record
        self._guard = threading.Lock()
        self._said: set[str] = set()

    def __call__(self, bundle: Bundle) -> None:
        with self._guard:
            if self._record is None or bundle.digest in self._said:
                return
            self._said.add(bundle.digest)
            wheels = [[wheel["name"], wheel["version"], wheel["sha256"]] for wheel in bundle.manifest["wheels"]]
            self._record.keep(bundle.digest, to_keep(bundle))
            self._record.add("release", environment=bundle.environment, digest=bundle.digest, wheels=wheels)


def _slots(request: PushRequest) -> Slots:
    at_once = request.fleet.at_once
    return Slots(transfers=request.transfers or TRANSFERS, installs=request.installs or at_once)


def _tell_stop(request: PushRequest) -> None:
    message = "each robot's step is brought to its end; Ctrl-C again stops at once"
    request.fleet.report(Event(subject="", stage="stopping", message=message, level="warning"))


@contextmanager
def _interrupts_told(record: RunRecord | None) -> Iterator[None]:
    """Records an interrupt, and says what it means for the robots. Raises Interrupted in its place.

    Without a record no robot is changed: none was begun yet, or it is a dry run.
    """
    try:
        yield
    except KeyboardInterrupt:
        if record is None:
            raise Interrupted("interrupted: nothing was changed on any robot", next="Push the same again.") from None
        record.add("interrupted")
        raise Interrupted(
            "interrupted",
            why="Each robot has the release that was current before, or the new one if its switch was reported.",
            next=f"To go on: ot2deploy push --resume {record.run}",
        ) from None


def robot_bundles(request: PushRequest) -> RobotBundles:
    """The target as a source of bundles for robots: where protocols share them, each robot's own."""
    if not request.shared:
        return Alike(open_bundles(request))
    if is_bundle_file(request.target):
        raise UsageFailure(
            "a bundle file cannot be shared with protocols",
            why="What is shared on a robot is chosen together, around the packages that it has of its own.",
            next="Name what the bundle was made of.",
        )
    from ot2deploy.engine import shared_bundles

    return shared_bundles(
        request.fleet.project, request.target, without=request.without, sign=request.sign, offline=request.offline,
        repair=request.repair, report=request.fleet.report,
    )  # fmt: skip


def open_bundles(request: PushRequest) -> Bundles:
    """The target as a source of bundles: a bundle file as it is, anything else through the build engine; of a run that
    is gone on with, what it had."""
    if request.resumes:
        return kept_bundles(request.resumes, functools.cache(lambda: open_bundles(replace(request, resumes=None))))
    bundles = _bundles(request)
    return signed_with(bundles, request.sign) if request.sign else bundles


def _bundles(request: PushRequest) -> Bundles:
    if is_bundle_file(request.target):
        return from_file(Path(request.target))
    from ot2deploy.engine import environment_bundles

    where = request.fleet
    return environment_bundles(
        where.project, request.target, offline=request.offline, repair=request.repair, report=where.report
    )
