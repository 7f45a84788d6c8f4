"""One robot's part of a push: stage, install, verify, switch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from builder.bundle import Bundle
from builder.errors import Failure
from builder.events import Event, Report
from builder.store import Blob
from ot2deploy.agent_client import AgentSession, open_agent
from ot2deploy.checking import run_checks
from ot2deploy.errors import ConnectionFailure, RobotFailure, TransferFailure
from ot2deploy.inventory import Robot
from ot2deploy.rollout.plan import Action, Plan
from ot2deploy.transport import Session

STAYS = {
    False: "The release was not switched to: what was current stays so.",
    True: "This release is current and stays so; it is marked as not verified until a push or verify succeeds.",
}


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What was done to one robot: files sent and found there, bytes sent, check results, the release before."""

    method: str
    sent: int = 0
    reused: int = 0
    bytes_sent: int = 0
    checks: tuple[dict[str, Any], ...] = ()
    previous: str | None = None


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to do to one robot: the plan, the bundle and, for the tree method, its wheels as packs.

    `run` is the run's id, `fingerprint` the robot's as it was probed.
    """

    plan: Plan
    bundle: Bundle
    packs: tuple[Blob, ...] = ()
    run: str
    fingerprint: str


class Clock:
    """Seconds per stage; a stage entered twice (after a lost connection) adds up."""

    def __init__(self, robot: str, report: Report) -> None:
        self.seconds: dict[str, float] = {}
        self.report, self._robot = report, robot

    @contextmanager
    def stage(self, name: str, message: str = "") -> Iterator[None]:
        """Reports the beginning of a stage and adds its time."""
        self.tell(name, message)
        start = time.monotonic()
        try:
            yield
        finally:
            self.add(name, time.monotonic() - start)

    def add(self, name: str, seconds: float) -> None:
        """Adds seconds to a stage."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def tell(self, stage: str, message: str, level: str = "progress") -> None:
        """Reports something about a stage."""
        self.report(Event(subject=self._robot, stage=stage, message=message, level=level))


def deploy(session: Session, robot: Robot, order: Order, clock: Clock) -> Deployment:
    """Carries out a plan over an open session. Every step may be repeated after a lost connection.

    The new release becomes current only after its quick checks passed. Raises RobotFailure; `current` is then what
    it was before, and the robot's journal says why.
    """
    plan, manifest = order.plan, order.bundle.manifest
    with (
        open_agent(
            session, robot, run=order.run, environment=plan.environment, fingerprint=order.fingerprint,
            report=clock.report,
        ) as agent,
        _journalled(agent, plan),
    ):  # fmt: skip
        done = _install(agent, order, clock)
        with clock.stage("verify"):
            results = run_checks(agent, plan.environment, plan.digest, manifest["checks"]["quick"], order.fingerprint)
            results.raise_failed(robot.name, STAYS[plan.action is Action.VERIFY])
        with clock.stage("switch"):
            previous = agent.request("switch", environment=plan.environment, digest=plan.digest)["previous"]
    return Deployment(method=plan.method, **done, checks=results.results, previous=previous)


def _install(agent: AgentSession, order: Order, clock: Clock) -> dict[str, int]:
    """Makes sure that the release is there; returns counts of files and bytes sent and reused."""
    plan, manifest = order.plan, order.bundle.manifest
    if plan.action is not Action.INSTALL:
        # It is complete: only its manifest, with the checks that `verify` will run, is brought up to date.
        agent.request("install", manifest=manifest, method="pip")
        return {}
    kind, blobs = ("packs", order.packs) if plan.method == "tree" else ("wheels", order.bundle.blobs)
    done = _send(agent, kind, blobs, clock)
    try:
        _make(agent, order, clock)
    except TransferFailure as damaged:
        # Some of what was there already is not what it was; the agent has removed all of that.
        clock.tell("install", f"{damaged.what}; sent again", level="warning")
        again = _send(agent, kind, blobs, clock)
        done = {name: done[name] + again[name] for name in done}
        done["reused"] = len({blob.sha256 for blob in blobs}) - done["sent"]
        _make(agent, order, clock)
    return done


def _send(agent: AgentSession, kind: str, blobs: Sequence[Blob], clock: Clock) -> dict[str, int]:
    with clock.stage("send"):
        stats = agent.send(kind, blobs, clock.report)
    return {"sent": stats.sent, "reused": stats.reused, "bytes_sent": stats.bytes}


def _make(agent: AgentSession, order: Order, clock: Clock) -> None:
    """Has the release made, and divides the time as the robot measured it; the way there and back is "install"."""
    packs = [{"sha256": pack.sha256, "filename": pack.filename} for pack in order.packs]
    start = time.monotonic()
    clock.tell("install", "")
    answer = agent.request("install", manifest=order.bundle.manifest, method=order.plan.method, packs=packs)
    compiling = float(answer["seconds"]["compile"])
    clock.add("install", max(0.0, time.monotonic() - start - compiling))
    if compiling:
        clock.add("compile", compiling)


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
