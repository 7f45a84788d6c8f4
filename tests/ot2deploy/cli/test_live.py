"""Live rows: what is seen of a push to many robots, on terminals of any size."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable

import pytest
from rich.console import Console

from builder.events import Event
from ot2deploy.cli.live import LiveProgress


class Watched:
    """A LiveProgress on a terminal of a test's own size, at a time that only the test moves."""

    def __init__(self, width: int = 100, height: int = 24, encoding: str = "utf-8") -> None:
        self.now = 0.0
        self.out = io.StringIO()
        file = io.TextIOWrapper(io.BytesIO(), encoding=encoding) if encoding != "utf-8" else self.out
        self.console = Console(file=file, force_terminal=True, color_system=None, width=width, height=height)
        self.live = LiveProgress(self.console, clock=lambda: self.now, refreshing=False)

    def tell(self, subject: str, stage: str, message: str = "", at: float | None = None, **more: object) -> None:
        self.now = self.now if at is None else at
        self.live(Event(subject=subject, stage=stage, message=message, **more))  # type: ignore[arg-type]

    def send(self, subject: str, done: int, at: float, total: int = 40_000_000) -> None:
        self.tell(subject, "send", at=at, done=done, total=total, unit="B")

    def robots(self, count: int) -> None:
        self.tell("", "push", f"prefect to {count} robots", total=count, unit="robot")

    def end(self, subject: str, stage: str = "pushed", level: str = "done", message: str = "") -> None:
        self.tell(subject, stage, message, level=level, unit="robot")

    @property
    def frame(self) -> list[str]:
        with self.console.capture() as captured:
            self.console.print(self.live.frame())
        return [line.rstrip() for line in captured.get().splitlines()]


def test_a_transfer_has_a_bar_its_rate_and_the_time_left():
    seen = Watched()
    seen.send("otto", 0, at=0)
    seen.send("otto", 10_000_000, at=5)
    (row,) = seen.frame
    assert row.split("  ")[0] == "otto"
    assert "━━━━━" in row
    assert "10.0 MB of 40.0 MB, 2.0 MB/s, 15 s left" in row
    assert row.endswith("  5.0 s")
    for width, said in ((70, "send 10.0 MB of 40.0 MB, 2.0 MB/s, 15 s left"), (40, "send 25 %, 15 s left")):
        seen.console.width = width
        assert seen.frame[0].split("  ")[1] == said


def test_a_rate_is_of_the_last_seconds_and_a_stall_is_told():
    seen = Watched(width=120)
    for second in range(21):  # fast, then slow
        seen.send("otto", min(second, 10) * 2_000_000 + max(0, second - 10) * 100_000, at=second)
    assert "100 kB/s" in seen.frame[0]
    seen.now = 32.0
    assert "21.0 MB of 40.0 MB, nothing for 12 s" in seen.frame[0]


def test_a_stage_shows_how_long_it_takes_already():
    seen = Watched()
    seen.tell("otto", "probe", at=0)
    seen.tell("otto", "install", "96 wheels", at=2)
    seen.now = 40.0
    assert seen.frame[0].split() == ["otto", "install,", "96", "wheels", "38", "s"]


def test_the_line_of_totals_counts_robots_and_their_bytes():
    seen = Watched()
    seen.robots(30)
    for number in range(14):
        seen.send(f"r{number}", 0, at=0)
        seen.send(f"r{number}", 1_000_000, at=2)
    for number in range(11):
        seen.end(f"r{number}")
    seen.end("r11", "verify", "failed", "import plates failed")
    assert seen.frame[0] == "prefect to 30 robots: 12 of 30 done, 1 failed, 1.0 MB/s, 2.0 s"
    assert [line.split()[0] for line in seen.frame[1:]] == ["r12", "r13"]


def test_a_robot_that_is_staged_and_goes_on_later_counts_once():
    seen = Watched()
    seen.robots(2)
    for stage in ("staged", "pushed"):
        seen.tell("otto", "verify")
        seen.end("otto", stage)
    assert seen.frame == ["prefect to 2 robots: 1 of 2 done, 0.00 s"]
    seen.tell("otto", "switch")
    assert seen.frame[0].startswith("prefect to 2 robots: 0 of 2 done")


def test_what_ended_becomes_a_line_above_the_rows():
    seen = Watched()
    with seen.live:
        seen.robots(2)
        seen.tell("otto", "install", at=0)
        seen.now = 20
        seen.end("otto")
        seen.end("luigi", "connect", "failed", "no answer at 10.0.0.9")
    said = [line.strip("\r") for line in seen.out.getvalue().splitlines()]
    assert any(line.endswith("otto: pushed (20 s), 1 of 2") for line in said)
    assert any(line.endswith("luigi: connect, no answer at 10.0.0.9, 2 of 2") for line in said)


@pytest.mark.parametrize("height", [1, 4, 5, 10, 24, 60])
@pytest.mark.parametrize("width", [10, 20, 40, 50, 80, 200])
def test_a_hundred_robots_fit_into_any_terminal(width, height):
    seen = Watched(width=width, height=height)
    seen.robots(100)
    for number in range(100):
        name = f"robot-with-a-long-name-{number}"
        seen.tell(name, "connect", "it does not answer yet, and this is a long message about it", at=0)
        if number % 3 == 0:
            seen.send(name, 0, at=1)
            seen.send(name, 1_000_000, at=2)
    assert len(seen.frame) <= max(2, height - 1)
    assert all(len(line) <= width for line in seen.frame)


def test_the_busiest_are_shown_and_the_others_counted():
    seen = Watched(height=5)
    seen.robots(6)
    for name in ("r1", "r2", "r3"):
        seen.tell(name, "connect")
    seen.tell("r4", "install")
    seen.send("r5", 1, at=0)
    seen.tell("r6", "verify")
    first, *rows, last = seen.frame
    assert first.startswith("prefect to 6 robots: 0 of 6 done")
    assert [row.split()[0] for row in rows] == ["r4", "r5"]
    assert last == "and 4 more: 3 connect, 1 verify"


def test_a_row_keeps_its_place_while_it_is_shown():
    seen = Watched()
    for name in ("r1", "r2", "r3"):
        seen.tell(name, "probe")
    seen.send("r3", 1, at=1)
    seen.send("r1", 1, at=2)
    assert [row.split()[0] for row in seen.frame] == ["r1", "r2", "r3"]


def test_a_terminal_that_becomes_smaller_gets_less():
    seen = Watched()
    for number in range(20):
        seen.send(f"r{number}", 1_000_000, at=0)
    assert len(seen.frame) == 20
    seen.console.width, seen.console.height = 40, 8
    assert len(seen.frame) == 6
    assert "r0  send 2 %" in seen.frame[0]


def test_after_ctrl_c_the_line_of_totals_says_that_it_ends():
    seen = Watched()
    seen.robots(3)
    seen.tell("r1", "install")
    seen.tell("", "stopping", "each robot finishes its step; Ctrl-C again stops at once", level="warning")
    assert seen.frame[0].endswith("; each robot finishes its step; Ctrl-C again stops at once")


def test_what_a_robot_says_steers_no_terminal():
    seen = Watched()
    with seen.live:
        seen.tell("otto", "install", "\x1b]0;owned\x07 \x1b[2J\x9b2J", level="info")
        seen.tell("otto", "install", "\x1b[2Jwheels")
        assert "\x1b" not in seen.frame[0]
    assert "\x1b]0" not in seen.out.getvalue()
    assert "\x1b[2J" not in seen.out.getvalue()
    assert "\x9b" not in seen.out.getvalue()


def test_numbers_that_make_no_sense_are_no_progress():
    seen = Watched()
    for done, total in (("3", 9), (3, "9"), (3, 0), (3, -1), (None, 4), (12, 4)):
        seen.tell("otto", "install", done=done, total=total)
        assert seen.frame[0].startswith("otto")


def test_a_terminal_without_utf_8_gets_letters_that_it_has():
    seen = Watched(width=60, encoding="ascii")
    seen.tell("a-robot-with-a-name-that-is-much-too-long", "connect", "x" * 200)
    seen.send("otto", 1_000_000, at=1)
    assert all(line.isascii() for line in seen.frame)


def test_a_terminal_that_has_gone_stops_nothing():
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    live = LiveProgress(Console(file=Gone(), force_terminal=True, width=80), refreshing=False)
    live(Event(subject="otto", stage="pushed", level="done"))


def in_threads(count: int, work: Callable[[str], None]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, args=(f"r{number}",), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return [thread for thread in threads if thread.is_alive()]


def test_a_hundred_threads_may_report_while_it_draws():
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=10)
    with LiveProgress(console) as live:

        def work(name: str) -> None:
            for number in range(5):
                live(Event(subject=name, stage=f"s{number}"))
                live(Event(subject=name, stage=f"s{number}", message="note", level="info"))
            live(Event(subject=name, stage="pushed", level="done", unit="robot"))

        assert in_threads(100, work) == []
        assert live.frame().renderables == []


def test_a_thread_that_was_left_behind_writes_nothing_over_what_is_said_at_the_end():
    seen = Watched()
    with seen.live:
        seen.robots(2)
        seen.tell("r1", "verify")
    shown = seen.out.getvalue()
    seen.end("r1", "failed", "failed", "the connection broke off")
    assert seen.out.getvalue() == shown
