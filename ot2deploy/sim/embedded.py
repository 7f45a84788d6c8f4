"""Embedded robots: a directory as the robot's root, and an SSH server in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from builder import files, places
from builder.errors import Failure
from builder.run import environment, run
from ot2deploy.inventory.settings import REMOTE_PATH

SOFTWARE = "7.3.1-embedded"  # what VERSION.json says; "embedded" so that nobody takes it for a real image
SERVER = "ot2deploy.sim.sshd"
SUPPORTED = ((3, 11), (3, 13))
ASK = """
import json, sys, sysconfig
print(json.dumps({"version": sys.version_info[:3], "executable": getattr(sys, "_base_executable", sys.executable),
                  "stdlib": sysconfig.get_path("stdlib"), "path": sys.path}))
"""


class EmbeddedFailure(Failure):
    """An embedded robot could not be made or started."""

    code = "sim-embedded"


@dataclass(frozen=True, kw_only=True)
class Seat:
    """What an embedded robot's server needs: its directory (as `create` made it), who may log in, where it listens.

    `authorized_key` is for the robot's first start, when it has no authorized_keys yet; "" lets nobody in. `port` 0
    takes a free one. `forwarding` allows direct-tcpip channels, so that it can serve as a jump host.
    """

    name: str
    directory: Path
    authorized_key: str
    port: int = 0
    forwarding: bool = False


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """A running embedded robot: 127.0.0.1:`port`, server process `pid`, `host_key` as "ssh-ed25519 AAAA..."."""

    name: str
    directory: Path
    port: int
    pid: int
    host_key: str

    @property
    def root(self) -> Path:
        """The directory that is the robot's root, an inventory's `root:`."""
        return self.directory / "root"


def create(directory: Path, name: str, python: Path | None = None, *, serial: str = "") -> Path:
    """Makes `directory` an embedded robot and returns its root; what is already there is kept.

    `python` is a CPython 3.11 to 3.13 of the host, by default the running one; the robot's usr is a virtual
    environment of it with that Python's own pip. `serial` is written where robots have theirs. Raises EmbeddedFailure.
    """
    root = directory.absolute() / "root"
    if not REMOTE_PATH.fullmatch(str(root)):
        raise EmbeddedFailure(
            f"an embedded robot cannot live in {directory}",
            subject=name,
            why="Its path becomes part of remote commands, which have letters, digits and . _ / - only.",
        )
    facts = _interpreter(str(python or _own_python()))
    if not (root / "usr" / "bin" / "python3").exists():
        run([facts["executable"], "-I", "-m", "venv", "--without-pip", root / "usr"], timeout=60, subject=name)
        for script in (root / "usr" / "bin").glob("*ctivate*"):
            script.unlink()
    site = root / "usr" / "lib" / "python{}.{}".format(*facts["version"]) / "site-packages"
    _link_pip(facts, site)
    # As images since 7.3.0 have it; site passes over a directory that is not there.
    user = root / "var/user-packages" / site.relative_to(root)
    files.write_bytes(site / "user-packages.pth", f"{user}\n".encode())
    for path in ("etc", "tmp", "var/data", "var/home", "var/lib/jupyter/data", "var/user-packages"):
        (root / path).mkdir(parents=True, exist_ok=True)
    if not (root / "etc" / "VERSION.json").exists():
        files.write_json(root / "etc" / "VERSION.json", _version(name))
        files.write_bytes(root / "etc" / "pip.conf", b"[install]\nroot = /var/user-packages\n")
    if serial:
        files.write_bytes(root / "var" / "serial", f"{serial}\n".encode())
    if not (directory / "host_key").exists():
        files.write_bytes(directory / "host_key", _new_key(), mode=0o600)
    return root


def serve(robots: Sequence[Seat]) -> tuple[Embedded, ...]:
    """Starts a server process for each robot, detached from us, and returns them in the same order.

    One launcher imports paramiko and then forks a small server for each robot, so many are light and quick.
    Each writes its log to `<directory>/sshd.log`. Raises EmbeddedFailure, and then none is left running.
    """
    for seat in robots:
        _admit(seat)
    asked = [
        {
            "name": seat.name,
            "directory": str(seat.directory.absolute()),
            "port": seat.port,
            "forwarding": seat.forwarding,
        }
        for seat in robots
    ]
    finished = run(
        [sys.executable, "-P", "-m", SERVER],  # -P: a json.py of the user's, where we run, is none of its modules
        input=json.dumps(asked).encode(),
        env={**environment(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        timeout=30,
        check=False,
    )
    answers = [json.loads(line) for line in finished.stdout.splitlines()]
    if finished.status != 0 or len(answers) != len(asked):
        for answer in answers:
            stop(answer["pid"])
        raise EmbeddedFailure("the embedded robots did not start", details=tuple(finished.stderr.splitlines()[-8:]))
    return tuple(
        Embedded(name=seat.name, directory=seat.directory.absolute(), **answer)
        for seat, answer in zip(robots, answers, strict=True)
    )


def start(directory: Path, authorized_key: str, port: int = 0, *, name: str = "", forwarding: bool = False) -> Embedded:
    """Starts one embedded robot; see `serve`."""
    seat = Seat(
        name=name or directory.name,
        directory=directory,
        authorized_key=authorized_key,
        port=port,
        forwarding=forwarding,
    )
    return serve([seat])[0]


def authorized_keys(directory: Path) -> Path:
    """The file of the keys that may log in to an embedded robot."""
    return directory / "root" / "var" / "home" / ".ssh" / "authorized_keys"


def reset(directory: Path) -> None:
    """A factory reset of an embedded robot that is not running: keys, boot scripts and our releases go, and its host
    key is another one afterwards.
    """
    var = directory / "root" / "var"
    for gone in (var / "ot2deploy", var / "data" / "boot.d"):
        shutil.rmtree(gone, ignore_errors=True)
    files.write_bytes(authorized_keys(directory), b"", mode=0o600)
    files.write_bytes(directory / "host_key", _new_key(), mode=0o600)


def stop(pid: int, timeout: float = 5.0) -> None:
    """Ends a robot's server and everything that runs in it, like pulling its plug. A pid that is gone is fine."""
    if not serving(pid):
        return
    deadline = time.monotonic() + timeout
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        while running(pid):  # a process on its way out has no command line any more
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


def serving(pid: int) -> bool:
    """Whether that is the process of a robot's server. After a restart of this computer it may be anybody's."""
    try:
        return SERVER.encode() in Path(f"/proc/{pid}/cmdline").read_bytes() and running(pid)
    except FileNotFoundError:
        return not Path("/proc/self").exists() and running(pid)


def running(pid: int) -> bool:
    """Whether a process with that pid runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return not Path("/proc/self").exists()
    return state != "Z"  # ended; whether its parent has noticed is not ours to wait for


def new_key_pair(path: Path) -> str:
    """Writes a new private key to `path` and its public line to `path`.pub; returns that line."""
    files.write_bytes(path, _new_key(), mode=0o600)
    line = public_line(path)
    files.write_bytes(path.with_name(path.name + ".pub"), line.encode() + b"\n")
    return line


def public_line(path: Path) -> str:
    """The public half of a private key file in OpenSSH format, as "ssh-ed25519 AAAA..."."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

    key = load_ssh_private_key(path.read_bytes(), password=None)
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _admit(seat: Seat) -> None:
    path = authorized_keys(seat.directory)
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = " ".join(seat.authorized_key.split()[:2])
        files.write_bytes(path, f"{key}\n".encode() if key else b"", mode=0o600)


def _new_key() -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def _version(name: str) -> dict[str, Any]:
    return {
        "robot_type": "OT-2 Standard",
        "build_type": "embedded-simulation",
        "opentrons_api_version": SOFTWARE,
        "buildroot_version": SOFTWARE,
        "simulated": name,
    }


def _own_python() -> Path:
    if not SUPPORTED[0] <= sys.version_info[:2] <= SUPPORTED[1]:
        raise EmbeddedFailure(
            f"embedded robots need CPython 3.11 to 3.13, and this is {sys.version.split()[0]}",
            next="Run: uv python install 3.12",
        )
    return Path(sys.executable)


@lru_cache
def _interpreter(python: str) -> dict[str, Any]:
    finished = run([python, "-I", "-c", ASK], timeout=30)
    facts: dict[str, Any] = json.loads(finished.stdout)
    if not SUPPORTED[0] <= tuple(facts["version"][:2]) <= SUPPORTED[1]:
        raise EmbeddedFailure(f"{python} is CPython {facts['version']}, embedded robots need 3.11 to 3.13")
    return facts


def _link_pip(facts: dict[str, Any], site: Path) -> None:
    """Puts a pip that works with that Python beside the robot's system packages, shared by links between robots."""
    if (site / "pip").exists():
        return
    source = _pip_of(facts)
    for member in source.iterdir():
        if member.name == "pip" or (member.name.startswith("pip-") and member.name.endswith(".dist-info")):
            (site / member.name).symlink_to(member)


def _pip_of(facts: dict[str, Any]) -> Path:
    bundled = sorted(Path(facts["stdlib"], "ensurepip", "_bundled").glob("pip-*.whl"))
    if bundled:
        return _unpacked(bundled[-1])
    for entry in filter(None, facts["path"]):
        if Path(entry, "pip", "__init__.py").exists():
            return Path(entry)
    raise EmbeddedFailure(
        f"{facts['executable']} has no pip to give to a robot",
        next="Debian and Ubuntu: apt-get install python3-venv python3-pip",
    )


def _unpacked(wheel: Path) -> Path:
    target = places.cache_root() / "sim" / wheel.stem
    with files.locked(target.with_suffix(".lock")):
        if not target.exists():
            part = target.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(part)
            part.rename(target)
    return target
