"""One robot's way through a push: looked at, staged, switched, perhaps taken back; its row of the final table."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from builder.errors import Failure
from builder.events import Event
from builder.signing import Signer
from builder.store import Blob
from ot2deploy.agent_host.client import AgentSession
from ot2deploy.errors import AgentFailure, CheckFailed, InstallFailed, NotBack, RolledBack, TransferFailure
from ot2deploy.link import Link
from ot2deploy.robots import activity
from ot2deploy.robots.activity import Activity
from ot2deploy.rollout import earlier_run
from ot2deploy.rollout.afterwards import register_kernel, restart_if_idle
from ot2deploy.rollout.clock import Clock
from ot2deploy.rollout.deploy import Deployment, Order, Turn, deploy, undo
from ot2deploy.rollout.halt import Halted
from ot2deploy.rollout.outcome import RobotResult
from ot2deploy.rollout.plan import Action, Plan
from ot2deploy.rollout.planner import Step, Verdict
from ot2deploy.rollout.prepare import Common, Prepared, prepare
from ot2deploy.rollout.unlocked import explained

DONE = {Action.INSTALL: "pushed", Action.SWITCH: "switched", Action.VERIFY: "verified"}
# A release that failed, not a robot that could not be reached or was refused beforehand.
BROKEN = (CheckFailed, InstallFailed, RolledBack, TransferFailure, AgentFailure)


class Course:
    """Takes one robot through its steps. Not for several threads at once; the planner sees to that."""

    def __init__(self, common: Common, link: Link) -> None:
        self.common, self.link, self.robot = common, link, link.robot
        self.clock = Clock(self.robot.name, common.fleet.report)
        self.row = RobotResult(robot=self.robot.name, outcome="not tried")
        self._ready: Prepared | None = None
        self._busy = ""

    def take(self, step: Step) -> Verdict:
        """Takes one step; `row` says afterwards what became of the robot. Never raises a Failure."""
        verdict = self._tried(step)
        if (row := self.row).outcome != "not tried":
            what, level = (row.failure.what, "failed") if row.failure else (row.note, "done")
            unit = "" if self._goes_on(step, verdict) else "robot"  # robots that have ended are counted
            end = Event(subject=row.robot, stage=row.outcome, message=what, level=level, unit=unit)
            self.common.fleet.report(end)
        return verdict

    def _goes_on(self, step: Step, verdict: Verdict) -> bool:
        """Whether another step is to follow, unless the push stops before it."""
        waits = verdict is Verdict.BUSY and step is not Step.SWITCH and self.common.deadline is not None
        return verdict is Verdict.READY or waits

    def _tried(self, step: Step) -> Verdict:
        try:
            if step not in (Step.UNDO, Step.FINISH):  # whatever stops a push, no robot is left half-way by it
                self.common.halt.check()
            return self._take(step)
        except Halted:
            staged = "staged" if self.row.deployment else "stopped"
            self._row(staged if self._ready else "not tried", note=self.common.halt.why)
            return Verdict.LEFT
        except Failure as found:
            failure = explained(found, self.link, self.common.record.run if self.common.record else None)
            failure.subject = failure.subject or self.robot.name
            back = isinstance(failure, RolledBack)
            self._row("rolled back" if back else "failed", failure=failure)
            broken = isinstance(failure, BROKEN) or step in (Step.SWITCH, Step.UNDO)
            return Verdict.BROKEN if broken else Verdict.REFUSED
        finally:
            # Between two waves hours may pass; whoever is switched then is connected to again.
            self.link.close()

    def _take(self, step: Step) -> Verdict:
        if step is Step.UNDO:
            return self._undo()
        if step is Step.SWITCH:
            return self._switch()
        if step is Step.FINISH:
            return self._finish()
        ready = self._ready = self._prepare()
        plan = ready.plan
        if step is Step.LOOK:
            return Verdict.SAME
        if plan.action is Action.NOTHING:
            self._settle(ready)
            self._row(str(plan.action))
            return self._afterwards(ready, Verdict.SAME)
        only = step is Step.STAGE and plan.action is not Action.VERIFY  # what is current already is only verified
        self._begin(plan)
        return self._deploy(ready, switch=not only)

    def _prepare(self) -> Prepared:
        def told(*, plan: Plan, signer: Signer | None) -> None:
            self._row("planned", plan=plan, signer=signer)

        ready = prepare(self.common, self.link, self.clock, told)
        self._row("planned", note=ready.note)
        return ready

    def _settle(self, ready: Prepared) -> None:
        """Has the journal completed where the run that switched was cut off before it could do so."""
        record, state, name = self.common.record, ready.state, ready.plan.environment
        if record is not None and earlier_run.is_unsettled(state):
            run = record.run
            self.link.attempt(lambda session: earlier_run.settle(session, self.robot, state, run=run, environment=name))

    def _begin(self, plan: Plan) -> None:
        if self.common.record is not None:
            self.common.record.add(
                "begin", robot=plan.robot, environment=plan.environment, digest=plan.digest, current=plan.current
            )

    def _deploy(self, ready: Prepared, *, switch: bool) -> Verdict:
        """Stages, and switches where that is wanted and the robot is idle."""
        order = self._order(ready, stage=True, switch=switch)
        done = self.link.attempt(lambda session: deploy(session, self.robot, order, self.clock, self._turn))
        self._row("staged", deployment=done)
        if done.switched:
            return self._switched(ready)
        if not switch:  # the waves begin with those that are idle now
            self._note_busy(self._doing())
        return self._stays_staged(self._busy)

    def _switch(self) -> Verdict:
        """Makes the staged release current, once the robot is idle."""
        ready, common = self._ready, self.common
        assert ready is not None, "staged before it is switched"
        if common.deadline is not None:
            doing = activity.wait_idle(
                self._doing, common.deadline, lambda now: self.clock.tell("wait", now.what), pause=common.halt.wait
            )
            if doing.is_busy:
                return self._stays_staged(f"busy: {doing.what}")
        staged = self.row.deployment
        order = self._order(ready, stage=False, switch=True)
        done = self.link.attempt(lambda session: deploy(session, self.robot, order, self.clock, self._turn))
        if not done.switched:
            return self._stays_staged(self._busy)
        self._row("staged", deployment=_both(staged, done))
        return self._switched(ready)

    def _stays_staged(self, busy: str) -> Verdict:
        halted = self.common.halt.why
        self._row("staged", note=busy or halted)
        if busy:
            return Verdict.BUSY
        return Verdict.LEFT if halted else Verdict.READY

    def _undo(self) -> Verdict:
        ready = self._ready
        assert ready is not None, "switched before it is taken back"
        order = self._order(ready, stage=False, switch=False)
        self.link.attempt(lambda session: undo(session, self.robot, order, self.clock))
        self._row("rolled back", note=self.common.halt.why)
        return Verdict.DONE

    def _switched(self, ready: Prepared) -> Verdict:
        action = ready.plan.action
        self._row(DONE[action])
        if action is Action.VERIFY:
            return self._afterwards(ready, Verdict.SAME)
        return Verdict.DONE if self.common.finishing else self._afterwards(ready, Verdict.DONE)

    def _finish(self) -> Verdict:
        ready = self._ready
        assert ready is not None, "switched before it is finished"
        return self._afterwards(ready, Verdict.DONE)

    def _afterwards(self, ready: Prepared, verdict: Verdict) -> Verdict:
        """What was asked for beyond the release, which is current by now and stays so whatever fails here."""
        common, plan, outcome = self.common, ready.plan, self.row.outcome
        try:
            if common.afterwards.kernel and common.record is not None:
                run, name = common.record.run, plan.environment
                kernel = register_kernel(self.link, run, name, ready.state, self.clock)
                self._row(outcome, kernel=kernel)
            if common.afterwards.restart and plan.action in (Action.INSTALL, Action.SWITCH):
                restart_if_idle(self.link, ready.state, self.clock)
                self._row(outcome, restarted=True)
        except Failure as failure:
            failure.subject = failure.subject or self.robot.name
            self._row(outcome, failure=failure)
            return Verdict.BROKEN if isinstance(failure, NotBack) else verdict
        return verdict

    def _order(self, ready: Prepared, *, stage: bool, switch: bool) -> Order:
        record = self.common.record
        assert record is not None, "a dry run carries nothing out"
        packed = stage and ready.plan.method == "tree" and ready.plan.action is Action.INSTALL
        return Order(
            plan=ready.plan, bundle=ready.bundle, run=record.run, fingerprint=ready.state.fingerprint,
            packs=self._packs(ready) if packed else (), stage=stage, switch=switch, tidy=self._is_full(ready),
            passed=self.row.deployment.checks if self.row.deployment else (),
        )  # fmt: skip

    def _is_full(self, ready: Prepared) -> bool:
        """Whether the robot has more releases of the environment, with this one, than it keeps."""
        known = ready.state.environments.get(ready.plan.environment)
        return len({*(known.releases if known else ()), ready.plan.digest}) > self.robot.keep_releases

    def _packs(self, ready: Prepared) -> tuple[Blob, ...]:
        """The bundle's wheels as trees, for the tree method."""
        from ot2deploy.engine import packs

        where = self.common.fleet
        with self.clock.stage("pack"):
            return packs(
                ready.bundle, ready.profile, project=where.project, offline=self.common.offline, report=where.report
            )

    @cached_property
    def _turn(self) -> Turn:
        return Turn(halt=self.common.halt, slots=self.common.slots, may_switch=self._may_switch)

    def _may_switch(self, agent: AgentSession) -> bool:
        """Whether the robot does nothing now that a switch would disturb; a run may have begun meanwhile."""
        ready = self._ready
        if ready is not None and ready.plan.action is Action.VERIFY:
            return True
        self._note_busy(activity.ask_in(agent, self.robot))
        return not self._busy

    def _note_busy(self, doing: Activity) -> None:
        self._busy = f"busy: {doing.what}" if doing.is_busy else ""

    def _doing(self) -> Activity:
        return activity.ask_over(self.link, self.robot)

    def _row(self, outcome: str, **changes: object) -> None:
        self.row = replace(
            self.row,
            **{
                "outcome": outcome, "note": "", "seconds": dict(self.clock.seconds), "spans": tuple(self.clock.spans),
                **changes,
            },  # type: ignore[arg-type]
        )  # fmt: skip


def _both(staged: Deployment | None, switched: Deployment) -> Deployment:
    """What was sent and checked when it was staged, and what the switch added."""
    if staged is None:
        return switched
    return replace(staged, previous=switched.previous, switched=switched.switched, checks=switched.checks)
