"""Live rows as a terminal shows them: a real push on a pseudo-terminal, and what is left when it is over."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pyte
import pytest
from rich.console import Console

import ot2deploy
from builder.events import Event
from ot2deploy.cli.live import LiveProgress

CHECK = "- import: plates"


class Terminal:
    """A terminal that remembers what scrolled away."""

    def __init__(self, width: int, height: int) -> None:
        self.screen = pyte.HistoryScreen(width, height, history=10_000)
        self.screen.set_mode(pyte.modes.LNM)  # as a terminal's driver does: a line feed returns the carriage
        self._stream = pyte.ByteStream(self.screen)

    def feed(self, data: bytes) -> None:
        self._stream.feed(data)

    @property
    def shown(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display if line.strip()]

    @property
    def lines(self) -> list[str]:
        """Everything, from the first line on."""
        gone = ["".join(line[at].data for at in range(self.screen.columns)) for line in self.screen.history.top]
        return [line.rstrip() for line in (*gone, *self.screen.display) if line.strip()]


class Watching:
    """A LiveProgress whose terminal is looked at after each drawing."""

    def __init__(self, width: int, height: int) -> None:
        self.terminal, self.now = Terminal(width, height), 0.0
        self._out = io.StringIO()
        self.console = Console(file=self._out, force_terminal=True, color_system=None, width=width, height=height)
        self.live = LiveProgress(self.console, clock=lambda: self.now, refreshing=False)

    def draw(self) -> list[str]:
        self.live._live.refresh()
        return self.read()

    def read(self) -> list[str]:
        self.terminal.feed(self._out.getvalue().encode())
        self._out.seek(0)
        self._out.truncate()
        return self.terminal.shown

    def tell(self, subject: str, stage: str, **more: object) -> None:
        self.live(Event(subject=subject, stage=stage, **more))  # type: ignore[arg-type]


def test_forty_robots_in_eight_lines_leave_each_end_once_and_nothing_else():
    seen = Watching(80, 8)
    with seen.live:
        seen.tell("", "push", message="plates to 40 robots", total=40, unit="robot")
        for number in range(40):
            seen.tell(f"r{number}", "send", done=number, total=100, unit="B")
            assert len(seen.draw()) <= 8
        assert seen.terminal.shown[0].startswith("plates to 40 robots: 0 of 40 done")
        assert seen.terminal.shown[-1] == "and 35 more: 35 send"
        for number in range(40):
            seen.tell(f"r{number}", "pushed", level="done", unit="robot")
            assert len(seen.draw()) <= 8
            assert sum("40 robots" in line for line in seen.terminal.lines) == 1
    seen.read()
    assert seen.terminal.lines == [f"r{number}: pushed, {number + 1} of 40" for number in range(40)]
    assert not seen.terminal.screen.cursor.hidden


def test_a_window_that_gets_lower_while_it_draws_keeps_one_line_of_totals():
    seen = Watching(80, 20)
    with seen.live:
        seen.tell("", "push", message="plates to 12 robots", total=12, unit="robot")
        for number in range(12):
            seen.tell(f"r{number}", "install")
        assert len(seen.draw()) == 13
        seen.terminal.screen.resize(20, 60)
        seen.console.width = 60
        assert len(seen.draw()) == 13
        seen.console.height = 30
        seen.terminal.screen.resize(30, 60)
        seen.tell("r1", "pushed", level="done", unit="robot")
        assert sum("1 of 12 done" in line for line in seen.draw()) == 1


@pytest.fixture
def push_on_terminal(workplace_of, monkeypatch):
    """A function that pushes to three robots on a pseudo-terminal, calling `meanwhile` with it and its process."""
    place = workplace_of(3)
    place.environment("plates", place.wheel("plates"), checks=CHECK)

    def push(width: int, height: int, meanwhile=lambda terminal, handle, process: None, **env: str):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        environ = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(Path(ot2deploy.__path__[0]).parent), **env}
        words = [sys.executable, "-m", "ot2deploy", "push", "plates", "--robots", place.lab.path]
        process = subprocess.Popen(
            words, cwd=place.directory, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True
        )
        os.close(theirs)
        terminal, deadline, said = Terminal(width, height), time.monotonic() + 120, b""
        try:
            while time.monotonic() < deadline:
                if not select.select([ours], [], [], 1.0)[0]:
                    continue
                try:
                    data = os.read(ours, 65536)
                except OSError:  # Linux says so when the other end is closed
                    break
                if not data:
                    break
                said += data
                terminal.feed(data)
                meanwhile(terminal, ours, process)
            return process.wait(timeout=60), terminal, said
        finally:
            process.kill()
            process.wait()
            os.close(ours)

    return push


def test_a_push_on_a_terminal_shows_rows_and_leaves_what_must_stay(push_on_terminal):
    rows = set()

    def look(terminal, handle, process):
        rows.update(line.split()[0] for line in terminal.shown if line.split()[0] in ("r1", "r2", "r3"))

    status, terminal, said = push_on_terminal(100, 30, look)
    assert status == 0, terminal.lines
    assert rows == {"r1", "r2", "r3"}
    for robot in ("r1", "r2", "r3"):
        assert sum(line.startswith(f"{robot}: pushed") for line in terminal.lines) == 1, terminal.lines
    assert any("3 robots as wanted" in line for line in terminal.lines)
    assert not any("━" in line for line in terminal.lines), "rows are left behind"
    assert not terminal.screen.cursor.hidden
    assert b"\x1b[3" not in said, "NO_COLOR is set in tests"


def test_a_window_that_is_resized_meanwhile_stops_nothing(push_on_terminal):
    sizes = iter([(3, 20), (50, 200), (1, 5)])

    def resize(terminal, handle, process):
        if size := next(sizes, None):
            fcntl.ioctl(handle, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
            process.send_signal(signal.SIGWINCH)

    status, terminal, _ = push_on_terminal(100, 30, resize)
    assert status == 0, terminal.lines


def test_a_dumb_terminal_gets_plain_lines(push_on_terminal):
    status, terminal, said = push_on_terminal(100, 60, TERM="dumb")
    assert status == 0, terminal.lines
    assert b"\x1b" not in said
    assert {"r1: probe", "r2: probe", "r3: probe"} <= set(terminal.lines)
