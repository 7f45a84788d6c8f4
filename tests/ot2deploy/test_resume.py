"""A push that did not reach all of its robots is gone on with, with the same bundles."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from builder.places import cache_root
from ot2deploy.project import Project
from ot2deploy.rollout.push import push
from ot2deploy.rollout.request import PushRequest
from ot2deploy.runs import runs
from ot2deploy.visit import Fleet


@pytest.fixture
def two(workplace_of):
    """A workplace with two robots and the environment `plates` 1.0."""
    workplace = workplace_of(2)
    workplace.environment("plates", workplace.wheel("plates"), checks="- import: plates")
    return workplace


def outcomes(rows):
    return {name: row["outcome"] for name, row in rows.items()}


def resume(workplace, *words, status=0):
    return workplace.push("--resume", *(words or ("last",)), status=status)


def test_a_robot_that_was_off_is_picked_up_with_what_the_others_have(two):
    two.lab.stop("r2")
    first = two.push("plates", status=3)
    two.environment("plates", two.wheel("plates", "2.0"), checks="- import: plates")
    shutil.rmtree(two.directory / ".ot2deploy/locks")
    two.lab.start("r2")
    rows = resume(two)
    assert outcomes(rows) == {"r1": "no change", "r2": "pushed"}
    assert two.lab.current("plates", "r2") == first["r1"]["plan"]["digest"]
    last = two.run("history", "--runs")["runs"]
    assert [(run["exit_code"], run["left"]) for run in last] == [(3, ["r2"]), (0, [])]
    assert outcomes(resume(two)) == {"r1": "no change", "r2": "no change"}


def test_the_same_push_again_does_it_too(two):
    two.lab.stop("r2")
    two.push("plates", status=3)
    two.lab.start("r2")
    assert outcomes(two.push("plates")) == {"r1": "no change", "r2": "pushed"}


def test_what_a_later_push_left_is_not_replaced_by_an_older_release(two):
    plates = {version: two.wheel("plates", version) for version in ("1.0", "2.0")}
    two.lab.stop("r2")
    two.environment("plates", plates["1.0"])
    two.push("plates", status=3)
    two.lab.start("r2")
    old = two.run("history", "--runs")["runs"][0]["run"]
    assert f"push --resume {old}" in two.run_cli("history", "--runs").good().out
    two.environment("plates", plates["2.0"])
    two.push("plates", "--limit", "r1")
    error = two.run("push", "--resume", old, status=2)
    assert "r1: changed since" in error["what"]
    assert f"push --resume {old} --limit r2" in error["next"]
    assert two.run("push", "--resume", old, "--dry-run", status=2)
    assert outcomes({"r2": two.push("--resume", old, "--limit", "r2")}) == {"r2": "pushed"}
    two.push("plates")
    assert "--resume" not in two.run_cli("history", "--runs").good().out
    assert two.run("push", "--resume", old, status=2)


def test_what_was_rolled_back_since_is_not_undone(two):
    for version in ("1.0", "2.0"):
        two.environment("plates", two.wheel("plates", version))
        two.push("plates")
    two.run("rollback", "plates", "--limit", "r1")
    assert "r1: changed since" in two.run("push", "--resume", "last", status=2)["what"]
    assert two.push("--resume", "last", "--limit", "r2")["outcome"] == "no change"


def test_a_push_that_failed_before_there_was_a_release_is_overtaken_too(two):
    two.environment("plates", two.wheel("plates"))
    two.lab.stop("r1")
    two.lab.stop("r2")
    two.push("plates", status=1)
    two.lab.start("r1", "r2")
    two.environment("plates", two.wheel("plates", "2.0"))
    two.push("plates")
    first = two.run("history", "--runs")["runs"][0]["run"]
    assert "r1, r2: changed since" in two.run("push", "--resume", first, status=2)["what"]


def waiting(flag):
    """A check that waits for a file."""
    return (
        f"import pathlib, time\nend = time.monotonic() + 120\n"
        f"while not pathlib.Path({str(flag)!r}).exists() and time.monotonic() < end:\n    time.sleep(0.05)"
    )


def test_a_robot_that_was_switched_off_in_the_middle_is_picked_up_later(two, tmp_path):
    flag = tmp_path / "flag"
    two.environment("plates", two.wheel("plates"), program=waiting(flag))
    program = two.start_push("plates", until="r2: verify")
    two.lab.stop("r2")
    flag.touch()
    program.communicate(timeout=120)
    assert program.returncode == 3
    assert two.lab.current("plates", "r2") is None
    two.lab.start("r2")
    rows = resume(two)
    assert rows["r1"]["outcome"] == "no change"
    assert two.lab.current("plates", "r2") == rows["r2"]["plan"]["digest"]


def test_a_killed_push_is_gone_on_with(two, tmp_path):
    flag = tmp_path / "flag"
    two.environment("plates", two.wheel("plates"), program=waiting(flag))
    program = two.start_push("plates", until="r1: verify")
    program.send_signal(signal.SIGKILL)
    program.communicate(timeout=60)
    flag.touch()
    (run,) = two.run("history", "--runs")["runs"]
    assert (run["state"], run["left"]) == ("cut off", ["r1", "r2"])
    rows = resume(two, run["run"])
    assert [row["error"] for row in rows.values()] == [None, None]
    assert two.lab.current("plates", "r1") == two.lab.current("plates", "r2") is not None


def test_a_run_that_goes_on_is_not_resumed(two, tmp_path):
    flag = tmp_path / "flag"
    two.environment("plates", two.wheel("plates"), program=waiting(flag))
    program = two.start_push("plates", until="r1: verify")
    assert "still going on" in two.run("push", "--resume", "last", status=2)["what"]
    flag.touch()
    program.communicate(timeout=120)
    assert program.returncode == 0


def test_options_and_robots_are_those_of_the_run(two):
    two.lab.stop("r2")
    two.push("plates", "--limit", "r2", "--no-repair", "--batch", "50%", status=1)
    two.lab.start("r2")
    row = resume(two)
    assert (row["robot"], row["outcome"]) == ("r2", "pushed")
    assert "no change" in two.run_cli("push", "--resume", "last").good().out
    asked = [run.asked for run in runs(two.directory / ".ot2deploy")]
    assert asked[0]["options"] == asked[1]["options"] == asked[2]["options"]
    assert (asked[0]["options"]["repair"], asked[0]["options"]["policy"]["batch"]["number"]) == (False, 50)
    assert [one["resumes"] for one in asked] == [None, asked[0]["run"], asked[1]["run"]]


def test_fewer_robots_may_be_named_and_no_others(two):
    two.lab.stop("r2")
    two.push("plates", "--limit", "r2", status=1)
    assert "r1" in two.run("push", "--resume", "last", "--limit", "r1", status=2)["what"]
    assert two.run("push", "--resume", "last", "--dry-run", "--limit", "r2", status=1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plates", "--resume", "last"), "TARGET"),
        (("--resume", "last", "--offline"), "--offline"),
        (("--resume", "20260101T000000Z-abcd"), "no record"),
        ((), "TARGET"),
    ],
)
def test_what_cannot_be_is_refused(two, words, said):
    two.push("plates")
    error = two.run("push", *words, status=2)
    assert said in error["what"]


def test_a_wheel_that_is_gone_from_the_store_is_named_with_what_to_run(two):
    two.lab.stop("r2")
    two.push("plates", status=3)
    two.lab.start("r2")
    shutil.rmtree(cache_root() / "store/blobs")
    rows = resume(two, status=1)
    assert "plates-1.0-py3-none-any.whl" in rows["r2"]["error"]["details"][0]
    assert "ot2deploy push plates" in rows["r2"]["error"]["next"]
    assert outcomes(two.push("plates")) == {"r1": "no change", "r2": "pushed"}


def test_manifests_are_for_the_user_alone_and_records_hold_no_variables(two):
    two.environment("plates", two.wheel("plates"), more="variables:\n  API_KEY: not-for-others")
    two.push("plates")
    runs = two.directory / ".ot2deploy/runs"
    (kept,) = runs.glob("*/*.json")
    assert json.loads(kept.read_text())["manifest"]["variables"] == {"API_KEY": "not-for-others"}
    assert kept.stat().st_mode & 0o077 == 0
    assert "not-for-others" not in next(runs.glob("*.jsonl")).read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(("stage", "code", "current"), [("probe", 1, False), ("switch", 3, True)])
def test_a_disk_that_fills_up_here_is_one_error_and_leaves_robots_whole(two, stage, code, current, monkeypatch):
    monkeypatch.chdir(two.directory)
    project = Project.find(two.directory)

    def fill(event):
        if event.stage == stage:
            for record in (project.state_dir / "runs").glob("*.jsonl"):
                if not record.is_symlink():
                    record.unlink()
                    record.symlink_to("/dev/full")

    with Fleet(project=project, robots_file=two.lab.path, limit="r1", report=fill) as fleet:
        result = push(PushRequest(fleet=fleet, target="plates"))
    assert (result.exit_code, two.lab.current("plates", "r1") is not None) == (code, current)
    said = result.rows[0].failure or result.unrecorded
    assert (said.code, "No space left" in said.what) == ("disk", True)
    assert two.push("plates")["r1"]["outcome"] in ("pushed", "switched", "no change")
