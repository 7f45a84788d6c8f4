"""A robot to break and a host beside it: set back between two faults, its commands run in forked processes."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos_effects import Counter, watch
from wheel_factory import make_wheel

from ot2deploy.sim import embedded

ENVIRONMENT = "plates"
BULK = 700_000  # bytes that do not compress: several frames, several pieces of a file
LOCK_PATIENCE = 40.0  # an agent gives up 30 s after its host fell silent
PROBE = "import plates; print(plates.VALUE)"
HOOK = "sitecustomize.py"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A command that has ended: exit status (negative: the signal), its document, standard error, seconds."""

    status: int
    document: Any
    err: str
    seconds: float

    @property
    def words(self) -> str:
        """What it said, for a message about it."""
        return f"exit status {self.status}\n{json.dumps(self.document, indent=1)[-3000:]}\n{self.err[-2000:]}"


@dataclass(kw_only=True)
class Place:
    """One embedded robot `r1`, two project directories (hosts) and bundles of the releases 1 and 2 of `plates`."""

    directory: Path
    server: embedded.Embedded
    identity: Path
    environment: Mapping[str, str]
    outside: dict[str, str] = field(default_factory=dict)

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

    def write_inventory(self, **changes: Any) -> None:
        """Writes lab.yaml: what is true, and changes of settings."""
        truth = {
            "address": "127.0.0.1", "port": self.server.port, "identity_file": self.identity, "root": self.root,
            "host_key": self.server.host_key, **changes,
        }  # fmt: skip
        lines = ["schema: 1", "robots:", "  r1:", *(f"    {name}: {value}" for name, value in truth.items())]
        (self.directory / "lab.yaml").write_text("\n".join(lines) + "\n")

    # Commands

    def push(self, version: int = 2, *more: str, **options: Any) -> Ended:
        """A push of a release to its end."""
        return self.command("push", str(self.bundle(version)), *more, **options)

    def command(self, *words: str, **options: Any) -> Ended:
        """A command to its end; see `start`."""
        return self.start(*words, **options).wait()

    def start(
        self, *words: str, host: str = "host", armed: dict[str, Any] | None = None, record: bool = False
    ) -> Running:
        """A command in a process of its own, forked, so that nothing is loaded again. `host` is which of the two hosts
        runs it; `armed` is where in it the host is killed; `record` writes down its effects."""
        home = self.directory / host
        home.mkdir(exist_ok=True)
        out, err = home / "out", home / "err"
        begun = time.monotonic()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            _become_command(words, home, out, err, self.directory / "lab.yaml", armed, record, self.environment)
        return Running(pid=pid, out=out, err=err, begun=begun)

    # The robot

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

    def set_back(self, name: str) -> None:
        """Makes the base directory what it was when it was kept, and forgets what the hosts noted."""
        self.wait_until_free()
        shutil.rmtree(self.base, ignore_errors=True)
        kept = self.directory / "kept" / name
        if not (kept / "absent").exists():
            shutil.copytree(kept, self.base, symlinks=True)
        for host in ("host", "other"):
            shutil.rmtree(self.directory / host / ".ot2deploy" / "runs", ignore_errors=True)
        for leftover in ("armed", "record", "effects"):
            (self.chaos / leftover).unlink(missing_ok=True)

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

    def current(self) -> str | None:
        """The digest that `current` names."""
        link = self.base / "envs" / ENVIRONMENT / "current"
        return link.readlink().name if link.is_symlink() else None

    def imported(self) -> int | None:
        """VALUE of the module that the current release's interpreter really imports; None where nothing is current."""
        if self.current() is None:
            return None
        python = self.base / "envs" / ENVIRONMENT / "current" / "bin" / "python3"
        done = subprocess.run([python, "-I", "-c", PROBE], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"the current release does not import: {done.stderr}"
        return int(done.stdout)

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


@dataclass(kw_only=True)
class Running:
    """A forked command."""

    pid: int
    out: Path
    err: Path
    begun: float
    status: int | None = None

    def over(self) -> bool:
        """Whether it has ended."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        return self.status is not None

    def wait(self, limit: float = 180.0, meanwhile: Callable[[], None] = lambda: None) -> Ended:
        """Its end. `meanwhile` is called while it runs."""
        while not self.over():
            if time.monotonic() - self.begun > limit:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise AssertionError(f"a command did not end within {limit:.0f} s: {self.err.read_text()[-2000:]}")
            meanwhile()
            time.sleep(0.005)
        try:
            document = json.loads(self.out.read_text())
        except ValueError:
            document = None
        assert self.status is not None
        err = self.err.read_text()
        assert "Traceback" not in err, err
        return Ended(status=self.status, document=document, err=err, seconds=time.monotonic() - self.begun)


def _become_command(
    words: tuple[str, ...],
    home: Path,
    out: Path,
    err: Path,
    inventory: Path,
    armed: dict[str, Any] | None,
    record: bool,
    environment: Mapping[str, str],
) -> None:
    """Runs a command line in this forked process, and ends it."""
    status = 70
    try:
        os.environ.clear()
        os.environ.update(environment, HOME=str(home))
        os.chdir(home)
        for number, file in ((1, out), (2, err)):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
        sys.stdout = open(1, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
        from ot2deploy import link
        from ot2deploy.cli import main
        from ot2deploy.transport import alive

        link.PAUSE, alive.KEEPALIVE, alive.SILENCE = 0.2, 0.5, 5.0  # what waits for minutes in a lab
        if armed or record:
            _watch_host(home, armed, record)
        robots = [] if words[0] == "bundle" else ["--robots", str(inventory)]
        main([*words, *robots, "--json"])
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)


def _watch_host(home: Path, armed: dict[str, Any] | None, record: bool) -> None:
    """Numbers this process's effects: what it writes to its own disk, and every frame it puts on the wire."""
    from ot2deploy.transport.channel import ChannelStream
    from ot2deploy.transport.ssh import SshSession

    chaos = home / "chaos"
    shutil.rmtree(chaos, ignore_errors=True)
    chaos.mkdir()
    if record:
        (chaos / "record").touch()
    if armed:
        (chaos / "armed").write_text(json.dumps({"role": "host", "how": "process", "server": 0, **armed}))
    counter = Counter(str(chaos), "host")
    watch(counter)
    write, finish, begin = ChannelStream.write, ChannelStream.finish, SshSession.open

    def written(self: Any, data: Any) -> None:
        if bytes(data[:2]) == b"H ":  # a heartbeat is when it is
            return write(self, data)
        return counter.effect("frame", bytes(data[:1]).decode(errors="replace"), lambda: write(self, data))

    ChannelStream.write = written  # type: ignore[method-assign]
    ChannelStream.finish = lambda self: counter.effect("end of input", "", lambda: finish(self))  # type: ignore[method-assign]
    SshSession.open = lambda self, command: counter.effect("command", "", lambda: begin(self, command))  # type: ignore[method-assign]


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
        made.keep("nothing")
        for version, kept in ((1, "first"), (2, "second")):
            done = made.push(version, "--install-method", "tree")
            assert done.status == 0, done.words
            made.keep(kept)
        shutil.copytree(directory / "host" / ".ot2deploy", directory / "other" / ".ot2deploy")  # what it has locked
        made.outside = made.tree()
        yield made
    finally:
        embedded.stop(made.server.pid)


def _make_bundles(made: Place) -> None:
    """Two releases of one small project and one that stays the same; the second has data to send for a while."""
    wheels = made.directory / "wheels"
    wheels.mkdir()
    same = make_wheel(wheels, "racks-1.0-py3-none-any.whl", {"racks.py": b"SIZE = 96\n"})
    data = random.Random(1).randbytes(BULK)
    for version in (1, 2):
        content = {"plates.py": b"VALUE = %d\n" % version, "plates_data.bin": data[: BULK if version == 2 else 10]}
        wheel = make_wheel(wheels, f"plates-{version}.0-py3-none-any.whl", content)
        path = made.directory / "host" / "environments" / ENVIRONMENT / "environment.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        checks = ["checks:", "  quick:", "    - import: plates"]
        path.write_text("\n".join(["requirements:", f"  - {wheel}", f"  - {same}", *checks]) + "\n")
        done = made.command("bundle", ENVIRONMENT, "--profile", "host", "-o", str(made.bundle(version)))
        assert done.status == 0, done.words


def _one(path: Path) -> str:
    info = path.lstat()
    if path.is_symlink():
        return f"link {path.readlink()}"
    if path.is_dir():
        return f"directory {info.st_mode:o}"
    return f"file {info.st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
