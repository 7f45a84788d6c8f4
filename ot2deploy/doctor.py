"""Looks over this machine: what ot2deploy needs, what is there, and how to get the rest."""

from __future__ import annotations

import platform
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from builder import places
from builder.errors import Failure, ToolFailure
from builder.files import write_bytes
from builder.run import run

State = Literal["ok", "warning", "missing"]
ROOM_WANTED, ROOM_NEEDED = 3_000_000_000, 500_000_000  # bytes: two profiles' wheels with builds; one bundle
ACCEPTED_KEYS = ("RSA", "ECDSA")  # what the robot's key upload (POST /server/ssh_keys) takes
CLOCK_SLACK = 86_400.0  # seconds; time zones of hand-set clocks are not our business


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the report. `needed` marks what `push` cannot do without; `fix` is a command or a sentence."""

    name: str
    state: State
    detail: str
    fix: str = ""
    needed: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The line as JSON."""
        return {
            "name": self.name, "state": self.state, "detail": self.detail, "fix": self.fix, "needed": self.needed,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Report:
    """Every line, in the order of the base job first."""

    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """1 when something that `push` needs is missing, else 0."""
        return int(any(finding.needed and finding.state == "missing" for finding in self.findings))

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON."""
        return {"findings": [finding.as_dict() for finding in self.findings]}


def doctor() -> Report:
    """Looks at everything once; changes nothing but a file it writes into the store's directory and removes."""
    cache = places.cache_root()
    compiling = "wheels that must be compiled"
    return Report(
        findings=(
            looked("python", _python),
            looked("store", _store_directory),
            room(cache, shutil.disk_usage(_existing(cache)).free),
            clock(time.time(), Path(__file__).stat().st_mtime),
            looked("uv", _uv),
            looked("indexes", _indexes, without="wheels of your own indexes"),
            ssh_keys(_agent_keys(), Path.home() / ".ssh"),
            looked("toolchains", _toolchains, without=compiling),
            looked("zig", _zig, without=compiling),
            *(
                looked(f"CPython {minor}", partial(_interpreter, minor), without=f"{compiling} for robots with {minor}")
                for minor in ("3.10", "3.12")
            ),
            looked("Debian archive", _debian_archive, without="static libraries for builds, simulated robots' image"),
            looked("rust", _rust, without="wheels that must be compiled from Rust"),
            looked("docker", _docker, without="simulated ARM and amd64 robots (embedded ones need none)"),
            looked("ARM emulation", _emulation, without="simulated ARM robots"),
            looked("mmdebstrap", _mmdebstrap, without="simulated robots' image where there is no registry"),
        )
    )


def looked(name: str, look: Callable[[], str], *, without: str = "") -> Finding:
    """A look as a finding: what it returns is the detail, a Failure is what is missing and how to get it.

    `without` says what does not work when it is missing, and makes it optional.
    """
    needed = not without
    try:
        return Finding(name=name, state="ok", detail=look(), needed=needed)
    except Failure as failure:
        detail = failure.what if needed else f"{failure.what} (only for {without})"
        return Finding(
            name=name, state="missing" if needed else "warning", detail=detail, fix=failure.next, needed=needed
        )


def room(path: Path, free: int) -> Finding:
    """Judges the free bytes where the store is."""
    detail = f"{free / 1e9:.1f} GB free for {path}"
    if free >= ROOM_WANTED:
        return Finding(name="disk", state="ok", detail=detail, needed=True)
    fix = "Free some space, or set OT2DEPLOY_CACHE to a directory with more."
    return Finding(
        name="disk", state="missing" if free < ROOM_NEEDED else "warning", detail=detail, fix=fix, needed=True
    )


def clock(now: float, installed: float) -> Finding:
    """Judges the clock: it cannot be earlier than the installation (certificates and as-of dates depend on it)."""
    shown = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if now >= installed - CLOCK_SLACK:
        return Finding(name="clock", state="ok", detail=shown)
    return Finding(
        name="clock", state="warning", detail=f"{shown}, which is before ot2deploy was installed",
        fix="Set the clock: TLS certificates and the as-of dates of new locks go by it.",
    )  # fmt: skip


def ssh_keys(agent: tuple[str, ...], directory: Path) -> Finding:
    """Judges the keys at hand: kinds in the agent (`ssh-add -l`), and key files in ~/.ssh."""
    files = [path.stem for path in sorted(directory.glob("id_*.pub"))]
    kinds = {*agent, *(name.removeprefix("id_").upper() for name in files)}
    held = ", ".join([*(f"{kind} in the agent" for kind in agent), *(f"~/.ssh/{name}" for name in files)])
    accepted = [kind for kind in ACCEPTED_KEYS if kind in kinds]
    if accepted:
        return Finding(name="ssh key", state="ok", detail=held)
    why = f"only {held}: the OT-2's key upload refuses that kind" if held else "none in the agent or in ~/.ssh"
    return Finding(
        name="ssh key", state="warning", detail=f"{why} (simulated robots have keys of their own)",
        fix="ssh-keygen -t ecdsa -f ~/.ssh/id_ecdsa",
    )  # fmt: skip


def _python() -> str:
    from builder.profile_host import host_profile

    return f"{sys.version.split()[0]}, profile {host_profile().name}"


def _store_directory() -> str:
    root = places.cache_root()
    try:
        write_bytes(root / ".doctor", b"")
        (root / ".doctor").unlink()
    except OSError as error:
        raise ToolFailure(
            f"cannot write into {root}: {error.strerror or error}",
            next="Make it writable, or set OT2DEPLOY_CACHE to another directory.",
        ) from error
    return str(root)


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())


def _uv() -> str:
    from builder import uv

    return f"{uv.version()} at {uv.find().program}"


def _indexes() -> str:
    from builder.fetch import public
    from ot2deploy.engine import search_of
    from ot2deploy.project import Project

    search = search_of(Project.find())
    named = [f"{index.name} {public(index.url)} ({index.said})" for index in (*search.first, *search.indexes)]
    return "; ".join([*named, "the public index"])


def _agent_keys() -> tuple[str, ...]:
    if not shutil.which("ssh-add"):
        return ()
    try:
        listed = run(["ssh-add", "-l"], timeout=10, check=False)
    except ToolFailure:
        return ()
    kinds = [line.rpartition("(")[2].rstrip(")") for line in listed.stdout.splitlines() if line.endswith(")")]
    return tuple(kinds) if listed.status == 0 else ()


def _toolchains() -> str:
    from builder.toolchain import apt
    from builder.toolchain.choice import supported

    system, machine = platform.system(), platform.machine()
    try:
        docker = bool(_docker())
    except Failure:
        docker = False
    found = supported(system, machine, docker=docker, debian=apt.available())
    if not found:
        raise ToolFailure(
            f"{system} {machine} builds wheels in containers only, and there is no Docker",
            next="Install Docker, or use indexes that have the wheels.",
        )
    return f"{system} {machine} builds with {', '.join(found)}"


def _zig() -> str:
    from builder.toolchain.zig import find_zig

    return find_zig().version


def _interpreter(minor: str) -> str:
    from builder.toolchain.interpreter import find_interpreter

    found = find_interpreter(minor, headers=True)
    return f"{found.version} at {found.path}"


def _debian_archive() -> str:
    from builder.toolchain import apt

    if not apt.available():
        raise ToolFailure(
            "apt-get and dpkg-deb are not here", next="Build on Debian or Ubuntu, or use indexes with wheels."
        )
    return "apt-get"


def _rust() -> str:
    from builder.profile import load
    from builder.toolchain import apt
    from builder.toolchain.rust import NoRust, find_rust

    try:
        return find_rust(load("ot2-py310"), offline=True).version  # offline: nothing is fetched to answer a question
    except NoRust:
        if shutil.which("cargo") and apt.available():
            return "cargo; a build fetches the target's compiler from the Debian archive"
        raise


def _docker() -> str:
    from builder.docker import engine as docker_engine

    service = docker_engine.connect().service()
    return f"{service.version} on {service.system}"


def _emulation() -> str:
    from ot2deploy.sim import host

    if host.emulation_registered():
        return "binfmt entry qemu-arm"
    if host.is_root() and not host.missing(host.FOR_ARM):
        return "qemu is installed; `ot2deploy sim up` registers it"
    raise ToolFailure(
        "this machine does not run ARM programs",
        next="As root on Debian or Ubuntu: apt-get install qemu-user-static   (`ot2deploy sim up` does so)",
    )


def _mmdebstrap() -> str:
    from ot2deploy.sim import host

    lacking = host.missing(host.FOR_IMAGE)
    if lacking:
        raise ToolFailure(
            f"{', '.join(lacking)} not installed",
            next=f"As root on Debian or Ubuntu: apt-get install {' '.join(lacking)}   (`ot2deploy sim up` does so)",
        )
    return str(shutil.which("mmdebstrap"))
