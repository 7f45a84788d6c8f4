"""The real agent in a process of its own, spoken to over pipes, on a directory that imitates a robot."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from builder.files import digest_of
from ot2deploy.agent_host.archive import build

BASE = "/var/ot2deploy"
RUNNING = "%d.%d" % sys.version_info[:2]
PATIENCE = 60.0


def frame(kind: str, payload: bytes = b"") -> bytes:
    """One frame."""
    return f"{kind} {len(payload)}\n".encode() + payload


def request_frame(op: str, **fields: Any) -> bytes:
    """A request as a frame."""
    return frame("J", json.dumps({"op": op, **fields}).encode())


class Agent:
    """One session with an agent."""

    def __init__(self, argv: list[str], env: dict[str, str]) -> None:
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        self.events: list[dict[str, Any]] = []
        self._buffer = b""

    def write(self, data: bytes) -> None:
        """Sends bytes as they are."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def line(self) -> dict[str, Any]:
        """The next message of any kind."""
        assert self.process.stdout is not None
        fd, deadline = self.process.stdout.fileno(), time.monotonic() + PATIENCE
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([fd], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(fd, 1 << 16) if ready else b""
            if not chunk:
                raise EOFError(f"no answer; had {self._buffer!r}")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def answer(self) -> dict[str, Any]:
        """The next result or error; events are put aside."""
        while (message := self.line())["type"] == "event":
            self.events.append(message)
        return message

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """Sends a request and returns its result or error."""
        self.write(request_frame(op, **fields))
        return self.answer()

    def result(self, op: str, **fields: Any) -> dict[str, Any]:
        """Sends a request that has to succeed."""
        answer = self.ask(op, **fields)
        assert answer["type"] == "result", answer
        return answer

    def close(self) -> int:
        """Closes standard input and waits for the end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """Ends the agent with SIGKILL."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A hand-made wheel."""

    path: Path
    name: str
    version: str
    sha256: str
    size: int

    @property
    def blob(self) -> dict[str, Any]:
        """The wheel as `need` wants it."""
        return {"sha256": self.sha256, "size": self.size, "filename": self.path.name}


def make_wheel(
    directory: Path,
    name: str = "demo",
    version: str = "1.0",
    files: dict[str, str | bytes] | None = None,
    scripts: dict[str, str] | None = None,
) -> Wheel:
    """Writes a pure wheel with the given members and console scripts."""
    info = f"{name}-{version}.dist-info"
    members: dict[str, bytes] = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if scripts:
        lines = "".join(f"{script} = {entry}\n" for script, entry in scripts.items())
        members[f"{info}/entry_points.txt"] = f"[console_scripts]\n{lines}".encode()
    for path, content in (files or {f"{name}.py": f"__version__ = {version!r}\n"}).items():
        members[path] = content.encode() if isinstance(content, str) else content
    rows = []
    for path, data in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(data)}\n")
    members[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"]).encode()
    target = directory / f"{name}-{version}-py3-none-any.whl"
    directory.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w") as archive:
        for path, data in members.items():
            member = zipfile.ZipInfo(path)
            member.external_attr = (0o100755 if "/scripts/" in path else 0o100644) << 16
            archive.writestr(member, data)
    data = target.read_bytes()
    return Wheel(path=target, name=name, version=version, sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def make_manifest(wheels: list[Wheel], environment: str = "demo", **changes: Any) -> dict[str, Any]:
    """The manifest of a bundle of these wheels for the running interpreter."""
    manifest: dict[str, Any] = {
        "schema": 1,
        "layout": 1,
        "environment": environment,
        "abi": "test",
        "profile": {"python": RUNNING},
        "variables": {},
        "system_packages": False,
        "wheels": [
            {"name": wheel.name, "version": wheel.version, "filename": wheel.path.name, "sha256": wheel.sha256}
            for wheel in wheels
        ],
        "checks": {"quick": [], "deep": []},
        **changes,
    }
    hashed = {key: manifest[key] for key in ("schema", "layout", "abi", "variables", "system_packages")}
    hashed["wheels"] = sorted([wheel["filename"], wheel["sha256"]] for wheel in manifest["wheels"])
    return {"digest": digest_of(hashed), **manifest}


@dataclass
class Robot:
    """A directory that imitates a robot's file system: usr/bin/python3 with pip, and /var."""

    root: Path
    archive: Path
    version: str
    agents: list[Agent] = field(default_factory=list)

    @property
    def base(self) -> Path:
        """The agent's base directory."""
        return self.root / BASE.lstrip("/")

    @property
    def python(self) -> Path:
        """The robot's system interpreter."""
        return self.root / "usr/bin/python3"

    @property
    def site(self) -> Path:
        """The system interpreter's site-packages."""
        return self.root / f"usr/lib/python{self.version}/site-packages"

    def env(self) -> dict[str, str]:
        """What the agent is started with."""
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.root), "PYTHONPATH": "/nowhere", "PIP_TARGET": "/nowhere"}

    def start(self, command: str = "session") -> Agent:
        """Starts an agent; a session's hello is taken."""
        agent = Agent([str(self.python), "-I", str(self.archive), command], self.env())
        self.agents.append(agent)
        return agent

    def session(self) -> Agent:
        """A session that has said hello."""
        agent = self.start()
        assert agent.line()["type"] == "hello"
        return agent

    def begin(self, **fields: Any) -> Agent:
        """A session that holds the lock."""
        agent = self.session()
        agent.result("begin", **self.begin_fields(**fields))
        return agent

    def begin_fields(self, **fields: Any) -> dict[str, Any]:
        """The fields of a begin request."""
        return {
            "protocol": 1, "base": BASE, "root": str(self.root), "run": "run-1", "who": "ada@lab",
            "fingerprint": "f1", "environment": "demo", **fields,
        }  # fmt: skip

    def send(self, agent: Agent, wheel: Wheel) -> None:
        """Sends a wheel whole."""
        self.send_blob(agent, "wheels", wheel.path, wheel.sha256)

    def send_blob(self, agent: Agent, kind: str, path: Path, sha256: str) -> None:
        """Sends a file whole."""
        data = path.read_bytes()
        fields = {"kind": kind, "sha256": sha256, "size": len(data), "filename": path.name, "offset": 0}
        agent.write(request_frame("blob", **fields) + frame("B", data))
        answer = agent.answer()
        assert answer["type"] == "result", answer

    def release(self, manifest: dict[str, Any]) -> Path:
        """Where a manifest's release stands."""
        return self.base / "envs" / manifest["environment"] / "releases" / manifest["digest"]

    def install(self, agent: Agent, wheels: list[Wheel], **changes: Any) -> dict[str, Any]:
        """Sends and installs wheels with pip; returns the manifest."""
        manifest = make_manifest(wheels, profile={"python": self.version}, **changes)
        for wheel in wheels:
            self.send(agent, wheel)
        agent.result("install", manifest=manifest, method="pip", packs=[])
        return manifest

    def push(self, agent: Agent, wheels: list[Wheel], **changes: Any) -> dict[str, Any]:
        """Installs, verifies without checks, and switches; returns the manifest."""
        manifest = self.install(agent, wheels, **changes)
        where = {"environment": manifest["environment"], "digest": manifest["digest"]}
        agent.result("verify", **where, checks=[], deep=False, fingerprint="f1")
        agent.result("switch", **where)
        return manifest


ENSUREPIP = (
    "import ensurepip, pathlib; print(*list(pathlib.Path(ensurepip.__file__).parent.glob('_bundled/pip-*.whl'))[-1:])"
)


def unpack_pip(python: str | Path, directory: Path) -> Path:
    """Unpacks the pip that an interpreter brings along."""
    argv = [str(python), "-I", "-c", ENSUREPIP]
    bundled = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout.strip()
    with zipfile.ZipFile(bundled) as archive:
        archive.extractall(directory)
    return directory


def make_robot(root: Path, python: Path, version: str, pip: Path) -> Robot:
    """A fresh robot with the agent's archive on it.

    Its system interpreter is a virtual environment of `python`, so that it has site-packages of its own.
    """
    robot = Robot(root=root, archive=root / "agent.pyz", version=version)
    (root / "var").mkdir(parents=True)
    robot.python.parent.mkdir(parents=True)
    robot.python.symlink_to(python.resolve())
    home = python.resolve().parent
    (root / "usr/pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n")
    robot.site.mkdir(parents=True)
    for entry in pip.iterdir():
        (robot.site / entry.name).symlink_to(entry)
    robot.archive.write_bytes(build()[0])
    return robot


@pytest.fixture(scope="session")
def pip_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The running interpreter's pip, unpacked."""
    return unpack_pip(sys.executable, tmp_path_factory.mktemp("pip"))


@pytest.fixture
def robot_of(tmp_path: Path) -> Iterator[Callable[..., Robot]]:
    """Makes robots: `robot_of(interpreter, "3.10", pip_directory)`. Their agents are ended afterwards."""
    robots: list[Robot] = []

    def make(python: str | Path, version: str, pip: Path | None = None) -> Robot:
        pip = pip or unpack_pip(python, tmp_path / f"pip-{version}")
        robots.append(make_robot(tmp_path / "robot", Path(python), version, pip))
        return robots[-1]

    yield make
    for agent in (agent for robot in robots for agent in robot.agents):
        if agent.process.poll() is None:
            agent.kill()
        for stream in (agent.process.stdin, agent.process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


@pytest.fixture
def robot(robot_of: Callable[..., Robot], pip_directory: Path) -> Robot:
    """A fresh robot with the running interpreter."""
    return robot_of(sys.executable, RUNNING, pip_directory)


@pytest.fixture
def wheel(tmp_path: Path) -> Callable[..., Wheel]:
    """Makes wheels: `wheel("demo", "1.0", files={...}, scripts={...})`."""
    return lambda *args, **kwargs: make_wheel(tmp_path / "wheels", *args, **kwargs)


@pytest.fixture
def manifest_of() -> Callable[..., dict[str, Any]]:
    """Makes manifests: `manifest_of([wheel, ...], environment="demo", **changes)`."""
    return make_manifest
