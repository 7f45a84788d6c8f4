"""The main job: leaves every robot with a verified release of an environment, or exactly as it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from builder.bundle import Bundle
from builder.events import Event
from ot2deploy.agent.manifest import SHARED
from ot2deploy.bundles import RobotBundles
from ot2deploy.errors import Interrupted
from ot2deploy.rollout.course import Course
from ot2deploy.rollout.executor import Executor, LocalThreads, Slots
from ot2deploy.rollout.halt import Halt, on_interrupt
from ot2deploy.rollout.importable import Importable
from ot2deploy.rollout.kept import asked, kept_values, to_keep
from ot2deploy.rollout.outcome import PushResult, RobotResult
from ot2deploy.rollout.planner import Planner, Step, Task
from ot2deploy.rollout.prepare import Common
from ot2deploy.rollout.request import PushRequest
from ot2deploy.rollout.target import robot_bundles, signing_command
from ot2deploy.runs.record import RunRecord

TRANSFERS = 8  # robots sent to at once; more only share the same air


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
        offline=request.offline, met=_Releases(record), signing=signing_command(request),
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
    record = RunRecord(request.fleet.project.state_dir, "push", **asked(request, bundles.environment, bundles.origin))
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
