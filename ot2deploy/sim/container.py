"""Robots that are containers: started in parallel, waited for until dropbear answers, ended without a trace."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from builder.docker.engine import LABEL, Container, Engine, Mount
from builder.errors import DockerFailure
from builder.events import Event, Report
from ot2deploy.sim.failures import SimFailure
from ot2deploy.sim.image import Image
from ot2deploy.sim.state import SimRobot

Init = Literal["busybox", "systemd"]
INITS: tuple[Init, ...] = ("busybox", "systemd")
CPU = "cortex-a7"  # qemu's default CPU also runs ARMv8 instructions, which kill a program on an ARMv7 one
MEMORY = "1g"
SSH = 22
STARTS = {"busybox": ("/usr/lib/ot2sim/init",), "systemd": ("/usr/lib/ot2sim/start-systemd",)}
# Ends the container at once: BusyBox init takes SIGTERM as a reboot and lingers.
STOP_SIGNALS = {"busybox": "SIGUSR2", "systemd": "SIGRTMIN+3"}
CAPABILITIES = {"busybox": ("SYS_BOOT",), "systemd": ("SYS_BOOT", "SYS_ADMIN")}
HOST_KEY = "/var/lib/dropbear/dropbear_ed25519_host_key"
RESET = """
set -e; umask 077
rm -rf /var/ot2deploy /var/data/boot.d/* /var/lib/dropbear/*
: > /var/home/.ssh/authorized_keys
"""
DEADLINE = 120.0  # seconds until a robot must answer; systemd under emulation is slow when many start at once
POLL = 0.1
PORT_TRIES = 5
AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the robots of one `sim up` have in common."""

    kind: str
    init: Init
    project: str
    image: Image
    public_key: str


def up(names: Sequence[str], wanted: Wanted, engine: Engine, report: Report) -> tuple[SimRobot, ...]:
    """Starts robots in parallel and waits until each answers; in vain, none of them is left."""
    engine.add_network(network(wanted.project), wanted.project)
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        futures = [pool.submit(_up_one, name, wanted, engine, report) for name in names]
    try:
        return tuple(future.result() for future in futures)
    except BaseException:
        for name in names:
            engine.remove_container(container_name(wanted.project, name))
        raise


def network(project: str) -> str:
    """The name of a project's network."""
    return f"ot2sim-{project}"


def container_name(project: str, name: str) -> str:
    """The name of a robot's container."""
    return f"ot2sim-{project}-{name}"


def variables(kind: str) -> dict[str, str]:
    """What a robot's PID 1 finds in its environment on account of its kind."""
    return {"QEMU_CPU": CPU} if kind == "arm" else {}


def _up_one(name: str, wanted: Wanted, engine: Engine, report: Report) -> SimRobot:
    container = container_name(wanted.project, name)
    serial = f"OT2SIM{secrets.token_hex(4).upper()}"
    engine.add_volume(f"{container}-var", wanted.project)
    report(Event(subject=name, stage="start", message=f"starting {container}"))
    port = _start(name, serial, wanted, engine)
    banner = await_banner(port, name)
    host_key = read_host_key(container, engine)
    report(Event(subject=name, stage="start", message=f"answers on port {port}: {banner}", level="done"))
    return SimRobot(
        name=name,
        kind=wanted.kind,
        init=wanted.init,
        serial=serial,
        port=port,
        http_port=0,
        host_key=host_key,
        container=container,
    )


def _start(name: str, serial: str, wanted: Wanted, engine: Engine) -> int:
    """Starts a robot's container; returns the host port of its SSH server.

    The port is chosen here and not by Docker, which would choose another one at each restart.
    """
    for attempt in range(PORT_TRIES):
        port = free_port()
        try:
            engine.start(describe(name, serial, port, wanted))
            return port
        except DockerFailure as error:
            taken = "port is already allocated" in error.what or "address already in use" in error.what
            if not taken or attempt == PORT_TRIES - 1:
                raise
    raise AssertionError("unreachable")


def describe(name: str, serial: str, port: int, wanted: Wanted) -> Container:
    """The container of a robot: a read-only root, /var on a volume, 1 GB, a /tmp as small as the robot's."""
    container = container_name(wanted.project, name)
    systemd = wanted.init == "systemd"
    return Container(
        name=container,
        hostname=name,
        image=wanted.image.tag,
        platform=wanted.image.platform,
        command=STARTS[wanted.init],
        network=network(wanted.project),
        labels={LABEL: wanted.project},
        environment={
            "OT2SIM_KEY": wanted.public_key,
            "OT2SIM_SERIAL": serial,
            **variables(wanted.kind),
            **({"container": "docker"} if systemd else {}),
        },
        ports={SSH: port},
        mounts=(Mount(volume=f"{container}-var", path="/var"),),
        # exec: Docker's own default for a tmpfs is noexec.
        tmpfs={"/tmp": "size=450m,mode=1777,exec", "/run": "size=64m,mode=755,exec"},
        memory=MEMORY,
        capabilities=CAPABILITIES[wanted.init],
        stop_signal=STOP_SIGNALS[wanted.init],
        security={"cgroupns": "private"} if systemd else {},
    )


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_banner(port: int, name: str, deadline: float = DEADLINE) -> str:
    """Waits for an SSH server's own first line (Docker's proxy takes connections before it); returns the line."""
    end = time.monotonic() + deadline
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.settimeout(5)
                line = connection.makefile("rb").readline(256)
            if line.startswith(b"SSH-2.0-"):
                return line.decode("ascii", "replace").strip()
        except OSError:
            pass
        if time.monotonic() > end:
            raise SimFailure(f"no SSH server answers on port {port} within {deadline:g} s", subject=name)
        time.sleep(POLL)


def read_host_key(container: str, engine: Engine) -> str:
    """The robot's public host key, read from inside rather than from the network: "ssh-ed25519 AAAA..."."""
    status, output = engine.execute(container, ["dropbearkey", "-y", "-f", HOST_KEY])
    for line in output.splitlines():
        if line.startswith("ssh-ed25519 "):
            return " ".join(line.split()[:2])
    raise SimFailure(f"cannot read the host key (status {status})", subject=container, details=(output,))


def reset(robot: SimRobot, engine: Engine) -> None:
    """Takes away what a factory reset does, and restarts the robot, which then makes itself another host key."""
    status, output = engine.execute(robot.container, ["sh", "-c", RESET])
    if status != 0:
        raise SimFailure("it could not be reset", subject=robot.name, details=tuple(output.splitlines()[-5:]))
    restart(robot, engine)


def restart(robot: SimRobot, engine: Engine) -> None:
    """Pulls a robot's plug, puts it in again and waits until it answers."""
    engine.restart(robot.container)
    await_banner(robot.port, robot.name)


def down(project: str, engine: Engine) -> None:
    """Removes a project's containers, volumes and network."""
    names = engine.containers(project)
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        for _ in pool.map(engine.remove_container, names):
            pass
    engine.remove_rest(project)
