"""What kind of simulated robots this host can have: facts, and a pure decision from them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Literal

from builder.docker import engine as docker_engine
from builder.errors import Failure
from ot2deploy.sim import host

Kind = Literal["arm", "amd64", "embedded"]
KINDS: tuple[Kind, ...] = ("arm", "amd64", "embedded")
DESKTOP = "Docker Desktop"  # its virtual machine brings ARM emulation and is not ours to change


@dataclass(frozen=True, kw_only=True)
class HostFacts:
    """What decides: each field is one question asked of the host.

    `docker` is the service's version, or "" with `docker_why` saying what is wrong; `machine` and `system` are the
    service's. `emulation` says that the kernel hands ARM programs to qemu; `missing` are packages we would install.
    """

    linux: bool
    root: bool
    debian: bool
    docker: str
    docker_why: str = ""
    machine: str = ""
    system: str = ""
    emulation: bool = False
    missing: tuple[str, ...] = ()

    @property
    def may_install(self) -> bool:
        """Whether missing system packages can be installed by us."""
        return self.root and self.debian

    @property
    def native(self) -> bool:
        """Whether the machine is an ARM itself."""
        return self.machine in ("armv7l", "aarch64")

    @property
    def runs_arm(self) -> bool:
        """Whether ARM programs run, or can be made to: natively, by qemu, or by Docker Desktop's own emulation."""
        return self.native or self.emulation or self.may_install or DESKTOP in self.system


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Which kind of robots, why in one sentence, and what bringing them up does to this host, once."""

    kind: Kind
    why: str
    steps: tuple[str, ...] = ()
    exit_code: int = 0

    @property
    def profile(self) -> str:
        """The profile of such robots, as `ot2deploy bundle --profile` takes it."""
        return "debian-12-armhf" if self.kind == "arm" else "host"

    def as_dict(self) -> dict[str, Any]:
        """The decision as JSON."""
        return {"kind": self.kind, "why": self.why, "profile": self.profile, "steps": list(self.steps)}


def facts() -> HostFacts:
    """Asks the host."""
    version = why = machine = system = ""
    try:
        service = docker_engine.connect().service()
        version, machine, system = service.version, service.machine, service.system
    except Failure as error:
        why = error.what
    return HostFacts(
        linux=sys.platform == "linux",
        root=host.is_root(),
        debian=host.is_debian(),
        docker=version,
        docker_why=why,
        machine=machine,
        system=system,
        emulation=host.emulation_registered(),
        missing=host.missing((*host.FOR_IMAGE, *host.FOR_ARM)),
    )


def decide(found: HostFacts, asked: str = "auto") -> Decision:
    """The kind that was asked for; `auto`: ARM where Docker can be used and ARM programs run, else embedded."""
    if asked in KINDS:
        return Decision(kind=asked, why="asked for", steps=steps(found, asked))
    if not found.docker:
        return Decision(kind="embedded", why=found.docker_why)
    if not found.runs_arm:
        return Decision(
            kind="embedded",
            why="this host does not run ARM programs, and only root on Debian or Ubuntu can be given emulation",
        )
    how = "ARM emulation is there" if found.emulation else "ARM emulation can be had"
    if found.native:
        how = f"the machine is {found.machine}"
    return Decision(kind="arm", why=f"Docker {found.docker} can be used and {how}", steps=steps(found, "arm"))


def steps(found: HostFacts, kind: str) -> tuple[str, ...]:
    """What `sim up` does to the host before the first robot of a kind can start."""
    if kind == "embedded":
        return ()
    needed: tuple[str, ...] = host.FOR_IMAGE if found.may_install else ()
    registers = kind == "arm" and not (found.native or found.emulation or DESKTOP in found.system)
    needed += host.FOR_ARM if registers else ()
    installs = [f"install the system package {package}" for package in needed if package in found.missing]
    return (*installs, *(["register qemu-arm with the kernel"] if registers else []))
