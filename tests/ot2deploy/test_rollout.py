"""A push to a fleet of embedded robots: canary, batches and budget, busy robots, releases that are taken back."""

from __future__ import annotations

import itertools
import json

import pytest
from robot_api import RobotApi, serving

from ot2deploy.robots import activity

LIVE = "checks:\n  quick:\n    - import: plates\n  live:\n    - program: live.py"
RUNNING = {"id": "1f3a", "status": "running", "current": True}


def environment(workplace, version="1.0", *, fails_on=()):
    """Writes `plates`; its live check fails on some robots."""
    wheel = workplace.wheel("plates", version, text=f"VALUE = '{version}'\n")
    workplace.environment("plates", wheel, more=LIVE)
    names = [f"lab/{name}/root" for name in fails_on]
    program = f"import sys\nif any(name in sys.prefix for name in {names!r}): raise SystemExit('the deck is crooked')\n"
    (workplace.directory / "environments" / "plates" / "live.py").write_text(program)


def outcomes(result):
    return {row["robot"]: row["outcome"] for row in result["robots"]}


def journal(workplace, name):
    lines = (workplace.lab.base(name) / "journal").read_text().splitlines()
    return [(line["op"], line["result"]) for line in map(json.loads, lines)]


@pytest.fixture
def three(workplace_of):
    return workplace_of(3)


@pytest.fixture
def busy(three, monkeypatch):
    """Three robots of which r1 runs a protocol."""
    monkeypatch.setattr(activity, "INTERVAL", 0.05)
    with serving(RobotApi()) as api:
        api.runs = [RUNNING]
        three.lab.write(r1={"http_port": api.port, "serial": api.serial})
        three.api = api
        yield three


def test_a_canary_then_batches_and_the_second_push_has_nothing_to_do(three):
    environment(three)
    result = three.run("push", "plates", "--canary", "1", "--batch", "1")
    assert outcomes(result) == dict.fromkeys(("r1", "r2", "r3"), "pushed")
    assert result["waves"] == [["r1"], ["r2"], ["r3"]]
    assert {row["plan"]["digest"] for row in result["robots"]} == {three.lab.current("plates", "r3")}
    for row in result["robots"]:
        assert [check["name"] for check in row["checks"]] == ["import plates", "live"]
        assert {"send", "install", "verify", "switch", "live"} <= set(row["seconds"])
    again = three.run("push", "plates", "--canary", "1", "--batch", "1")
    assert outcomes(again) == dict.fromkeys(("r1", "r2", "r3"), "no change")
    assert again["waves"] == []
    assert "nothing to do on 3 robots" in three.run_cli("push", "plates", "--robots", three.lab.path).out


def test_a_live_check_that_fails_takes_the_release_back(three):
    environment(three)
    first = three.push("plates")["r1"]["plan"]["digest"]
    environment(three, "2.0", fails_on=("r2",))
    result = three.run("push", "plates", status=4)
    assert outcomes(result) == {"r1": "pushed", "r2": "rolled back", "r3": "pushed"}
    error = result["robots"][1]["error"]
    assert error["code"] == "rolled-back"
    assert [check["ok"] for check in result["robots"][1]["checks"]] == [True, False]
    assert "the deck is crooked" in error["what"]
    assert f"release {first[:12]} is current again" in error["what"]
    assert three.lab.current("plates", "r2") == first
    assert three.lab.current("plates", "r1") != first
    assert journal(three, "r2")[-3:] == [("switch", "ok"), ("rollback", "ok"), ("push", "failed")]
    shown = three.run_cli("push", "plates", "--robots", three.lab.path)
    assert shown.status == 4
    assert "3 robots: 2 as wanted, 1 rolled back" in shown.out


def test_a_release_whose_live_checks_were_cut_off_is_taken_back_by_the_next_push(workplace):
    environment(workplace)
    first = workplace.push("plates")["plan"]["digest"]
    environment(workplace, "2.0")
    # The first time the check ends the agent, which its runner was started by; then it fails.
    program = """\
import os, pathlib, signal, sys
cut = pathlib.Path(sys.prefix) / "cut"
if not cut.exists():
    cut.touch()
    runner = pathlib.Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[1]
    os.kill(int(runner), signal.SIGKILL)
raise SystemExit("the deck is crooked")
"""
    (workplace.directory / "environments" / "plates" / "live.py").write_text(program)
    workplace.push("plates", status=1)
    assert workplace.lab.current("plates") != first
    row = workplace.push("plates", status=4)
    assert (row["outcome"], row["plan"]["action"]) == ("rolled back", "verify again")
    assert workplace.lab.current("plates") == first


def test_a_live_check_that_a_good_release_gets_later_takes_nothing_back(workplace):
    workplace.environment("plates", workplace.wheel("plates"))
    first = workplace.push("plates")["plan"]["digest"]
    environment(workplace, fails_on=("r1",))
    (workplace.directory / "environments" / "plates" / "environment.yaml").write_text(
        f"requirements:\n  - {workplace.wheel('plates')}\n{LIVE}\n"
    )
    assert workplace.push("plates", status=1)["plan"]["action"] == "verify again"
    assert workplace.push("plates", status=1)["plan"]["action"] == "verify again"
    assert workplace.lab.current("plates") == first


def test_a_first_release_that_is_taken_back_leaves_none_current(three):
    environment(three, fails_on=("r2",))
    result = three.run("push", "plates", status=4)
    assert outcomes(result)["r2"] == "rolled back"
    assert "no release is current, as before" in result["robots"][1]["error"]["what"]
    assert three.lab.current("plates", "r2") is None
    environment(three)
    assert outcomes(three.run("push", "plates"))["r2"] == "switched"
    assert three.run("rollback", "plates", "--limit", "r2", status=1)["robots"][0]["error"]["code"] == "no-previous"


def test_a_canary_that_fails_leaves_the_others_staged(three):
    environment(three)
    first = three.push("plates")["r1"]["plan"]["digest"]
    environment(three, "2.0", fails_on=("r1",))
    result = three.run("push", "plates", "--canary", "1", "--max-fail", "100%", status=4)
    assert outcomes(result) == {"r1": "rolled back", "r2": "staged", "r3": "staged"}
    assert result["stopped"] == "the canary r1 failed"
    assert {three.lab.current("plates", name) for name in ("r1", "r2", "r3")} == {first}
    environment(three, "2.0")
    later = three.run("push", "plates")
    assert outcomes(later) == dict.fromkeys(("r1", "r2", "r3"), "switched")
    assert sum(row["sent"] for row in later["robots"]) == 0, "all of it was there"


def test_all_or_none_takes_back_what_was_switched_before_the_failure(three):
    environment(three)
    first = three.push("plates")["r1"]["plan"]["digest"]
    environment(three, "2.0", fails_on=("r3",))
    result = three.run("push", "plates", "--batch", "2", "--all-or-none", status=4)
    assert outcomes(result) == dict.fromkeys(("r1", "r2", "r3"), "rolled back")
    assert {three.lab.current("plates", name) for name in ("r1", "r2", "r3")} == {first}
    assert result["robots"][0]["note"] == "1 of 3 robots failed: r3"


def test_a_release_that_fails_its_quick_checks_is_switched_to_nowhere(three):
    three.environment("plates", three.wheel("plates"), program="raise SystemExit('no')")
    result = three.run("push", "plates", "--canary", "1", status=1)
    assert {"failed"} <= set(outcomes(result).values()) <= {"failed", "stopped"}, "the first failure stops the others"
    assert "robots failed: " in result["stopped"]
    assert all(three.lab.current("plates", name) is None for name in ("r1", "r2", "r3"))


def test_a_robot_that_is_off_does_not_stop_the_others_and_is_picked_up_later(three):
    environment(three)
    three.lab.stop("r2")
    result = three.run("push", "plates", "--canary", "2", status=3)
    assert outcomes(result) == {"r1": "pushed", "r2": "failed", "r3": "pushed"}
    assert result["waves"] == [["r1", "r3"]]
    three.lab.start("r2")
    three.lab.write()
    assert outcomes(three.run("push", "plates")) == {"r1": "no change", "r2": "pushed", "r3": "no change"}


def test_a_busy_robot_is_staged_and_switched_by_a_later_push(busy):
    environment(busy)
    plan = busy.run("push", "plates", "--dry-run")["robots"][0]
    assert plan["note"] == "busy: run 1f3a is running; it is staged, and switched by a later push"
    result = busy.run("push", "plates", status=3)
    assert outcomes(result) == {"r1": "staged", "r2": "pushed", "r3": "pushed"}
    assert result["robots"][0]["note"] == "busy: run 1f3a is running"
    assert busy.lab.current("plates", "r1") is None
    busy.api.runs = []
    assert outcomes(busy.run("push", "plates"))["r1"] == "switched"


def test_a_busy_robot_is_waited_for_and_comes_last(busy):
    environment(busy)
    program = busy.start("push", "plates", "--canary", "1", "--wait-idle", "1m")
    assert program.stderr is not None
    for line in program.stderr:
        if line.startswith("r1: wait, run 1f3a"):
            busy.api.runs = []
    assert program.wait(60) == 0
    out = program.stdout.read()
    assert "wave 1: r2\nwave 2: r3\nwave 3: r1" in out


def test_a_robot_that_stays_busy_stays_staged(busy):
    environment(busy)
    result = busy.run("push", "plates", "--wait-idle", "1s", status=3)
    assert outcomes(result) == {"r1": "staged", "r2": "pushed", "r3": "pushed"}


def test_a_bad_share_or_time_is_told_before_anything_is_done(three):
    environment(three)
    for words in (("--canary", "many"), ("--batch", "0"), ("--max-fail", "120%"), ("--wait-idle", "soon")):
        ran = three.run_cli("push", "plates", "--robots", three.lab.path, *words)
        assert ran.status == 2
        assert words[0] in ran.err
    assert not three.lab.base("r1").exists()


def test_no_more_robots_are_sent_to_and_installed_on_than_was_said(three):
    environment(three)
    result = three.run("push", "plates", "--transfers", "1", "--installs", "1")
    for stage in ("send", "install"):
        spans = sorted(span[1:] for row in result["robots"] for span in row["spans"] if span[0] == stage)
        assert len(spans) == 3
        assert all(before[1] <= after[0] + 0.002 for before, after in itertools.pairwise(spans))
