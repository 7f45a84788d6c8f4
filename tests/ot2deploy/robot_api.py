"""An embedded robot's HTTP API for tests, in this process: what it says it does, it does to that robot."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ot2deploy.sim.api import Api, Server


class RobotApi:
    """A Machine (see ot2deploy.sim.api.parts) for one robot of a Lab. `runs` and `maintenance` are a test's to set."""

    def __init__(self, serial: str = "OT2SIMr1") -> None:
        self.serial, self.port = serial, 0
        self.runs: list[dict[str, Any]] = []
        self.maintenance: dict[str, Any] | None = None
        self.restarts = 0
        self.lab: Any = None
        self.api = Api(machine=self)

    def facts(self) -> dict[str, Any]:
        about = {"name": "r1", "serial": self.serial, "api_version": "7.3.1", "system_version": "7.3.1"}
        return {**about, "runs": self.runs, "maintenance": self.maintenance}

    def restart(self) -> None:
        self.lab.stop("r1")
        self.lab.start("r1")
        self.restarts += 1

    def read_keys(self) -> str | None:
        return None

    def write_keys(self, text: str) -> None:
        raise AssertionError("nobody manages keys here")

    def run_python(self, program: str, argument: str) -> str:
        words = [f"{self.lab.root('r1')}/usr/bin/python3", "-I", "-c", program, argument]
        return subprocess.run(words, capture_output=True, text=True, timeout=60).stdout


@contextmanager
def serving(machine: RobotApi) -> Iterator[RobotApi]:
    """The machine, its API answering on its `port`."""
    server = Server(machine.api)
    machine.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield machine
    finally:
        server.shutdown()
        server.server_close()
