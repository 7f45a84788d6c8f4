"""A container without network as the place of a build: nothing of it runs elsewhere, and nothing is fetched in it."""

from __future__ import annotations

import io
import json
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import IO, Any

from builder.build.fetch_wheels import fetch_wheels
from builder.build.request import Uv
from builder.build.zig_for import zig_for
from builder.docker import engine as docker_engine
from builder.docker.engine import Bind, Closed, Room
from builder.errors import BuildFailure, ToolFailure, UsageFailure
from builder.events import Report
from builder.places import cache_root
from builder.profile import Profile
from builder.run import ended_badly, ending, short, tail
from builder.toolchain.choice import Choice
from builder.toolchain.compiler import Compiler
from builder.toolchain.container_image import ensure_image
from builder.toolchain.interpreter import QUESTION, Interpreter, find_interpreter, understood
from builder.toolchain.rust import cargo_home
from builder.toolchain.zig import Zig

WORK = "/build"  # the same for all builds, so that its name decides nothing
SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LABEL = "ot2deploy.build"
FACTS = "import platform; print(platform.machine(), platform.libc_ver()[1] or '0.0')"
FREEZE = "import importlib.metadata as m\nfor d in m.distributions(): print(d.metadata['Name'] + '==' + d.version)"
SYSTEM = (Path("/"), Path("/usr"), Path("/usr/local"))  # what an image has itself
QUICK = 120.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Contained:
    """A running container as a Place. `profile` is its own Linux with its CPython, `work` the build's directory."""

    room: Room
    work: Path
    uv: Uv
    interpreter: Interpreter
    profile: Profile
    identity: Mapping[str, Any]
    offline: bool

    @property
    def search(self) -> str:
        """The system's directories, and cargo's where it is mounted."""
        return f"{SEARCH}:{inside(cargo_home() / 'bin')}"

    def seen(self, text: str) -> str:
        """A text with the work directory, and Windows paths, as they are called inside."""
        text = re.sub(re.escape(str(self.work)) + r"(?![\w.-])", WORK, text)
        return text if os.name == "posix" else re.sub(r"\b[A-Z]:\\[^\s\"';:=]*", lambda m: inside(Path(m[0])), text)

    def compiler(self, compiler: Compiler) -> Compiler:
        """The same compiler for the container's Linux: zig is fetched where the host is another system."""
        same = sys.platform == "linux" and platform.machine() == self.profile.machine
        if same or not isinstance(compiler, Zig):
            return compiler
        return zig_for(compiler.version, self.profile, self.uv, offline=self.offline)

    def make_environment(self, venv: Path) -> None:
        """Makes a virtual environment without pip."""
        self._quick([str(self.interpreter.path), "-I", "-m", "venv", "--without-pip", self.seen(str(venv))])

    def install(
        self,
        venv: Path,
        requirements: Sequence[str],
        *,
        constraints: Sequence[str] = (),
        exclude_newer: str | None = None,
        log: Path,
    ) -> None:
        """Installs wheels that were fetched on the host; what is installed already keeps its version."""
        fetching: Any = {"as_of": exclude_newer, "offline": self.offline}
        (pip,) = fetch_wheels(["pip"], self.profile, self.uv, **fetching)
        held = self.freeze(venv)
        wheels = fetch_wheels(requirements, self.profile, self.uv, constraints=(*constraints, *held), **fetching)
        argv: list[str | Path] = [venv / "bin/python", f"{inside(pip)}/pip", "install"]
        argv += ["--no-index", "--no-deps", "--no-cache-dir", "--disable-pip-version-check", "--no-compile"]
        argv += map(inside, wheels)
        self.run(argv, cwd=self.work, variables={}, log=log, timeout=QUICK * 5, subject="build requirements")

    def freeze(self, venv: Path) -> tuple[str, ...]:
        """What an environment holds."""
        return tuple(sorted(self._quick([self.seen(str(venv / "bin/python")), "-I", "-c", FREEZE]).splitlines()))

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path,
        variables: Mapping[str, str],
        log: Path,
        timeout: float,
        subject: str,
        called: str = "",
    ) -> None:
        """Runs a program in the container."""
        words = tuple(self.seen(str(word)) for word in argv)
        with log.open("ab") as sink:
            status = self._call(list(words), cwd=self.seen(str(cwd)), variables=variables, log=sink, timeout=timeout)
        called, output = called or short(words), tail(log)
        if status is None:
            what = f"{called} did not end within {timeout:g} s"
            raise ToolFailure(what, argv=words, subject=subject, output=output)
        if status != 0:
            raise ended_badly(called, argv=words, status=status, output=output, subject=subject)

    def _quick(self, words: list[str]) -> str:
        said = io.BytesIO()
        if self._call(words, cwd=WORK, variables={}, log=said, timeout=QUICK) != 0:
            raise ToolFailure(f"{' '.join(words[:4])} failed in the container", output=said.getvalue().decode())
        return said.getvalue().decode()

    def _call(
        self, words: list[str], *, cwd: str, variables: Mapping[str, str], log: IO[bytes], timeout: float
    ) -> int | None:
        return _call(self.room, words, cwd=cwd, log=log, timeout=timeout, variables={
            "PATH": self.search, "CARGO_HOME": inside(cargo_home()), "RUSTUP_HOME": inside(rustup_home()),
            **{name: self.seen(value) for name, value in variables.items()},
        })  # fmt: skip


def rustup_home() -> Path:
    """Where rustup keeps its toolchains."""
    return Path(os.environ.get("RUSTUP_HOME") or Path.home() / ".rustup")


def inside(path: Path) -> str:
    """What a directory of the host that is mounted as it is is called in the container: the same, but on Windows."""
    if os.name == "posix":
        return str(path)
    windows = PureWindowsPath(path)
    return "/" + windows.as_posix().replace(":", "", 1)


@contextmanager
def container(
    choice: Choice,
    *,
    minor: str,
    work: Path,
    compiler: Compiler,
    uv: Uv,
    offline: bool,
    report: Report,
) -> Iterator[Contained]:
    """A container for one build, with a CPython of a minor ("3.10"): the image's own, else this host's where it is a
    Linux. It is gone at the end.

    Raises DockerFailure, OfflineFailure and BuildFailure with the image to name.
    """
    if shared := [path for path in compiler.files if path in SYSTEM]:
        raise UsageFailure(
            f"{compiler.name} in {shared[0]} cannot be used in a container: its files lie among the system's own",
            next="Name an SDK in a directory of its own, or container:gcc:debian.",
        )
    docker = docker_engine.connect()
    image = ensure_image(choice.image, minor, docker, report, offline=offline)
    host = _host_interpreter(minor)
    caches = [cache_root() / name for name in ("toolchain", "zig")]
    for cache in caches:
        cache.mkdir(parents=True, exist_ok=True)
    # Of cargo's directory just these: it may also hold the user's tokens.
    rust = [rustup_home(), *(cargo_home() / name for name in ("bin", "registry", "git"))]
    read = [*compiler.files, caches[0], *filter(Path.is_dir, rust)]
    if host:
        read.append(host.prefix)
    binds = [Bind(host=path.resolve(), inside=inside(path)) for path in dict.fromkeys(read)]
    binds += [Bind(host=caches[1].resolve(), inside=inside(caches[1]), writable=True)]
    binds += [Bind(host=work, inside=WORK, writable=True)]
    wanted = Closed(image=image, binds=tuple(binds), labels={LABEL: str(work)}, user=_user())
    with docker.closed(wanted) as room, ending(room.end):
        interpreter = _interpreter(room, minor, host, work)
        if interpreter is None:
            raise BuildFailure(
                f"the image {image} has no CPython {minor}",
                why="Build back ends run in an interpreter of the target's version.",
                next=f"Use --toolchain container=python:{minor}-slim-bookworm, or install a CPython {minor} here.",
            )
        yield Contained(
            room=room,
            work=work,
            uv=uv,
            interpreter=interpreter,
            profile=_profile(room, image, interpreter),
            identity={"image": image, "id": docker.identity(image)},
            offline=offline,
        )


def _user() -> str:
    """What is made belongs to the caller; on Windows Docker's own user does."""
    return f"{os.getuid()}:{os.getgid()}" if hasattr(os, "getuid") else ""


def _host_interpreter(minor: str) -> Interpreter | None:
    """This host's CPython if it can be mounted: not a system's own one, whose libraries lie all over it."""
    if sys.platform != "linux":
        return None
    try:
        found = find_interpreter(minor)
    except BuildFailure:
        return None
    return found if found.prefix not in SYSTEM else None


def _interpreter(room: Room, minor: str, host: Interpreter | None, work: Path) -> Interpreter | None:
    """The image's own CPython with a copy of its headers in the work directory, else the mounted one."""
    said = io.BytesIO()
    own = [f"python{minor}", "-I", "-c", QUESTION]
    if _call(room, own, cwd="/", variables={"PATH": SEARCH}, log=said, timeout=QUICK) != 0:
        return host
    answer = json.loads(said.getvalue())
    headers, copy = str(answer["include"]), work / "python" / Path(str(answer["include"])).name
    multiarch = f"{Path(headers).parent}/{answer['multiarch']}/{copy.name}"
    script = f'mkdir -p {WORK}/python; cp -rL "$1" {WORK}/python; [ ! -d "$2" ] || ' + (
        f'{{ mkdir -p "{WORK}/python/$3"; cp -rL "$2" "{WORK}/python/$3"; }}'
    )
    copying = ["sh", "-c", script, "sh", headers, multiarch, str(answer["multiarch"])]
    if answer["headers"] and _call(room, copying, cwd="/", variables={"PATH": SEARCH}, log=said, timeout=QUICK) == 0:
        answer["include"] = str(copy)
    return understood(json.dumps(answer), Path(str(answer["executable"])), minor, "linux")


def _profile(room: Room, image: str, interpreter: Interpreter) -> Profile:
    """The container's own Linux as a profile, so that wheels can be chosen for it."""
    said = io.BytesIO()
    asked = [str(interpreter.path), "-I", "-c", FACTS]
    _call(room, asked, cwd="/", variables={"PATH": SEARCH}, log=said, timeout=QUICK)
    machine, _, glibc = said.getvalue().decode().strip().partition(" ")
    major, _, minor = glibc.partition(".")
    if major != "2":
        raise BuildFailure(f"the image {image} is no glibc Linux", next="Name one of Debian, such as python:3.10-slim.")
    return Profile(
        name=f"the image {image}", python=interpreter.minor, machine=machine, glibc=(2, int(minor)),
        triple=f"{machine}-linux-gnu", full_version=interpreter.version,
    )  # fmt: skip


def _call(
    room: Room, words: list[str], *, cwd: str, variables: Mapping[str, str], log: IO[bytes], timeout: float
) -> int | None:
    clean = {"HOME": f"{WORK}/tmp", "LC_ALL": "C.UTF-8"}
    return room.run(words, cwd=cwd, environment={**clean, **variables}, log=log, timeout=timeout)
