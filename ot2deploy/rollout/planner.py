"""Which robot takes which step when: a roll-out as a state machine, without threads, time or robots. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ot2deploy.rollout.waves import Policy, batches, first_wave


class Step(StrEnum):
    """What one task does to one robot."""

    LOOK = "look"  # see what would be done
    WHOLE = "push"  # look, stage and switch in one go
    STAGE = "stage"  # look, send, install, check; what is current stays
    SWITCH = "switch"  # make it current, check again
    UNDO = "undo"  # make the release before current again
    FINISH = "finish"  # what is done once the release stays current for good: a kernel, a restart


class Verdict(StrEnum):
    """How a task ended."""

    DONE = "done"  # switched: the robot is as wanted
    SAME = "same"  # it was as wanted already
    READY = "ready"  # staged; to be switched
    BUSY = "busy"  # staged; its robot does something else
    REFUSED = "refused"  # nothing of the release was tried there: not reached, no room, locked
    BROKEN = "broken"  # the release failed on it: counts against the budget
    LEFT = "left"  # not begun, or not ended, for the roll-out was stopped


@dataclass(frozen=True, kw_only=True)
class Task:
    """One step of one robot."""

    robot: str
    step: Step


@dataclass(kw_only=True)
class Planner:
    """Says which tasks come next, after each that ended.

    `robots` are in the inventory's order. With `waiting` busy robots are switched when they are idle, else they stay
    staged. With `finishing` those that were switched have a last step, once none is taken back any more. `stopped` says
    why no more is begun; "" while that goes on. `waves` are those begun so far.
    """

    robots: Sequence[str]
    policy: Policy
    waiting: bool = False
    finishing: bool = False
    stopped: str = ""
    waves: list[tuple[str, ...]] = field(default_factory=list)
    switched: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    _open: set[str] = field(default_factory=set)
    _ready: list[str] = field(default_factory=list)
    _busy: list[str] = field(default_factory=list)
    _proven: bool = False

    def begin(self) -> list[Task]:
        """The first tasks."""
        step = Step.STAGE if self.policy.in_waves else Step.WHOLE
        return self._submit(self.robots, step)

    def ended(self, task: Task, verdict: Verdict) -> list[Task]:
        """The tasks that follow from the end of one. None that are open and none here: the roll-out is over."""
        self._open.discard(task.robot)
        if task.step in (Step.UNDO, Step.FINISH):
            return []
        if verdict is Verdict.BROKEN:
            self._break(task.robot)
        if verdict is Verdict.READY:
            self._ready.append(task.robot)
        if verdict is Verdict.BUSY:
            self._busy.append(task.robot)
        if verdict is Verdict.DONE:
            self.switched.append(task.robot)
        if self._open:
            return []
        return self._next()

    def stop(self, why: str) -> None:
        """Begins nothing more."""
        self.stopped = self.stopped or why

    def _break(self, robot: str) -> None:
        self.broken.append(robot)
        allowed = self.policy.allowed(len(self.robots))
        if self.waves and not self._proven:
            self.stop(f"the canary {robot} failed")
        elif len(self.broken) > allowed:
            of = f"{len(self.broken)} of {len(self.robots)} robots failed"
            self.stop(of + (f", {allowed} may" if allowed else "") + f": {', '.join(self.broken)}")

    def _next(self) -> list[Task]:
        """All that was begun has ended: the next wave, the busy ones at the end, or the way back."""
        if self.stopped:
            back = self.switched if self.policy.all_or_none and self.broken else []
            self.switched = []
            return self._submit(back, Step.UNDO)
        self._ready.sort(key=list(self.robots).index)
        if self.waves and not self._proven:
            self._proven = any(robot in self.switched for robot in self.waves[-1])
        if self._ready:
            total = len(self.robots)
            wave = () if self._proven else first_wave(self._ready, self.policy, total)
            if not wave:
                self._proven = True
                wave = batches(self._ready, self.policy, total)[0]
            return self._wave(wave)
        if self._busy and self.waiting:
            busy, self._busy = sorted(self._busy, key=list(self.robots).index), []
            self.waiting = False  # each waits once, until the same moment
            if not self.policy.in_waves:
                return self._submit(busy, Step.SWITCH)
            self._ready = busy
            return self._next()
        return self._submit(self.switched, Step.FINISH) if self.finishing else []

    def _wave(self, wave: Sequence[str]) -> list[Task]:
        self.waves.append(tuple(wave))
        self._ready = [robot for robot in self._ready if robot not in wave]
        return self._submit(wave, Step.SWITCH)

    def _submit(self, robots: Sequence[str], step: Step) -> list[Task]:
        self._open |= set(robots)
        return [Task(robot=robot, step=step) for robot in robots]
