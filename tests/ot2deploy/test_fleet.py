"""Work on many robots at once: bounded, in order, nobody stops the others."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from builder.errors import BuildFailure
from ot2deploy import fleet
from ot2deploy.errors import Unreachable
from ot2deploy.inventory import Robot

ROOT = Path(__file__).resolve().parents[2]
ROBOTS = tuple(Robot(name=f"r{number}", address="192.0.2.1") for number in range(6))


def test_outcomes_come_in_the_order_of_the_robots_and_a_failure_stops_only_its_robot() -> None:
    def work(robot: Robot) -> str:
        if robot.name == "r2":
            raise Unreachable("no answer")
        if robot.name == "r4":
            raise BuildFailure("no wheel", subject="greenlet")
        return robot.name.upper()

    found = fleet.outcomes(ROBOTS, work)
    assert [outcome.robot for outcome in found] == list(ROBOTS)
    assert [outcome.value for outcome in found] == ["R0", "R1", None, "R3", None, "R5"]
    assert [str(outcome.failure) for outcome in found if outcome.failure] == ["r2: no answer", "greenlet: no wheel"]
    assert found[2].as_dict()["error"]["code"] == "unreachable"
    assert fleet.exit_code(outcome.ok for outcome in found) == 3


def test_no_more_at_once_than_asked_for() -> None:
    guard, both = threading.Lock(), threading.Barrier(2, timeout=20)
    at_once: list[int] = []
    running = [0]

    def work(number: int) -> int:
        with guard:
            running[0] += 1
            at_once.append(running[0])
        both.wait()  # two really run at the same time
        with guard:
            running[0] -= 1
        return number

    assert fleet.each(range(6), work, jobs=2) == list(range(6))
    assert max(at_once) == 2


def test_a_fault_of_ours_is_raised_after_all_have_ended() -> None:
    ended: list[str] = []

    def work(robot: Robot) -> None:
        if robot.name == "r0":
            raise ZeroDivisionError
        ended.append(robot.name)

    with pytest.raises(ZeroDivisionError):
        fleet.outcomes(ROBOTS, work, jobs=2)
    assert sorted(ended) == ["r1", "r2", "r3", "r4", "r5"]


def test_an_interrupt_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def interrupted(futures: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fleet, "wait", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            fleet.each(range(3), lambda _: release.wait(60), jobs=2)
    finally:
        release.set()


def test_a_program_does_not_wait_for_its_robots_at_its_end(tmp_path: Path) -> None:
    code = (
        "import threading, time\n"
        "from ot2deploy import fleet\n"
        "begun = threading.Barrier(3)\n"
        "def work(item): begun.wait(); time.sleep(600)\n"
        "threading.Thread(target=fleet.each, args=([1, 2], work), daemon=True).start()\n"
        "begun.wait()\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=300, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


@pytest.mark.parametrize(("good", "code"), [([True, True], 0), ([True, False], 3), ([False, False], 1), ([], 0)])
def test_exit_codes(good: list[bool], code: int) -> None:
    assert fleet.exit_code(good) == code
