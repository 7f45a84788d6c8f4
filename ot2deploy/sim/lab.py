"""A project's simulated lab: up, status, restart, down."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from builder import files
from builder.counted import counted
from builder.docker import engine as docker_engine
from builder.errors import Failure
from builder.events import Event, Report, silent
from ot2deploy.project import Project
from ot2deploy.sim import api_server, container, embedded, host, image, kinds, labfile
from ot2deploy.sim.failures import SimFailure
from ot2deploy.sim.kinds import Request
from ot2deploy.sim.results import Shown, SimResult
from ot2deploy.sim.state import Place, SimRobot, SimState, unused

__all__ = ["Request", "down", "place", "reset", "restart", "restart_at", "status", "stop", "up"]

LAB = "lab.yaml"
SOFTWARE = "7.3.1"  # what the image's VERSION.json says


def place(project: Project) -> Place:
    """Where a project's simulated robots keep what they need."""
    return Place(directory=project.state_dir / "sim")


def up(project: Project, request: Request, report: Report = silent) -> SimResult:
    """Brings up simulated robots, `count` altogether, and writes the lab file; what is up already stays.

    Raises LabFileFailure, SimFailure, MissingExtra, UsageFailure.
    """
    begun = time.monotonic()
    at = place(project)
    with at.held():
        before = at.read()
        alive, revived = kinds.revive(before.robots, report)
        for name in revived:
            at.off(name).unlink(missing_ok=True)
        state = replace(before, robots=alive)
        lab = (request.lab or Path(state.lab or project.root / LAB)).absolute()
        try:
            labfile.check(lab, state)
            notes = _moved(state, lab)
            wanted = _like_those_up(request, state)
            names = unused(state.robots, wanted.count)
            made, added = kinds.start(names, wanted, at, report) if names else (kinds.Started(why=state.why), ())
            added = tuple(replace(robot, cable=wanted.no_key) for robot in added)
            done = _serve(replace(state, robots=(*state.robots, *added), why=state.why or made.why), at, lab)
        except BaseException:
            if not before.robots:
                _remove(at)
            raise
        return SimResult(
            did=_did(len(added), len(revived)),
            robots=_shown(done, at),
            started=names,
            lab=Path(done.lab) if done.lab else None,
            why=done.why,
            image=made.image,
            image_seconds=made.image_seconds,
            seconds=round(time.monotonic() - begun, 1),
            notes=notes,
        )


def _moved(state: SimState, lab: Path) -> tuple[str, ...]:
    """Removes the lab file when another one is wanted instead; a note where it was changed and is left."""
    if not state.lab or state.lab == str(lab) or not labfile.remove(state):
        return ()
    return (_left(state),)


def _left(state: SimState) -> str:
    return f"{state.lab} was changed since `sim up` wrote it, and is left"


def _did(started: int, revived: int) -> str:
    parts = [f"{counted(started, 'robot')} started"] if started else []
    parts += [f"{counted(revived, 'robot')} started again"] if revived else []
    return ", ".join(parts) or "no change: they are up already"


def _like_those_up(request: Request, state: SimState) -> Request:
    """The request, `auto` meaning the kind that is up already."""
    if request.kind == "auto" and state.robots:
        first = state.robots[0]
        return replace(request, kind=first.kind, init=first.init or "busybox")  # type: ignore[arg-type]
    return request


def _serve(state: SimState, at: Place, lab: Path) -> SimState:
    """Serves the robots' HTTP APIs, writes the lab file and records everything."""
    at.write(state)  # before anything else can fail, so that `sim down` finds them
    about = {
        robot.name: {
            "serial": robot.serial,
            "container": robot.container,
            "root": robot.root,
            "version": SOFTWARE,
            "port": robot.http_port,
        }
        for robot in state.robots
    }
    if all(robot.http_port for robot in state.robots) and api_server.alive(at.api):
        ports = {robot.name: robot.http_port for robot in state.robots}
    else:
        ports = api_server.serve(at.api, about)
    robots = tuple(replace(robot, http_port=ports[robot.name]) for robot in state.robots)
    done = _labelled(replace(state, robots=robots), at, lab)
    at.write(done)
    return done


def _labelled(state: SimState, at: Place, lab: Path) -> SimState:
    """Writes the lab file of the robots that our key opens; none where there is no such robot."""
    opened = [robot for robot in state.robots if not robot.cable]
    if not opened:
        labfile.remove(state)
        return replace(state, lab="", lab_sha256="")
    return replace(state, lab=str(lab), lab_sha256=labfile.write(lab, opened, at.key.absolute()))


def down(project: Project, *, purge: bool = False, report: Report = silent) -> SimResult:
    """Takes the simulated robots down: no container, network, volume, process or file of ours is left.

    `purge` also removes the robot images and the binfmt entry, if we registered it and nobody else's robots are up.
    """
    begun = time.monotonic()
    at = place(project)
    notes: list[str] = []
    with at.held():
        state = at.read()
        report(Event(subject="sim", stage="down", message=f"taking down {counted(len(state.robots), 'robot')}"))
        if labfile.remove(state):
            notes.append(_left(state))
        _remove(at)
    if purge:
        notes += _purge()
    return SimResult(
        did=f"{counted(len(state.robots), 'robot')} taken down" if state.robots else "no change: none is up",
        robots=(),
        seconds=round(time.monotonic() - begun, 1),
        notes=tuple(notes),
    )


def _remove(at: Place) -> None:
    state = at.read()
    api_server.stop(at.api)
    with ThreadPoolExecutor(max_workers=16) as pool:
        list(pool.map(embedded.stop, [robot.pid for robot in state.robots if robot.pid]))
    docker = _docker_if_there()
    if docker:
        container.down(at.project, docker)
    elif any(robot.container for robot in state.robots):
        raise SimFailure("Docker is gone, and robots of ours may still be in it", next="Start Docker and run it again.")
    at.remove()


def _docker_if_there() -> docker_engine.Engine | None:
    try:
        return docker_engine.connect()
    except Failure:
        return None


def _purge() -> list[str]:
    docker = _docker_if_there()
    if docker and docker.containers():
        return ["other projects' robots are up: image and emulation stay"]
    notes = [f"removed image {tag}" for tag in image.remove_all(docker)] if docker else []
    if host.unregister_emulation():
        notes.append("removed the kernel's entry for ARM programs (qemu-arm)")
    host.remove_lock()
    image.lock_path().unlink(missing_ok=True)
    return notes


def status(project: Project) -> SimResult:
    """The simulated robots of a project."""
    at = place(project)
    state = at.read()
    return SimResult(
        did=counted(len(state.robots), "robot") if state.robots else "no simulated robot is up",
        robots=_shown(state, at),
        lab=Path(state.lab) if state.lab else None,
        why=state.why,
    )


def _shown(state: SimState, at: Place) -> tuple[Shown, ...]:
    shown = []
    for robot in state.robots:
        known = api_server.read_runs(at.api, robot.name)
        busy = known["maintenance"] is not None or any(run["current"] for run in known["runs"])
        shown.append(Shown(robot=robot, state=kinds.state_of(robot), busy=busy))
    return tuple(shown)


def restart(project: Project, name: str) -> SimResult:
    """Restarts one robot, as `restart_at` does. Raises NotSimulated."""
    restart_at(place(project), name)
    return replace(status(project), did=f"{name} was restarted")


def restart_at(at: Place, name: str) -> SimRobot:
    """Restarts one robot like pulling its plug: what is on /var stays, and so do port and keys. Raises NotSimulated."""
    at.read().robot(name)
    with at.held():
        state = at.read()
        robot = kinds.again(state.robot(name))
        at.off(name).unlink(missing_ok=True)
        at.write(state.with_robot(robot))
        return robot


def stop(project: Project, name: str) -> SimResult:
    """Switches one robot off until it is restarted; its HTTP API does not answer either. Raises NotSimulated."""
    at = place(project)
    at.read().robot(name)
    with at.held():
        files.write_bytes(at.off(name), b"")
        kinds.stop(at.read().robot(name))
    return replace(status(project), did=f"{name} was switched off")


def reset(project: Project, name: str) -> SimResult:
    """A factory reset of one robot: its keys and our releases are gone, it has another host key. Raises NotSimulated.

    The lab file stays as it is: that it does not fit any more is what a reset does to an inventory.
    """
    at = place(project)
    at.read().robot(name)
    with at.held():
        state = at.read()
        at.write(state.with_robot(kinds.reset(state.robot(name))))
        at.off(name).unlink(missing_ok=True)
    return replace(status(project), did=f"{name} was reset")
