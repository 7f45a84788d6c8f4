"""What comes before a robot is changed: it is asked what it is, its bundle is got, and all is planned and looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from builder.bundle import Bundle
from builder.profile import Profile
from builder.signing import Signer
from ot2deploy import advice
from ot2deploy.bundles import RobotBundles
from ot2deploy.link import Link
from ot2deploy.robots import activity
from ot2deploy.robots.activity import Activity
from ot2deploy.robots.probe import RobotState, probe, read_state
from ot2deploy.rollout import earlier_run, preflight
from ot2deploy.rollout.afterwards import Afterwards, kernel_findings
from ot2deploy.rollout.clock import Clock
from ot2deploy.rollout.executor import Slots
from ot2deploy.rollout.halt import Halt
from ot2deploy.rollout.plan import Action, Plan, make_plan
from ot2deploy.rollout.signatures import demand
from ot2deploy.visit import Fleet

if TYPE_CHECKING:
    from ot2deploy.runs.record import RunRecord


@dataclass(frozen=True, kw_only=True)
class Common:
    """What the courses of a push have in common. `record` is None for a dry run, `deadline` (monotonic seconds) the
    moment until which busy robots are waited for, or None. `met` is told each bundle when a robot first needs it,
    `signing` is the command that signs them.
    With `finishing` a robot that was switched has what is wanted `afterwards` done in a step of its own.
    """

    fleet: Fleet
    bundles: RobotBundles
    record: RunRecord | None
    halt: Halt
    slots: Slots
    met: Callable[[Bundle], object]
    signing: str
    method: str | None = None
    offline: bool = False
    deadline: float | None = None
    afterwards: Afterwards = field(default_factory=Afterwards)
    finishing: bool = False


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A robot that answered: its state, the bundle for its profile, and what would be done. `note` says of a busy one
    what it does."""

    state: RobotState
    profile: Profile
    bundle: Bundle
    plan: Plan
    note: str = ""


class Tell(Protocol):
    """Is told the plan as soon as there is one, and who signed the bundle; what speaks against it comes afterwards."""

    def __call__(self, *, plan: Plan, signer: Signer | None) -> None: ...


def prepare(common: Common, link: Link, clock: Clock, tell: Tell) -> Prepared:
    """Takes a robot to the point where it could be changed. Raises Failure with all that speaks against that."""
    robot = link.robot

    def again() -> RobotState:
        return link.attempt(lambda session: read_state(session, robot))

    with clock.stage("probe"):
        state, profile = link.attempt(lambda session: probe(session, robot, common.bundles.environment))
    with clock.stage("bundle", profile.name):
        bundle = common.bundles.for_robot(robot, link.attempt, profile)
    plan = make_plan(robot, state, bundle, common.method)
    if plan.action is not Action.NOTHING and common.record is not None and earlier_run.is_ours(state):
        state = earlier_run.outlasted(state, again, partial(clock.tell, "wait"), common.halt.wait)
        plan = make_plan(robot, state, bundle, common.method)
    if plan.action is Action.INSTALL:  # only now it matters what is there already, and how much room there is
        with clock.stage("probe", again=True):
            state = link.attempt(lambda session: read_state(session, robot))
        plan = make_plan(robot, state, bundle, common.method)
        seen = preflight.notices(state, plan, lambda name: advice.push(name, robot, common.fleet.project))
        plan = replace(plan, notices=seen)
    plan = common.bundles.planned(robot, plan, bundle)
    tell(plan=plan, signer=demand(robot, bundle, common.signing))
    common.met(bundle)
    findings = preflight.examine(robot, state, plan)
    preflight.raise_all((*findings, *kernel_findings(robot, bundle, common.afterwards)))
    note = ""
    if plan.action in (Action.INSTALL, Action.SWITCH):
        note = _said(link.attempt(lambda session: activity.ask(robot, session)), waited=common.deadline is not None)
    return Prepared(state=state, profile=profile, bundle=bundle, plan=plan, note=note)


def _said(doing: Activity, *, waited: bool) -> str:
    """What a plan says of a robot that is busy, or of which that is not known."""
    if doing.state == "idle":
        return ""
    if doing.state == "unknown":
        return f"whether it is busy is not known: {doing.what}"
    return f"busy: {doing.what}; it is staged, and switched {'when it is idle' if waited else 'by a later push'}"
