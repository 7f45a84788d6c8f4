"""Embedded robots for tests: real SSH, a real Python and pip, no containers.

    def test_x(embedded_robot): ...              one running robot: an inventory.Robot whose host key is pinned
    def test_y(embedded_lab):
        lab = embedded_lab(2, base="/var/other")     two of them, further settings for the inventory
        lab.robots["r1"]                             inventory.Robot; lab.path is the inventory, lab.identity the key
        lab.root("r1")                               the directory that is the robot's root
        lab.stop("r1"); lab.start("r1")              pull its plug, and start it again on the same port
        with cutting_proxy(lab.robots["r1"].port, after=1_000_000) as port: ...     a connection that breaks
    def test_z(workplace):
        workplace.environment("plates", workplace.wheel("plates", "1.0"))     environments of hand-made wheels, no index
        workplace.push("plates")                                              the real command, on one embedded robot

    def test_w(machine, workplace_of):
        workplace = workplace_of(http_port=machine.port); machine.lab = workplace.lab      r1 with its HTTP API
        machine.runs, machine.restarts, machine.api.down ...                              what it does (robot_api.py)

They are ended with the test. A robot takes about 0.1 s, its server 0.2 s; any number of tests may run side by side.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from robot_api import RobotApi, serving
from wheel_factory import make_wheel

import ot2deploy
from ot2deploy import inventory
from ot2deploy.inventory import Robot
from ot2deploy.sim import embedded
from ot2deploy.sim.embedded import Embedded


@dataclass(kw_only=True)
class Lab:
    """Running embedded robots, their inventory file and the key that opens them."""

    directory: Path
    identity: Path
    settings: dict[str, Any]
    servers: dict[str, Embedded] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The inventory file."""
        return self.directory / "lab.yaml"

    @property
    def robots(self) -> dict[str, Robot]:
        """The robots, read from the inventory file now."""
        return dict(inventory.load(self.path).robots)

    def root(self, name: str) -> Path:
        """The directory that is a robot's root."""
        return self.servers[name].root

    def seat(self, name: str) -> embedded.Seat:
        """What a robot's server is started with."""
        port = self.servers[name].port if name in self.servers else 0
        key = embedded.public_line(self.identity)
        return embedded.Seat(name=name, directory=self.directory / name, authorized_key=key, port=port, forwarding=True)

    def start(self, *names: str) -> None:
        """Starts robots; one that has run before keeps its port."""
        for server in embedded.serve([self.seat(name) for name in names]):
            self.servers[server.name] = server

    def base(self, name: str = "r1") -> Path:
        """A robot's base directory."""
        return self.root(name) / "var" / "ot2deploy"

    def log(self, name: str = "r1") -> list[str]:
        """What a robot's SSH server was asked for so far: "connection", or a command line."""
        said = (self.directory / name / "sshd.log").read_text().splitlines()
        lines = [line.partition(" ") for line in said]
        return [
            json.loads(rest) if word == "exec" else word for word, _, rest in lines if word in ("exec", "connection")
        ]

    def current(self, environment: str, name: str = "r1") -> str | None:
        """The digest of an environment's current release on a robot."""
        link = self.base(name) / "envs" / environment / "current"
        return link.readlink().name if link.is_symlink() else None

    def stop(self, name: str) -> None:
        """Pulls a robot's plug."""
        embedded.stop(self.servers[name].pid)

    def write(self, **changes: dict[str, Any]) -> None:
        """Writes the inventory: what is true, and `changes` by robot (a value of None leaves a setting out)."""
        lines = ["schema: 1", "robots:"]
        for name, server in self.servers.items():
            truth = {
                "address": "127.0.0.1", "port": server.port, "identity_file": self.identity, "root": server.root,
                "host_key": server.host_key, **self.settings, **changes.get(name, {}),
            }  # fmt: skip
            lines.append(f"  {name}:")
            lines += [f"    {key}: {value}" for key, value in truth.items() if value is not None]
        self.path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def pip_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pip of embedded robots is unpacked, once for each test process."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def embedded_lab(tmp_path: Path, pip_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Lab]]:
    """A function that makes and starts `count` embedded robots named r1, r2 ..., and returns their Lab.

    `pythons` gives robots another CPython than the running one.
    """
    labs: list[Lab] = []

    def make(count: int = 1, *, pythons: dict[str, Path] | None = None, **settings: Any) -> Lab:
        directory = tmp_path / f"lab{len(labs) or ''}"
        lab = Lab(directory=directory, identity=directory / "id", settings=settings)
        labs.append(lab)
        embedded.new_key_pair(lab.identity)
        names = [f"r{number + 1}" for number in range(count)]
        with monkeypatch.context() as patch:
            patch.setenv("OT2DEPLOY_CACHE", str(pip_cache))
            for name in names:
                embedded.create(directory / name, name, (pythons or {}).get(name), serial=f"OT2SIM{name}")
        lab.start(*names)
        lab.write()
        return lab

    yield make
    for lab in labs:
        for name in lab.servers:
            lab.stop(name)


@pytest.fixture
def embedded_robot(embedded_lab: Callable[..., Lab]) -> Robot:
    """One running embedded robot."""
    return embedded_lab(1).robots["r1"]


@contextlib.contextmanager
def _cutting_proxy(
    port: int, *, after: int, times: int = 1, silent: bool = False, arrived: Callable[[], bool] = lambda: True
) -> Iterator[int]:
    """A TCP proxy on 127.0.0.1 that resets its first `times` connections once the client sent `after` bytes.

    It waits until some of them `arrived`: what a server had not read yet is lost with its connection. If `silent`, it
    swallows what is sent from there on, until the client goes.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    left = [times]

    def pump(source: socket.socket, target: socket.socket, limit: int | None) -> None:
        seen = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                seen += len(data)
                if limit is not None and seen > limit:
                    if silent:
                        continue
                    _wait_until(arrived)
                    break
                target.sendall(data)
        for side in (source, target):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", port))
                limit = after if left[0] > 0 else None
                left[0] -= 1
                threading.Thread(target=pump, args=(client, server, limit), daemon=True).start()
                threading.Thread(target=pump, args=(server, client, None), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.fixture
def cutting_proxy() -> Callable[..., contextlib.AbstractContextManager[int]]:
    """A context manager: a TCP proxy that breaks connections; see `_cutting_proxy`."""
    return _cutting_proxy


@dataclass(kw_only=True)
class Workplace:
    """A project directory, a lab, and the commands of a user in it. Environments are of hand-made wheels: no index."""

    directory: Path
    lab: Lab
    run_cli: Callable[..., Any]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def wheel(
        self, name: str, version: str = "1.0", text: str = "VALUE = 1\n", *, tag: str = "py3-none-any", **files: Any
    ) -> Path:
        """A pure wheel with one module; `files` are make_wheel's further arguments."""
        where = self.directory / "wheels" / version
        where.mkdir(parents=True, exist_ok=True)
        content = {f"{name}.py": text.encode(), **files.pop("files", {})}
        return make_wheel(where, f"{name}-{version}-{tag}.whl", content, **files)

    def environment(self, name: str, *wheels: Path, checks: str = "", program: str = "", more: str = "") -> None:
        """Writes an environment. `checks` are the lines below `quick:`, `program` the source of a check of that kind,
        `more` further lines of the file."""
        path = self.directory / "environments" / name / "environment.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        if program:
            (path.parent / "check.py").write_text(program)
            checks += "\n- program: check.py"
        lines = ["requirements:", *(f"  - {wheel}" for wheel in wheels), more.rstrip()]
        if checks:
            lines += ["checks:", "  quick:", *(f"    {line}" for line in checks.splitlines())]
        path.write_text("\n".join(lines) + "\n")

    def run(self, *words: str | Path, status: int = 0) -> Any:
        """Runs a command with --json on the lab; its result, or its whole document where it must end otherwise."""
        at = words.index("--") if "--" in words else len(words)
        ran = self.run_cli(*words[:at], "--robots", self.lab.path, "--json", *words[at:])
        assert ran.status == status, f"exit status {ran.status}\n{ran.out}\n{ran.err}"
        assert ran.document["exit_code"] == status
        return ran.document["result"] or ran.document["error"]

    def push(self, *words: str | Path, status: int = 0) -> Any:
        """Pushes to the lab; the row of its only robot, or all of them."""
        rows = self.run("push", *words, status=status)["robots"]
        return rows[0] if len(rows) == 1 else {row["robot"]: row for row in rows}

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """A command on the lab as a program of its own, its three streams in our hands."""
        at = words.index("--") if "--" in words else len(words)
        python = [sys.executable, "-X", "faulthandler"]
        program = subprocess.Popen(
            [*python, "-m", "ot2deploy", *words[:at], "--robots", self.lab.path, *words[at:]],
            cwd=self.directory, env={**os.environ, "PYTHONPATH": str(Path(ot2deploy.__path__[0]).parent)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.started.append(program)
        return program

    def start_push(self, *words: str, until: str) -> subprocess.Popen[str]:
        """A push as a program of its own, once its progress has a line that begins with `until`."""
        program = self.start("push", *words)
        assert program.stderr is not None
        said = []
        for line in program.stderr:
            said.append(line)
            if line.startswith(until):
                return program
        raise AssertionError(f"it ended without {until!r}: {''.join(said)}")


@pytest.fixture
def workplace_of(
    embedded_lab: Callable[..., Lab], run_cli: Callable[..., Any], tmp_path: Path
) -> Iterator[Callable[..., Workplace]]:
    """A function that makes a Workplace with `count` robots; see `embedded_lab`."""
    started: list[subprocess.Popen[str]] = []

    def make(count: int = 1, **settings: Any) -> Workplace:
        lab = embedded_lab(count, **settings)
        return Workplace(directory=tmp_path, lab=lab, run_cli=run_cli, started=started)

    yield make
    for program in started:
        program.kill()
        program.communicate(timeout=30)


@pytest.fixture
def workplace(workplace_of: Callable[..., Workplace]) -> Workplace:
    """A Workplace with one robot."""
    return workplace_of()


@pytest.fixture
def machine() -> Iterator[RobotApi]:
    """The HTTP API of r1, for a test to say what it does; its `lab` is to be set before it is restarted."""
    with serving(RobotApi()) as served:
        yield served
