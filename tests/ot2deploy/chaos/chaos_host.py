"""The host's side of a fault: commands in forked processes, so that nothing is loaded again, and their ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos_effects import Counter, watch


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command line and the exit status with which it has to end."""

    words: tuple[str, ...]
    status: int = 0


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
class Host:
    """Computers beside a robot: a directory with an inventory, lab.yaml, and a project directory for each of them."""

    directory: Path
    environment: Mapping[str, str]

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

    def done(self, command: Command, **options: Any) -> Ended:
        """A command that has to end as it should."""
        ended = self.command(*command.words, **options)
        assert ended.status == command.status, f"{' '.join(command.words)}: {ended.words}"
        return ended


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
