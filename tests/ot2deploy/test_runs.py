"""Runs as a project's records tell them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from builder.errors import UsageFailure
from ot2deploy.runs import CUT_OFF, ENDED, GOING_ON, INTERRUPTED, Run, find, read, runs
from ot2deploy.runs.record import RunRecord


def told(*events: dict[str, Any] | bytes, held: bool = False) -> Run:
    """The run of a record with these lines after its first."""
    start = {"event": "start", "command": "push", "target": "plates", "robots": ["r1", "r2"], "at": "2026-01-01"}
    lines = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in (start, *events)]
    run = read(lines, Path("a.jsonl"), held=held)
    assert run is not None
    return run


def robot(name: str, outcome: str, **more: Any) -> dict[str, Any]:
    """The line about a robot."""
    return {"event": "robot", "robot": name, "outcome": outcome, **more}


def test_a_run_says_what_became_of_each_robot() -> None:
    error = {"code": "unreachable", "what": "nobody there"}
    run = told(robot("r1", "pushed"), robot("r2", "failed", error=error), {"event": "end", "exit_code": 3})
    assert (run.state, run.exit_code, run.command, run.target) == (ENDED, 3, "push", "plates")
    assert [(row.robot, row.ok, row.error) for row in run.rows] == [
        ("r1", True, ""), ("r2", False, "unreachable: nobody there")
    ]  # fmt: skip
    assert (run.left, run.resumable) == (("r2",), True)
    assert not told(robot("r1", "no change"), robot("r2", "switched"), {"event": "end", "exit_code": 0}).resumable


def test_a_run_without_an_end_was_cut_off_unless_it_goes_on() -> None:
    begun = {"event": "begin", "robot": "r1"}
    assert (told(begun).state, told(begun, {"event": "interrupted"}).state) == (CUT_OFF, INTERRUPTED)
    assert told(begun).left == ("r1", "r2")
    assert (told(begun, held=True).state, told(begun, held=True).resumable) == (GOING_ON, False)


@pytest.mark.parametrize("outcome", ["staged", "rolled back", "not tried", "failed", "planned"])
def test_what_is_not_current_is_left_to_do(outcome: str) -> None:
    assert told(robot("r1", "pushed"), robot("r2", outcome)).left == ("r2",)


def test_damaged_lines_are_passed_over() -> None:
    run = told(b"", b"{", b"[1]", b'{"event": 3}', b"\xff", robot("r1", "pushed"), b'{"event": "robot", "ro')
    assert [row.robot for row in run.rows] == ["r1"]
    assert read([b"{", b"[]"], Path("a.jsonl"), held=False) is None


def test_a_record_is_held_while_its_run_goes_on(tmp_path: Path) -> None:
    record = RunRecord(tmp_path, "push", target="plates")
    assert [run.state for run in runs(tmp_path)] == [GOING_ON]
    record.end(0)
    assert [run.state for run in runs(tmp_path)] == [ENDED]


def test_a_killed_run_is_cut_off(tmp_path: Path) -> None:
    text = (
        "import pathlib, sys; from ot2deploy.runs.record import RunRecord\n"
        "record = RunRecord(pathlib.Path(sys.argv[1]), 'push', target='x'); print('on', flush=True); input()"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", text, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert program.stdout is not None
    assert program.stdout.readline() == b"on\n"
    assert [run.state for run in runs(tmp_path)] == [GOING_ON]
    program.send_signal(signal.SIGKILL)
    program.communicate(timeout=30)
    assert [run.state for run in runs(tmp_path)] == [CUT_OFF]


def test_a_push_is_found_by_its_name_or_as_the_last(tmp_path: Path) -> None:
    first, second = (RunRecord(tmp_path, "push", target=name) for name in "ab")
    RunRecord(tmp_path, "remove", environment="b").end(0)
    for number, record in enumerate((first, second)):
        record.end(0)
        os.utime(record.path, (number, number))
    assert find(tmp_path, "last").run == second.run
    assert find(tmp_path, first.run).target == "a"
    with pytest.raises(UsageFailure, match="no record of a push x") as caught:
        find(tmp_path, "x")
    assert second.run in caught.value.why
    with pytest.raises(UsageFailure, match="no record of a push"):
        find(tmp_path / "other", "last")


def test_rows_are_in_the_order_of_the_call_and_not_of_their_ends() -> None:
    run = told(robot("r2", "pushed"), robot("r1", "rolled back"))
    assert [row.robot for row in run.rows] == ["r1", "r2"]


def test_a_beginning_that_only_one_push_has_is_its_name(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    for name, target in (("20260101T000000Z-abcd", "plates"), ("20260102T000000Z-abcd", "arms")):
        start = {"event": "start", "command": "push", "target": target, "robots": ["r1"], "at": name}
        (tmp_path / "runs" / f"{name}.jsonl").write_text(json.dumps(start) + "\n")
    assert find(tmp_path, "20260102").target == "arms"
    with pytest.raises(UsageFailure, match="2 pushes begin with 2") as raised:
        find(tmp_path, "2")
    assert raised.value.details == ("20260101T000000Z-abcd  push plates", "20260102T000000Z-abcd  push arms")
