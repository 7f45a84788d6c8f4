"""One robot's part of a push over an open session: stage (send, install, check), switch (and check again), undo."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from builder.bundle import Bundle
from builder.counted import counted
from builder.errors import Failure
from builder.store import Blob
from ot2deploy.agent_host.client import AgentSession, open_agent
from ot2deploy.checking import Checked, run_checks
from ot2deploy.errors import CheckFailed, ConnectionFailure, NotInstalled, RobotFailure, RolledBack, TransferFailure
from ot2deploy.inventory import Robot
from ot2deploy.robots.clean import clean_after_push
from ot2deploy.rollout.clock import Clock
from ot2deploy.rollout.executor import Slots
from ot2deploy.rollout.halt import Halt, Halted
from ot2deploy.rollout.plan import Action, Plan
from ot2deploy.transport import Session

Results = tuple[dict[str, Any], ...]
STAYS = {
    False: "The release was not switched to: what was current stays so.",
    True: "This release is current and stays so; it is marked as not verified until a push or verify succeeds.",
}


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What was done to one robot: files sent and found there, bytes sent, check results, the release before.

    `switched` is false where the release was staged only.
    """

    method: str
    sent: int = 0
    reused: int = 0
    bytes_sent: int = 0
    checks: Results = ()
    previous: str | None = None
    switched: bool = False


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to do to one robot: the plan, the bundle and, for the tree method, its wheels as packs.

    `run` is the run's id, `fingerprint` the robot's as it was probed. A release is staged, switched to, or both.
    `passed` are the results of checks of a release that is staged already. With `tidy` older releases than the robot
    keeps are removed after the switch.
    """

    plan: Plan
    bundle: Bundle
    packs: tuple[Blob, ...] = ()
    run: str
    fingerprint: str
    stage: bool = True
    switch: bool = True
    tidy: bool = False
    passed: Results = ()

    @property
    def checks(self) -> Mapping[str, Any]:
        """The checks of the bundle, by when they are run."""
        checks: Mapping[str, Any] = self.bundle.manifest["checks"]
        return checks


@dataclass(frozen=True, kw_only=True)
class Turn:
    """When a step may begin: whether the push goes on, whose turn it is, and whether the robot may be switched now."""

    halt: Halt
    slots: Slots
    may_switch: Callable[[AgentSession], bool]


def deploy(session: Session, robot: Robot, order: Order, clock: Clock, turn: Turn) -> Deployment:
    """Carries out an order over an open session. Every step may be repeated after a lost connection.

    The new release becomes current only after its quick checks passed, and stays so only if its live ones do. Raises
    RobotFailure; `current` is then what it was before, and the robot's journal says why. Raises Halted between steps.
    """
    plan = order.plan
    done: dict[str, Any] = {}
    with _agent(session, robot, order, clock) as agent, _journalled(agent, plan):
        if order.stage:
            done |= _install(agent, order, clock, turn)
            results = _checked(agent, order, clock, turn)
            results.raise_failed(robot.name, STAYS[plan.action is Action.VERIFY])
            done["checks"] = results.results
        if order.switch and turn.may_switch(agent):
            with suppress(Halted), turn.halt.working():
                passed = done.get("checks", order.passed)
                done["previous"], done["checks"] = _switch(agent, robot, order, clock, passed)
                done["switched"] = True
                if order.tidy:
                    _tidy(agent, robot, plan, clock)
    return Deployment(method=plan.method, **done)


def undo(session: Session, robot: Robot, order: Order, clock: Clock) -> None:
    """Makes current again what was so before the push. Raises RobotFailure."""
    with _agent(session, robot, order, clock) as agent, clock.stage("undo"):
        _take_back(agent, order.plan.environment, order.plan.current)


@contextmanager
def _agent(session: Session, robot: Robot, order: Order, clock: Clock) -> Iterator[AgentSession]:
    with open_agent(
        session, robot, run=order.run, environment=order.plan.environment, fingerprint=order.fingerprint,
        report=clock.relay,
    ) as agent:  # fmt: skip
        yield agent


def _install(agent: AgentSession, order: Order, clock: Clock, turn: Turn) -> dict[str, int]:
    """Makes sure that the release is there; returns counts of files and bytes sent and reused."""
    plan, manifest = order.plan, order.bundle.manifest
    if plan.action is not Action.INSTALL:
        # It is complete: only its manifest, with the checks that `verify` will run, is brought up to date.
        agent.request("install", manifest=manifest, method="pip")
        return {}
    kind, blobs = ("packs", order.packs) if plan.method == "tree" else ("wheels", order.bundle.blobs)
    done = _send(agent, kind, blobs, clock, turn)
    try:
        _make(agent, order, clock, turn)
    except TransferFailure as damaged:
        # Some of what was there already is not what it was; the agent has removed all of that.
        clock.tell("install", f"{damaged.what}; sent again", level="warning")
        again = _send(agent, kind, blobs, clock, turn)
        done = {name: done[name] + again[name] for name in done}
        done["reused"] = len({blob.sha256 for blob in blobs}) - done["sent"]
        _make(agent, order, clock, turn)
    return done


def _send(agent: AgentSession, kind: str, blobs: Sequence[Blob], clock: Clock, turn: Turn) -> dict[str, int]:
    waits = partial(clock.tell, "wait", "for its turn to be sent to")
    with turn.slots.transfer(waits), turn.halt.working(), clock.stage("send"):
        stats = agent.send(kind, blobs, clock.report)
    return {"sent": stats.sent, "reused": stats.reused, "bytes_sent": stats.bytes}


def _make(agent: AgentSession, order: Order, clock: Clock, turn: Turn) -> None:
    """Has the release made, and divides the time as the robot measured it; the way there and back is "install"."""
    packs = [{"sha256": pack.sha256, "filename": pack.filename} for pack in order.packs]
    with _installing(turn, clock), turn.halt.working(), clock.stage("install"):
        answer = agent.request("install", manifest=order.bundle.manifest, method=order.plan.method, packs=packs)
    compiling = float(answer["seconds"]["compile"])
    if compiling:
        clock.move(compiling, "install", "compile")


def _installing(turn: Turn, clock: Clock) -> AbstractContextManager[None]:
    return turn.slots.install(partial(clock.tell, "wait", "for its turn to be installed on"))


def _checked(agent: AgentSession, order: Order, clock: Clock, turn: Turn) -> Checked:
    with _installing(turn, clock), turn.halt.working(), clock.stage("verify"):
        return run_checks(agent, order.plan.environment, order.plan.digest, order.checks["quick"], order.fingerprint)


def _switch(
    agent: AgentSession, robot: Robot, order: Order, clock: Clock, passed: Results
) -> tuple[str | None, Results]:
    """Makes the release current and runs its live checks, whose results follow those that passed before.

    Returns the release before, and all results; raises RolledBack.

    One whose run was cut off between the two is taken back as well; one that has been good before stays.
    """
    plan = order.plan
    with clock.stage("switch"):
        answer = agent.request("switch", environment=plan.environment, digest=plan.digest)
    previous: str | None = answer["previous"]
    live = order.checks.get("live") or []
    if not live:
        return previous, passed
    try:
        with clock.stage("live"):
            checked = run_checks(agent, plan.environment, plan.digest, live, order.fingerprint, depth="live")
            checked = replace(checked, results=(*passed, *checked.results))
            checked.raise_failed(robot.name, STAYS[True])
    except ConnectionFailure:
        raise  # nothing is known of the release; it is tried again
    except RobotFailure as failure:
        if not (answer["changed"] or answer["undecided"]):
            raise
        with clock.stage("undo"):
            again = _take_back(agent, plan.environment, previous)
        rolled_back = RolledBack(
            f"{failure.what}, after the switch; {again}",
            subject=robot.name,
            why="It passed its checks before the switch, and failed one that is run afterwards.",
            next=failure.next,
            details=failure.details,
        )
        rolled_back.results = failure.results if isinstance(failure, CheckFailed) else passed
        raise rolled_back from failure
    return previous, checked.results


def _tidy(agent: AgentSession, robot: Robot, plan: Plan, clock: Clock) -> None:
    """Removes the environment's older releases. That it could not is told; the push has not failed by that."""
    with clock.stage("clean"):
        try:
            gone = clean_after_push(agent, robot, plan.environment)
        except ConnectionFailure:
            raise
        except RobotFailure as failure:
            clock.tell("clean", failure.what, level="warning")
            return
    if gone["releases"]:
        clock.tell("clean", f"{counted(len(gone['releases']), 'older release')} removed", level="info")


def _take_back(agent: AgentSession, environment: str, before: str | None) -> str:
    """Makes current what was so before; nothing, where there was nothing or it can run no more. Says which."""
    if before is not None:
        with suppress(NotInstalled):
            agent.request("rollback", environment=environment, to=before)
            return f"release {before[:12]} is current again"
    agent.request("withdraw", environment=environment)
    return "no release is current, as before"


@contextmanager
def _journalled(agent: AgentSession, plan: Plan) -> Iterator[None]:
    """Leaves a line about a failure in the robot's journal, where the robot can still be talked to."""
    try:
        yield
    except ConnectionFailure:
        raise
    except RobotFailure as failure:
        line = {
            "op": "push", "environment": plan.environment, "digest": plan.digest, "previous": plan.current,
            "result": "failed", "detail": f"{failure.code}: {failure.what}",
        }  # fmt: skip
        with suppress(Failure, BrokenPipeError):  # an agent that has ended keeps no journal; the failure is what counts
            agent.request("record", line=line)
        raise
