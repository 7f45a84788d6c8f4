"""What a push does on a robot once its release is current: a kernel for its Jupyter, a restart of its robot server."""

from __future__ import annotations

from dataclasses import dataclass

from builder.bundle import Bundle
from ot2deploy.agent_host.client import open_agent
from ot2deploy.errors import ApiFailure, NoKernel, NotRestarted
from ot2deploy.inventory import Robot
from ot2deploy.link import Link
from ot2deploy.robots import activity
from ot2deploy.robots.probe import RobotState
from ot2deploy.robots.restart import restart
from ot2deploy.rollout.clock import Clock
from ot2deploy.transport import Session

KERNEL = "ipykernel"


@dataclass(frozen=True, kw_only=True)
class Afterwards:
    """What was asked for."""

    kernel: bool = False
    restart: bool = False

    @property
    def any(self) -> bool:
        """Whether there is anything to do."""
        return self.kernel or self.restart


def kernel_findings(robot: Robot, bundle: Bundle, wanted: Afterwards) -> tuple[NoKernel, ...]:
    """Why a bundle cannot become a kernel, before anything is sent; pure."""
    if not wanted.kernel or any(wheel["name"] == KERNEL for wheel in bundle.manifest["wheels"]):
        return ()
    return (
        NoKernel(
            f"{bundle.environment} has no {KERNEL}, which every kernel of Jupyter needs",
            subject=robot.name,
            next=f"Add {KERNEL} to the requirements of {bundle.environment}, or leave --kernel out.",
        ),
    )


def register_kernel(link: Link, run: str, environment: str, state: RobotState, clock: Clock) -> str:
    """Offers the current release to the robot's Jupyter; the kernel's name. Raises RobotFailure."""

    def register(session: Session) -> str:
        with open_agent(
            session, link.robot, run=run, environment=environment, fingerprint=state.fingerprint, report=clock.report
        ) as agent:
            return str(agent.request("kernel", environment=environment)["kernel"])

    with clock.stage("kernel"):
        return link.attempt(register)


def restart_if_idle(link: Link, state: RobotState, clock: Clock) -> None:
    """Restarts a robot that does nothing now, and waits for it. Raises NotRestarted, NotBack.

    Its connection is closed: after a restart it is another one.
    """
    robot = link.robot
    doing = link.attempt(lambda session: activity.ask(robot, session))
    if doing.state != "idle":
        raise _not_restarted(robot, doing.what)
    link.close()
    try:
        with clock.stage("restart"):
            restart(robot, state.serial)
    except ApiFailure as failure:
        raise _not_restarted(robot, failure.what) from failure


def _not_restarted(robot: Robot, why: str) -> NotRestarted:
    return NotRestarted(
        f"not restarted: {why}",
        subject=robot.name,
        why="The release is current; the robot server keeps what it had imported.",
        next="Restart it in the Opentrons App when it is idle.",
    )
