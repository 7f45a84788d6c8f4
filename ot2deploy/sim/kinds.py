"""How robots of each kind are started: containers from an image, embedded ones from a directory."""

from __future__ import annotations

import contextlib
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from builder.docker import engine as docker_engine
from builder.errors import BuildFailure, DockerFailure
from builder.events import Event, Report
from builder.toolchain.interpreter import find_interpreter
from ot2deploy.sim import container, detect, embedded, host, image
from ot2deploy.sim.detect import Kind
from ot2deploy.sim.failures import EmulationFailure, SimFailure
from ot2deploy.sim.state import Place, SimRobot


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `sim up` is asked for. `lab` None means the project's lab.yaml; `python` is for embedded robots.

    With `no_key` nobody can log in to the new robots until they are enrolled.
    """

    count: int = 2
    kind: Kind | Literal["auto"] = "auto"
    init: container.Init = "busybox"
    lab: Path | None = None
    python: Path | None = None
    no_key: bool = False


@dataclass(frozen=True, kw_only=True)
class Started:
    """How the kind of some new robots was chosen, and what their image is and took (seconds)."""

    why: str
    image: str = ""
    image_seconds: float = 0.0


def start(names: Sequence[str], wanted: Request, at: Place, report: Report) -> tuple[Started, tuple[SimRobot, ...]]:
    """Starts robots of the kind asked for; `auto` falls back to embedded ones where ARM turns out not to work."""
    if wanted.kind != "auto":
        return _STARTERS[wanted.kind](names, wanted, at, f"{wanted.kind} robots were asked for", report)
    decision = detect.decide(detect.facts())
    report(Event(subject="sim", stage="kind", message=f"{decision.kind} robots: {decision.why}", level="info"))
    try:
        return _STARTERS[decision.kind](names, wanted, at, decision.why, report)
    except (SimFailure, DockerFailure) as error:
        if decision.kind == "embedded":
            raise
        why = f"ARM robots cannot be had here: {error}"
        report(Event(subject="sim", stage="kind", message=f"embedded robots: {why}", level="warning"))
        return _STARTERS["embedded"](names, wanted, at, why, report)


def _containers(
    kind: Kind, names: Sequence[str], wanted: Request, at: Place, why: str, report: Report
) -> tuple[Started, tuple[SimRobot, ...]]:
    docker = docker_engine.connect()
    machine = docker.service()
    if kind == "arm" and machine.machine == "x86_64" and detect.DESKTOP not in machine.system:
        host.register_emulation(report)
    architecture = "armhf" if kind == "arm" else image.DEBIAN.get(machine.machine, "amd64")
    made = image.ensure(image.Recipe(architecture=architecture), docker, report)
    if kind == "arm":
        _prove_emulation(made, docker)
    if not at.read().robots:
        container.down(at.project, docker)  # of a project whose directory was deleted while its robots were up
    common = container.Wanted(kind=kind, init=wanted.init, project=at.project, image=made, public_key=_who(wanted, at))
    robots = container.up(names, common, docker, report)
    return Started(why=why, image=made.tag, image_seconds=made.seconds), robots


def _prove_emulation(made: image.Image, docker: docker_engine.Engine) -> None:
    try:
        machine = image.probe(made, docker, container.variables("arm"))
    except (SimFailure, DockerFailure) as error:
        raise EmulationFailure("this host does not run ARM programs", details=(str(error), *error.details)) from error
    if machine != "armv7l":  # 64-bit ARM machines run 32-bit programs, but say aarch64
        raise EmulationFailure(f"this host runs ARM programs as {machine}")


def _embedded(
    names: Sequence[str], wanted: Request, at: Place, why: str, report: Report
) -> tuple[Started, tuple[SimRobot, ...]]:
    key = _who(wanted, at)
    python = wanted.python or _python()
    serials = {name: f"OT2SIM{uuid.uuid4().hex[:8].upper()}" for name in names}
    for name in names:
        embedded.create(at.robot(name), name, python, serial=serials[name])
    seats = [embedded.Seat(name=name, directory=at.robot(name), authorized_key=key) for name in names]
    robots = []
    for running in embedded.serve(seats):
        report(Event(subject=running.name, stage="start", message=f"answers on port {running.port}", level="done"))
        robots.append(
            SimRobot(
                name=running.name,
                kind="embedded",
                init="",
                serial=serials[running.name],
                port=running.port,
                http_port=0,
                host_key=running.host_key,
                directory=str(running.directory),
                root=str(running.root),
                pid=running.pid,
            )
        )
    return Started(why=why), tuple(robots)


def _python() -> Path | None:
    """A CPython of the host that embedded robots can have, where the running one is too new for them."""
    oldest, newest = embedded.SUPPORTED
    if oldest <= sys.version_info[:2] <= newest:
        return None
    for minor in ("3.12", "3.13", "3.11"):
        with contextlib.suppress(BuildFailure):
            return find_interpreter(minor).path
    return None


_STARTERS: dict[str, Callable[..., tuple[Started, tuple[SimRobot, ...]]]] = {
    "arm": lambda *rest: _containers("arm", *rest),
    "amd64": lambda *rest: _containers("amd64", *rest),
    "embedded": _embedded,
}


def _who(wanted: Request, at: Place) -> str:
    """The key that may log in to new robots."""
    return "" if wanted.no_key else _key(at)


def _key(at: Place) -> str:
    """The public half of the project's key for simulated robots, made at first use."""
    return embedded.public_line(at.key) if at.key.exists() else embedded.new_key_pair(at.key)


def again(robot: SimRobot) -> SimRobot:
    """Ends a robot like pulling its plug and starts it again: what is on /var stays, and so do port and keys."""
    if robot.container:
        container.restart(robot, docker_engine.connect())
        return robot
    embedded.stop(robot.pid)
    running = embedded.start(Path(robot.directory), "", robot.port, name=robot.name)
    return replace(robot, pid=running.pid)


def stop(robot: SimRobot) -> None:
    """Ends a robot like pulling its plug, and leaves it so; `again` starts it."""
    if robot.container:
        docker_engine.connect().stop(robot.container)
    else:
        embedded.stop(robot.pid)


def reset(robot: SimRobot) -> SimRobot:
    """A factory reset: SSH keys, boot scripts and our releases are gone, and the robot has another host key."""
    if robot.container:
        docker = docker_engine.connect()
        container.reset(robot, docker)
        return replace(robot, host_key=container.read_host_key(robot.container, docker), cable=True)
    embedded.stop(robot.pid)
    embedded.reset(Path(robot.directory))
    running = embedded.start(Path(robot.directory), "", robot.port, name=robot.name)
    return replace(robot, pid=running.pid, host_key=running.host_key, cable=True)


def state_of(robot: SimRobot) -> str:
    """`running`, or what else: Docker's word, `missing` for a container that somebody removed, `stopped`."""
    if robot.container:
        return docker_engine.connect().state(robot.container)
    return "running" if embedded.serving(robot.pid) else "stopped"


def revive(robots: Sequence[SimRobot], report: Report) -> tuple[tuple[SimRobot, ...], tuple[str, ...]]:
    """The robots that run, and the names of those that were started again; missing ones are left out.

    They may have been stopped by a reboot of the host, say.
    """
    alive, revived = [], []
    for robot in robots:
        word = state_of(robot)
        if word not in ("running", "missing"):
            report(Event(subject=robot.name, stage="start", message=f"is {word}; starting it again", level="info"))
            robot = again(robot)
            revived.append(robot.name)
        if word != "missing":
            alive.append(robot)
    return tuple(alive), tuple(revived)
