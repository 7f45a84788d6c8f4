"""The process that serves the HTTP APIs of a project's robots: started, found and ended from here.

It runs on the host, one for all robots, so that ARM robots stay fast. Its directory holds `robots.json` (whom it
serves), `ports.json` (where it listens), `runs/NAME.json` (what `sim busy` said) and `alive`, which it keeps locked.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builder import files
from builder.run import environment, start
from ot2deploy.sim.failures import SimFailure

START = 20.0  # seconds until it must listen
STOP = 5.0


def read_runs(directory: Path, name: str) -> dict[str, Any]:
    """A robot's runs and its maintenance run; none where nothing was written."""
    try:
        found = json.loads((directory / "runs" / f"{name}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"runs": [], "maintenance": None}
    return {"runs": found["runs"], "maintenance": found["maintenance"]}


def write_runs(directory: Path, name: str, runs: list[dict[str, Any]], maintenance: dict[str, Any] | None) -> None:
    """Sets what a robot's API says of its runs."""
    files.write_json(directory / "runs" / f"{name}.json", {"schema": 1, "runs": runs, "maintenance": maintenance})


def serve(directory: Path, robots: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Starts the server process for these robots ({name: {serial, container, root, version, port}}); gives their ports.

    One that runs for the same directory is ended first; port 0 takes a free one. Raises SimFailure.
    """
    stop(directory)
    directory.mkdir(parents=True, exist_ok=True)
    ports = directory / "ports.json"
    ports.unlink(missing_ok=True)
    files.write_json(directory / "robots.json", {"schema": 1, "robots": robots})
    argv = [sys.executable, "-P", "-m", "ot2deploy.sim.api_process", str(directory.absolute())]
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    pid = start(argv, log=directory / "log", env=environment(path, passed=("OT2DEPLOY_CACHE",)))
    deadline = time.monotonic() + START
    while not ports.exists():
        if time.monotonic() > deadline or _ended(pid):
            log = (directory / "log").read_text(encoding="utf-8", errors="replace").splitlines()
            raise SimFailure("the robots' HTTP API server did not start", details=tuple(log[-8:]))
        time.sleep(0.02)
    found: dict[str, int] = json.loads(ports.read_text(encoding="utf-8"))["ports"]
    return found


def alive(directory: Path) -> int:
    """The pid of the server process of a directory, or 0. The lock decides, so that a recycled pid is never taken."""
    try:
        with (directory / "alive").open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return int(lock.read() or 0)
    except FileNotFoundError:
        pass
    return 0


def stop(directory: Path) -> None:
    """Ends the server process of a directory, if it runs. Raises SimFailure when it stays."""
    deadline = time.monotonic() + STOP
    while pid := alive(directory):
        os.kill(pid, signal.SIGKILL if time.monotonic() > deadline else signal.SIGTERM)
        if time.monotonic() > deadline + STOP:
            raise SimFailure(f"the robots' HTTP API server (process {pid}) does not end")
        time.sleep(0.02)


def _ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
