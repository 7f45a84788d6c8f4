"""Progress as plain lines: a stage when it begins, a transfer once a second with its rate and what is left."""

import io
import os
import threading

import click
from rich.console import Console

from builder.events import Event
from ot2deploy.cli.options import Settings, reporting
from ot2deploy.cli.progress import PlainProgress
from ot2deploy.cli.render import LiveProgress


class Clock:
    """Time that only the test moves; seconds."""

    now = 100.0

    def __call__(self):
        return self.now


def told(*steps):
    """The lines of (seconds, event) steps."""
    clock, lines = Clock(), []
    report = PlainProgress(lines.append, clock=clock)
    for seconds, event in steps:
        clock.now = 100.0 + seconds
        report(event)
    return lines


def sending(done, **more):
    return Event(subject="otto", stage="send", done=done, total=40_000_000, unit="B", **more)


def test_a_slow_transfer_gives_a_line_per_second_with_rate_and_time_left():
    lines = told(*((tenth / 10, sending(tenth * 100_000)) for tenth in range(0, 31)))
    assert lines == [
        "otto: send",
        "otto: send, 1.0 MB of 40.0 MB, 1.0 MB/s, 39 s left",
        "otto: send, 2.0 MB of 40.0 MB, 1.0 MB/s, 38 s left",
        "otto: send, 3.0 MB of 40.0 MB, 1.0 MB/s, 37 s left",
    ]


def test_a_resumed_transfer_counts_only_what_was_moved_now():
    lines = told((0, sending(30_000_000)), (2, sending(32_000_000)))
    assert lines[-1] == "otto: send, 32.0 MB of 40.0 MB, 1.0 MB/s, 8.0 s left"


def test_stages_begin_and_end():
    lines = told(
        (0, Event(subject="otto", stage="probe")),
        (0.1, Event(subject="otto", stage="probe")),
        (1, Event(subject="otto", stage="install", message="96 wheels")),
        (21, Event(subject="otto", stage="install", level="done")),
    )
    assert lines == ["otto: probe", "otto: install, 96 wheels", "otto: install (20 s)"]


def test_robots_are_counted_and_the_time_is_of_all_their_stages():
    def end(subject, stage, **more):
        return Event(subject=subject, stage=stage, unit="robot", **{"level": "done", **more})

    lines = told(
        (0, Event(subject="", stage="push", message="plates to 2 robots", total=2, unit="robot")),
        (0, Event(subject="otto", stage="probe")),
        (2, Event(subject="luigi", stage="probe")),
        (3, end("luigi", "failed", level="failed", message="no answer")),
        (30, end("otto", "staged")),
        (40, Event(subject="otto", stage="switch")),
        (42, end("otto", "pushed")),
    )
    assert lines == [
        "push, plates to 2 robots", "otto: probe", "luigi: probe", "luigi: failed, no answer (1.0 s), 1 of 2",
        "otto: staged (30 s), 2 of 2", "otto: switch", "otto: pushed (42 s), 2 of 2",
    ]  # fmt: skip


def test_two_robots_have_a_pace_each():
    lines = told(
        (0, Event(subject="otto", stage="probe")),
        (0, Event(subject="luigi", stage="probe")),
        (1, Event(subject="otto", stage="verify")),
    )
    assert lines == ["otto: probe", "luigi: probe", "otto: verify"]


def test_notes_and_warnings_are_never_held_back():
    note = Event(subject="host", stage="emulation", message="registered", level="info")
    lines = told((0, note), (0, note), (0, Event(subject="", stage="", message="careful", level="warning")))
    assert lines == ["host: emulation, registered", "host: emulation, registered", "warning: careful"]


def test_nothing_is_told_after_the_end():
    lines = []
    with PlainProgress(lines.append) as report:
        report(Event(subject="otto", stage="verify"))
    report(Event(subject="otto", stage="failed", message="the connection broke off", level="failed"))
    assert lines == ["otto: verify"]


def test_many_threads_may_report():
    lines = []
    report = PlainProgress(lines.append)

    def work(name):
        for number in range(200):
            report(Event(subject=name, stage=f"s{number}"))

    threads = [threading.Thread(target=work, args=(f"robot-{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines) == 8 * 200


def report_once(**settings):
    with click.Context(click.Command("x"), obj=Settings(**settings)).scope(), reporting() as report:
        report(Event(subject="otto", stage="probe"))


def test_json_silences_progress(capsys):
    report_once(json=True)
    assert capsys.readouterr() == ("", "")


def test_progress_goes_to_standard_error(capsys):
    report_once()
    assert capsys.readouterr() == ("", "otto: probe\n")


def test_a_standard_error_that_is_closed_or_that_nobody_reads_stops_nothing(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    report_once()
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as unread:
        monkeypatch.setattr("sys.stderr", unread)
        report_once()
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)


def test_live_rows_on_a_terminal():
    out = io.StringIO()
    with LiveProgress(Console(file=out, force_terminal=True, width=120)) as live:
        live(sending(0))
        live(sending(20_000_000))
        live(Event(subject="otto", stage="install", message="96 wheels"))
        live(Event(subject="host", stage="emulation", message="registered", level="info"))
        live(Event(subject="otto", stage="pushed", level="done"))
    text = out.getvalue()
    assert "host: emulation, registered" in text
    assert "otto: pushed" in text
