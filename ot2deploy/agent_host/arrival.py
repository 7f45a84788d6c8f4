"""The agent's file on a robot: looked for, brought where it is missing, and the command that starts it."""

from __future__ import annotations

import secrets

from ot2deploy.agent_host import archive
from ot2deploy.errors import AgentFailure, DiskFull, RobotUnsupported
from ot2deploy.inventory import Robot
from ot2deploy.transport import Session, script, wording

TIMEOUT = 120.0  # seconds to bring it; an emulated robot under load is slow
MISSING, DAMAGED, UNWRITTEN, OUTSIDE, ANOTHER = 97, 96, 95, 94, 93  # exit statuses of our scripts

# Whether a file is there, on the robot of that serial number; one without a number is taken at its word.
LOOK = (
    's=; { read -r s < @own@; } 2>/dev/null; case "$s" in ""|@serial@) [ -f @path@ ] ;; *) echo "$s"; exit 93 ;; esac'
)
START = "[ -f @agent@ ] || exit 97; exec @python@ -I @agent@ @mode@"
# The file appears under its name only when its bytes are proven; two hosts may bring it at the same time.
# An embedded simulated robot names its root: what lies outside is the computer that simulates it.
BRING = (
    'case @directory@ in "${OT2DEPLOY_SIM_ROOT:-}"/*) ;; *) exit 94 ;; esac; '
    "mkdir -p @directory@ && cat > @part@ || { rm -f @part@; exit 95; }; "
    "sum=$( { sha256sum || shasum -a 256; } < @part@ 2>/dev/null); "
    '[ "${sum%% *}" = @sha@ ] && mv -f @part@ @agent@ && exit 0; rm -f @part@; exit 96'
)


def is_there(session: Session, robot: Robot, path: str) -> bool:
    """Whether the robot has a file: the first question of a command that needs no state.

    Raises AnotherRobot where it has another serial number than the inventory says.
    """
    look = script("[ -f @path@ ]", path=path)
    if robot.serial:
        look = script(LOOK, path=path, serial=robot.serial, own=robot.system_path("/var/serial"))
    done = session.run(look)
    if done.status == ANOTHER:
        raise wording.another_robot(robot, done.stdout.decode(errors="replace").strip())
    return done.status == 0


def ensure_agent(session: Session, robot: Robot) -> str:
    """Makes sure that the agent's file is on the robot; returns its sha256.

    Raises DiskFull, AgentFailure, AnotherRobot.
    """
    sha256 = archive.build()[1]
    if not is_there(session, robot, _path(robot, sha256)):
        bring(session, robot)
    return sha256


def agent_command(robot: Robot, mode: str) -> str:
    """The remote command that starts the agent as "session" or "exec"; status 97 when it is not on the robot."""
    python = robot.system_path("/usr/bin/python3")
    return script(START, agent=_path(robot, archive.build()[1]), python=python, mode=mode)


def _path(robot: Robot, sha256: str) -> str:
    return f"{robot.base_path}/agent/{sha256}.pyz"


def bring(session: Session, robot: Robot) -> None:
    """Writes the agent's file on the robot. Raises DiskFull, AgentFailure, RobotUnsupported."""
    data, sha256 = archive.build()
    directory = f"{robot.base_path}/agent"
    part = f"{directory}/.{sha256[:16]}.{secrets.token_hex(4)}.part"
    words = {"directory": directory, "part": part, "sha": sha256, "agent": _path(robot, sha256)}
    done = session.run(script(BRING, **words), input=data, timeout=TIMEOUT)
    if done.status == OUTSIDE:
        raise RobotUnsupported(
            "this is a simulated robot; its entry needs the `root:` that lab.yaml has", subject=robot.name,
            why=f"Without it the agent would be written to {directory} of the computer that simulates it.",
            next="Use the lab.yaml that `ot2deploy sim up` wrote: --robots lab.yaml",
        )  # fmt: skip
    if done.status == UNWRITTEN:
        raise (DiskFull if "No space left" in done.error else AgentFailure)(
            f"the agent could not be written to {directory}",
            subject=robot.name,
            why="Releases live below it, so it has to be writable and have room.",
            next=f"Look at it: ssh {robot.user}@{robot.address} df {robot.base}   or set `base` in the inventory.",
            details=tuple(done.error.splitlines()[-5:]),
        )
    if done.status != 0:
        raise AgentFailure(
            "the agent arrived damaged on the robot" if done.status == DAMAGED else "the agent could not be brought",
            subject=robot.name,
            details=tuple(done.error.splitlines()[-5:]),
            next="Try again; if it stays, look at the robot's storage.",
        )
