"""The program that serves the HTTP APIs of a project's robots: `python -m ot2deploy.sim.api_process DIRECTORY`.

Started by `api_server.serve`, which says what is in the directory. It ends on SIGTERM, and by itself
when its directory is deleted.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import files
from builder.docker import engine as docker_engine
from builder.run import run
from ot2deploy.sim import api_server, embedded, lab
from ot2deploy.sim.api import Api, Server
from ot2deploy.sim.state import Place

PATIENCE = 120.0  # seconds for a program on an embedded robot
WATCH = 2.0  # seconds between looks at whether the directory is still there
KEYS = "/var/home/.ssh/authorized_keys"


@dataclass(frozen=True, kw_only=True)
class Desk:
    """One robot as its API sees it: `runs/NAME.json` holds what `sim busy` wrote; `container` is empty if embedded.

    `root` is the directory that is an embedded robot's root.
    """

    directory: Path
    name: str
    serial: str
    container: str
    root: str
    version: str

    def facts(self) -> Mapping[str, Any]:
        """See api.Machine."""
        about = {"name": self.name, "serial": self.serial, "api_version": self.version, "system_version": self.version}
        return {**about, **api_server.read_runs(self.directory, self.name)}

    def restart(self) -> None:
        """See api.Machine."""
        lab.restart_at(Place(directory=self.directory.parent), self.name)

    def read_keys(self) -> str | None:
        """See api.Machine; an embedded robot has a cable only where one is asked to enroll it."""
        if not self.container:
            robot = Place(directory=self.directory.parent).read().robot(self.name)
            return embedded.authorized_keys(Path(robot.directory)).read_text() if robot.cable else None
        return docker_engine.connect().execute(self.container, ["cat", KEYS])[1]

    def write_keys(self, text: str) -> None:
        """See api.Machine."""
        if not self.container:
            robot = Place(directory=self.directory.parent).read().robot(self.name)
            files.write_bytes(embedded.authorized_keys(Path(robot.directory)), text.encode(), mode=0o600)
            return
        docker_engine.connect().execute(self.container, ["sh", "-c", f'umask 077; printf %s "$1" > {KEYS}', "sh", text])

    def run_python(self, program: str, argument: str) -> str:
        """See api.Machine."""
        words = [f"{self.root}/usr/bin/python3", "-I", "-c", program, argument]
        if self.container:
            return docker_engine.connect().execute(self.container, words)[1]
        return run(words, timeout=PATIENCE, check=False).stdout


class RobotServer(Server):
    """A robot's API, which answers nobody while the robot is switched off: then `off` is there."""

    def __init__(self, api: Api, port: int, off: Path) -> None:
        self.off = off
        super().__init__(api, port)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - socketserver's signature
        """Whether a connection is taken; any other one is closed."""
        return not self.off.exists()


def main(directory: Path) -> None:
    """Serves until SIGTERM, or until its directory is deleted."""
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    with (directory / "alive").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(str(os.getpid()))
        lock.flush()
        wanted = json.loads((directory / "robots.json").read_text(encoding="utf-8"))["robots"]
        servers = {}
        for name, robot in wanted.items():
            about = {key: robot[key] for key in ("serial", "container", "root", "version")}
            api = Api(machine=Desk(directory=directory, name=name, **about))
            servers[name] = RobotServer(api, robot["port"], Place(directory=directory.parent).off(name))
            threading.Thread(target=servers[name].serve_forever, daemon=True).start()
        ports = {name: server.server_address[1] for name, server in servers.items()}
        files.write_json(directory / "ports.json", {"schema": 1, "ports": ports})
        while not ending.wait(WATCH) and _is_there(directory / "alive", lock.fileno()):
            pass


def _is_there(path: Path, descriptor: int) -> bool:
    """Whether the file behind a descriptor still has its name: who deletes a project shall not keep our process."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    main(Path(sys.argv[1]))
