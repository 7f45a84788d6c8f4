"""A robot to break and a host beside it: set back between two faults, its commands run in forked processes."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos_host import Command, Ended, Host
from wheel_factory import make_wheel

from ot2deploy.sim import embedded

ENVIRONMENT, SHARED = "plates", "shared"
BULK = 700_000  # bytes that do not compress: several frames, several pieces of a file
LOCK_PATIENCE = 40.0  # an agent gives up 30 s after its host fell silent
PROBE = "import plates; print(plates.VALUE)"
PROTOCOLS = f"try: {PROBE}\nexcept ModuleNotFoundError: print(None)"  # nothing may be shared
LIVE = "raise SystemExit('the deck is crooked')\n"
HOOK = "sitecustomize.py"


@dataclass(kw_only=True)
class Place(Host):
    """One embedded robot `r1`, two project directories (hosts) and bundles of the releases 1 to 4 of `plates`.

    Release 3 fails its live check. States are made when they are first needed, each out of another by a few commands.
    """

    server: embedded.Embedded
    identity: Path
    outside: dict[str, str] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)

    @property
    def root(self) -> Path:
        """The robot's root."""
        return self.server.root

    @property
    def base(self) -> Path:
        """The robot's base directory."""
        return self.root / "var" / "ot2deploy"

    @property
    def chaos(self) -> Path:
        """Where the robot's hook finds what it is to do."""
        return self.server.directory / "chaos"

    def bundle(self, version: int) -> Path:
        """The bundle of a release."""
        return self.directory / f"plates-{version}.ot2bundle"

    def wheel(self, version: int) -> Path:
        """The wheel of a release, for protocols."""
        return self.directory / "wheels" / f"plates-{version}.0-py3-none-any.whl"

    @property
    def key(self) -> Path:
        """The public key of a second computer."""
        return self.directory / "second.pub"

    def states(self) -> dict[str, tuple[str, list[Command]]]:
        """The states of the robot: which one each is made of, and by what."""
        tree = ("--install-method", "tree")
        one, two, four = (Command(words=("push", str(self.bundle(version)), *tree)) for version in (1, 2, 4))
        failing = Command(words=("push", str(self.bundle(3)), *tree), status=4)
        share = {version: Command(words=("push", str(self.wheel(version)), "--shared", *tree)) for version in (1, 2)}
        kernel = Command(words=(*two.words, "--kernel"))
        return {
            "first": ("nothing", [one]),
            "second": ("first", [two]),
            "three releases": ("nothing", [four, one, two]),
            "one taken back": ("second", [failing]),
            "shared second": ("nothing", [share[1], share[2]]),
            "shared first again": ("shared second", [Command(words=("rollback", SHARED))]),
            "everything": ("second", [kernel, share[2]]),
        }

    def write_inventory(self, **changes: Any) -> None:
        """Writes lab.yaml: what is true, and changes of settings."""
        truth = {
            "address": "127.0.0.1", "port": self.server.port, "identity_file": self.identity, "root": self.root,
            "host_key": self.server.host_key, **changes,
        }  # fmt: skip
        lines = ["schema: 1", "robots:", "  r1:", *(f"    {name}: {value}" for name, value in truth.items())]
        (self.directory / "lab.yaml").write_text("\n".join(lines) + "\n")

    def arm(self, **armed: Any) -> None:
        """Sets the robot's trap."""
        text = json.dumps({"server": self.server.pid, **armed})
        (self.chaos / "armed").write_text(text)

    @property
    def armed(self) -> bool:
        """Whether the trap is still set."""
        return (self.chaos / "armed").exists()

    def restart(self) -> None:
        """Starts the robot's server again, on its port, after its end."""
        embedded.stop(self.server.pid)
        key = embedded.public_line(self.identity)
        self.server = embedded.start(self.server.directory, key, self.server.port, name="r1", forwarding=True)

    def restart_when_dead(self) -> None:
        """Starts the robot's server again where it was killed."""
        if not embedded.running(self.server.pid):
            self.restart()

    def push(self, version: int = 2, *more: str, **options: Any) -> Ended:
        """A push of a release to its end."""
        return self.command("push", str(self.bundle(version)), *more, **options)

    def keep(self, name: str) -> None:
        """Remembers what the base directory holds now."""
        kept = self.directory / "kept" / name
        shutil.rmtree(kept, ignore_errors=True)
        kept.parent.mkdir(exist_ok=True)
        if self.base.exists():
            shutil.copytree(self.base, kept, symlinks=True)
        else:
            kept.mkdir()
            (kept / "absent").touch()
        around = self._around(name)
        shutil.rmtree(around, ignore_errors=True)
        shutil.copytree(self.base.parent, around, symlinks=True, ignore=shutil.ignore_patterns(self.base.name))
        self.kept.add(name)

    def set_back(self, name: str) -> None:
        """Makes the base directory and what is around it what they were when they were kept, and forgets what the
        hosts noted. A state that was not needed before is made now."""
        if name not in self.kept:
            before, commands = self.states()[name]
            self.set_back(before)
            for command in commands:
                self.done(command)
            self.keep(name)
        self.wait_until_free()
        shutil.rmtree(self.base, ignore_errors=True)
        kept = self.directory / "kept" / name
        if not (kept / "absent").exists():
            shutil.copytree(kept, self.base, symlinks=True)
        for path in self._around(name).iterdir():
            if path.is_dir():
                shutil.rmtree(self.base.parent / path.name)
                shutil.copytree(path, self.base.parent / path.name, symlinks=True)
        for host in ("host", "other"):
            shutil.rmtree(self.directory / host / ".ot2deploy" / "runs", ignore_errors=True)
        for leftover in ("armed", "record", "effects"):
            (self.chaos / leftover).unlink(missing_ok=True)

    def _around(self, name: str) -> Path:
        return self.directory / "kept" / f"around {name}"

    def wait_until_free(self) -> float:
        """Waits until nobody holds the robot's lock; the seconds that took."""
        begun = time.monotonic()
        while not self._free():
            if time.monotonic() - begun > LOCK_PATIENCE:
                raise AssertionError(f"the robot's lock is held for ever by {(self.base / 'lock').read_text()}")
            time.sleep(0.01)
        return time.monotonic() - begun

    def _free(self) -> bool:
        try:
            fd = os.open(self.base / "lock", os.O_RDWR)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(fd)
        return True

    def current(self, environment: str = ENVIRONMENT) -> str | None:
        """The digest that `current` names."""
        link = self.base / "envs" / environment / "current"
        return link.readlink().name if link.is_symlink() else None

    def imported(self, environment: str = ENVIRONMENT) -> int | None:
        """VALUE of the module that the current release's interpreter really imports, or for what is shared the robot's
        own; None where nothing is current."""
        if environment == SHARED:
            argv = [self.root / "usr" / "bin" / "python3", "-I", "-c", PROTOCOLS]
        elif self.current(environment) is None:
            return None
        else:
            argv = [self.base / "envs" / environment / "current" / "bin" / "python3", "-I", "-c", PROBE]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"the current release does not import: {done.stderr}"
        return None if done.stdout == "None\n" else int(done.stdout)

    def text(self, path: str) -> str:
        """A file below the base directory, "" where there is none."""
        return (self.base / path).read_text() if (self.base / path).exists() else ""

    def names(self) -> list[str]:
        """Every path below the base directory."""
        return [str(path.relative_to(self.base)) for path in self.base.rglob("*")]

    def releases(self) -> list[str]:
        """All releases, as envs/NAME/releases/DIGEST."""
        return sorted(str(path.relative_to(self.base)) for path in self.base.glob("envs/*/releases/*"))

    def tree(self) -> dict[str, str]:
        """What the robot is outside the base directory: every path with its kind, mode and contents' hash."""
        found = {}
        for directory, names, files in os.walk(self.root):
            at = Path(directory)
            if at == self.base.parent:
                names[:] = [name for name in names if name != self.base.name]
            names[:] = [name for name in names if name != "__pycache__"]
            for name in [*names, *files]:
                found[str((at / name).relative_to(self.root))] = _one(at / name)
        return found


@contextlib.contextmanager
def place(directory: Path, cache: Path) -> Iterator[Place]:
    """A robot whose Python counts effects, running; `nothing`, `first` and `second` are kept states. `cache` is the
    hosts' store; the pip that makes trees comes from the package index where it is not there yet."""
    identity = directory / "id"
    embedded.new_key_pair(identity)
    robot = directory / "r1"
    root = embedded.create(robot, "r1", serial="OT2SIMr1")
    site = next((root / "usr" / "lib").glob("python3*/site-packages"))
    shutil.copy(Path(__file__).with_name("chaos_effects.py"), site / HOOK)
    (robot / "chaos").mkdir()
    server = embedded.start(robot, embedded.public_line(identity), name="r1", forwarding=True)
    environment = {**os.environ, "OT2DEPLOY_CACHE": str(cache), "NO_COLOR": "1"}
    made = Place(directory=directory, server=server, identity=identity, environment=environment)
    try:
        made.write_inventory()
        _make_bundles(made)
        embedded.new_key_pair(directory / "second")
        made.key.write_text(f"{embedded.public_line(directory / 'second')} ann@second\n")
        made.keep("nothing")
        for state in ("first", "second"):
            made.set_back(state)
        shutil.copytree(directory / "host" / ".ot2deploy", directory / "other" / ".ot2deploy")  # what it has locked
        made.outside = made.tree()
        yield made
    finally:
        embedded.stop(made.server.pid)


def _make_bundles(made: Place) -> None:
    """Releases of one small project and one that stays the same; the second has data to send for a while. What stays
    the same is called ipykernel, without which nothing becomes a kernel; nobody starts it."""
    wheels = made.directory / "wheels"
    wheels.mkdir()
    same = make_wheel(wheels, "ipykernel-1.0-py3-none-any.whl", {"ipykernel_launcher.py": b"SIZE = 96\n"})
    data = random.Random(1).randbytes(BULK)
    for version in (1, 2, 3, 4):
        content = {"plates.py": b"VALUE = %d\n" % version, "plates_data.bin": data[: BULK if version == 2 else 10]}
        wheel = make_wheel(wheels, f"plates-{version}.0-py3-none-any.whl", content)
        path = made.directory / "host" / "environments" / ENVIRONMENT / "environment.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name("live.py").write_text(LIVE)
        live = ["  live:", "    - program: live.py"] if version == 3 else []
        checks = ["checks:", "  quick:", "    - import: plates", *live]
        path.write_text("\n".join(["requirements:", f"  - {wheel}", f"  - {same}", *checks]) + "\n")
        words = ("bundle", ENVIRONMENT, "--profile", "host", "-o", str(made.bundle(version)))
        made.done(Command(words=words))


def _one(path: Path) -> str:
    info = path.lstat()
    if path.is_symlink():
        return f"link {path.readlink()}"
    if path.is_dir():
        return f"directory {info.st_mode:o}"
    return f"file {info.st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
