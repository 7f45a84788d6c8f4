"""What would make a push go wrong on a robot, found before anything is sent: pure, and all of it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ot2deploy import drift
from ot2deploy.errors import BaseUnusable, DiskFull, Locked, MemoryShort, RobotFailure, RobotUnsafe
from ot2deploy.inventory import Robot
from ot2deploy.robots.state import RobotState
from ot2deploy.rollout.plan import Action, Plan

BROKEN = ("python-gone", "release-gone")  # no program of such an environment can start
IN_MEMORY = ("tmpfs", "ramfs")
# Measured: the agent takes 20 MB, and pip with 96 wheels 51 MB beside it. The rest is for the release's checks; an OT-2
# without a run has more than 500 MB.
MEMORY = {"pip": 100 << 20, "tree": 50 << 20}


def examine(robot: Robot, state: RobotState, plan: Plan) -> tuple[RobotFailure, ...]:
    """Everything that speaks against a plan. `state` is a whole one where the plan is to install."""
    found: list[RobotFailure] = []
    if plan.action is Action.INSTALL:
        found += _room(robot, state, plan)
    if plan.action is not Action.NOTHING:
        found += _held(robot, state)
    return tuple(found)


def raise_all(findings: Sequence[RobotFailure]) -> None:
    """Raises the first finding, which tells the others in its details; nothing where there is none."""
    if not findings:
        return
    first, *others = findings
    first.also = tuple(others)
    first.details = (*first.details, *(f"also: {line}" for other in others for line in (other.what, other.next)))
    raise first


def notices(state: RobotState, plan: Plan, repair: Callable[[str], str]) -> tuple[str, ...]:
    """What was seen of other environments, each with what `repair` says of it. `state` is one with all of them."""
    seen = (one for one in drift.find(state, {}) if one.environment != plan.environment)
    return tuple(f"{one.environment}: {one.what}. {repair(one.environment)}" for one in seen if one.code in BROKEN)


def _room(robot: Robot, state: RobotState, plan: Plan) -> Iterator[RobotFailure]:
    """Whether a release could be made there."""
    if state.root_writable and not robot.root and "opentrons_api_version" in state.version:
        yield RobotUnsafe(
            "the root file system is mounted read-write",
            subject=robot.name,
            why="On an OT-2 it is read-only; in this state an installer can delete the robot's own packages.",
            next="Restart the robot, or run `mount -o remount,ro /` on it, then push again.",
        )
    if not state.base_writable:
        yield BaseUnusable(
            f"{robot.base} lies on a file system that is mounted read-only",
            subject=robot.name,
            why="Linux does so after errors on the disk; `dmesg` on the robot says which.",
            next="Restart the robot, then push again. If it stays, its storage is failing.",
        )
    if state.base_kind in IN_MEMORY and not robot.root:
        yield BaseUnusable(
            f"{robot.base} lies in memory ({state.base_kind})",
            subject=robot.name,
            why="What is installed there is gone after the next restart. On an OT-2 /var is on the disk.",
            next="Restart the robot, or name a directory on its disk as `base` in the inventory.",
        )
    if state.disk_total and plan.space > state.disk_free:
        yield DiskFull(
            f"{_mb(plan.space)} are needed in {robot.base}, {_mb(state.disk_free)} are free",
            subject=robot.name,
            why="A release takes about 4.5 times its wheels; nothing has been sent.",
            next=f"Remove older releases: ot2deploy robot clean {robot.name}{robot.file_option}   then push again.",
        )
    needed = MEMORY[plan.method]
    if state.memory_available is not None and state.memory_available < needed:
        yield MemoryShort(
            f"{_mb(needed)} of memory are needed, {_mb(state.memory_available)} are free",
            subject=robot.name,
            why=f"An installation (method {plan.method}) could make Linux end the robot server to get them.",
            next="End what runs on the robot (a notebook?), or restart it, then push again.",
        )


def _held(robot: Robot, state: RobotState) -> Iterator[RobotFailure]:
    """Whether another run holds the robot and lives; what a dead one left is nothing, the agent clears it."""
    holder = dict(state.holder or {})
    if not (holder and state.held):
        return
    yield Locked(
        f"held by {holder.get('who') or 'an unknown run'} since {holder.get('since') or 'just now'}",
        holder=holder,
        subject=robot.name,
        why=f"Another run of ot2deploy is changing this robot (run {holder.get('run') or 'unknown'}).",
        next="Wait for it to end and try again. A run that has died gives the lock back within 30 s. To end it: "
        f"ot2deploy robot unlock {robot.name}{robot.file_option} --force",
    )


def _mb(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
