"""Old releases on a robot: which stay, what goes with the others, and what is never touched."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ot2deploy.agent import retention


def kept(releases: str, current: str | None, succession: str, keep: int = 3, **others: Any) -> dict[str, str]:
    """The policy on releases of one letter; capitals are those whose interpreter is gone."""
    broken = {letter.lower() for letter in releases if letter.isupper()}
    given = {"switched": succession, "staged": "", "running": set(), **others}
    return retention.kept(
        {letter: letter not in broken for letter in releases.lower()}, current, succession, keep=keep, **given
    )


def test_the_latest_releases_stay_and_the_current_and_previous_ones_always() -> None:
    assert sorted(kept("abcde", "e", "abcde")) == ["c", "d", "e"]
    assert kept("abcde", "e", "abcde", keep=2) == {"e": "current", "d": "previous"}
    assert kept("ab", "b", "ab") == {"b": "current", "a": "previous"}
    assert kept("", None, "") == {}


def test_after_a_rollback_the_release_that_it_would_go_to_next_stays() -> None:
    assert kept("abcd", "b", "ab", switched="acdb", keep=2) == {"b": "current", "a": "previous"}
    assert sorted(kept("abcd", "b", "ab", switched="acdb", keep=3)) == ["a", "b", "d"]


def test_what_runs_and_what_waits_for_its_switch_stays_whatever_the_number() -> None:
    why = kept("abcdefg", "d", "abcd", keep=2, staged="efd", running={"a"})
    assert why["a"] == "a program runs from it"
    assert why["f"] == "not switched to yet"
    assert sorted(why) == ["a", "c", "d", "f"]


def test_a_release_whose_python_is_gone_is_no_previous_one_and_goes_first() -> None:
    assert sorted(kept("aBCd", "d", "abcd", keep=2)) == ["a", "d"]
    assert sorted(kept("abCD", "d", "abcd", keep=3)) == ["a", "b", "d"]


def test_the_journal_says_in_which_order_releases_were_current() -> None:
    done = [("switch", "a", None), ("switch", "b", "a"), ("rollback", "a", "b"), ("push", "z", None)]
    lines = [{"environment": "demo", "op": op, "digest": digest, "previous": was} for op, digest, was in done]
    assert retention.switched([*lines, {**lines[0], "environment": "x", "digest": "y"}], "demo") == ["b", "a"]


@pytest.fixture
def full(robot: Any, wheel: Callable[..., Any]) -> tuple[Any, list[dict[str, Any]]]:
    """A session, and the manifests of the five releases that were current one after the other; all have one wheel."""
    agent, both = robot.begin(), wheel("both")
    return agent, [robot.push(agent, [wheel("demo", f"{number}.0"), both]) for number in range(1, 6)]


def wheels(robot: Any) -> list[str]:
    """The names of the wheels on a robot, without what all have."""
    return sorted(path.name.split("-py3")[0] for path in (robot.base / "wheels").glob("*/*"))


def test_older_releases_go_with_the_wheels_that_only_they_were_made_of(robot: Any, full: Any) -> None:
    agent, manifests = full
    seen = agent.result("collect", keep=3, environment="demo", dry_run=True)
    assert robot.release(manifests[0]).is_dir()
    answer = agent.result("collect", keep=3, environment="demo")
    assert {row["digest"] for row in answer["releases"]} == {one["digest"] for one in manifests[:2]}
    assert (answer["blobs"], answer["bytes"]) == (2, seen["bytes"])
    assert [robot.release(one).exists() for one in manifests] == [False, False, True, True, True]
    assert wheels(robot) == ["both-1.0", "demo-3.0", "demo-4.0", "demo-5.0"]
    line = json.loads((robot.base / "journal").read_text().splitlines()[-1])
    assert (line["op"], line["who"], manifests[0]["digest"][:12] in line["detail"]) == ("clean", "ada@lab", True)
    assert agent.result("rollback", environment="demo")["current"] == manifests[3]["digest"]
    assert agent.result("rollback", environment="demo")["current"] == manifests[2]["digest"]
    count = len((robot.base / "journal").read_text().splitlines())
    assert agent.result("collect", keep=3, environment="demo")["releases"] == []
    assert len((robot.base / "journal").read_text().splitlines()) == count


def test_what_others_are_sending_and_running_is_no_stray_of_a_push(robot: Any, full: Any) -> None:
    agent, _ = full
    part, lone = (
        robot.base / "wheels" / ("3" * 64 + ".part"),
        robot.base / "wheels" / ("4" * 64) / "a-1-py3-none-any.whl",
    )
    old = robot.base / "agent" / ("5" * 64 + ".pyz")
    used = robot.base / "agent" / ("6" * 64 + ".pyz")
    left = robot.base / "tmp/programs/left"
    for path in (part, lone, old, used, left):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    agent.result("collect", keep=3, environment="demo")
    assert all(path.exists() for path in (part, lone, old, used, left))
    running = subprocess.Popen(["sh", "-c", "read x", str(used)], stdin=subprocess.PIPE)
    try:
        answer = agent.result("collect", keep=3, strays=True)
        assert (answer["blobs"], answer["agents"]) == (2, 1)
        assert [path.exists() for path in (part, lone, old, used, left)] == [False, False, False, True, False]
    finally:
        running.communicate(b"\n", timeout=30)
    assert robot.archive.exists()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="this system has no /proc")
def test_a_release_that_a_program_runs_from_stays(robot: Any, full: Any) -> None:
    agent, manifests = full
    env = {**os.environ, "VIRTUAL_ENV": str(robot.release(manifests[0]))}
    program = subprocess.Popen(["cat"], stdin=subprocess.PIPE, env=env)
    inside = subprocess.Popen(["cat"], stdin=subprocess.PIPE, cwd=robot.release(manifests[1]))
    try:
        answer = agent.result("collect", keep=2, strays=True)
        assert [row["digest"] for row in answer["releases"]] == [manifests[2]["digest"]]
        assert {one["pid"] for one in answer["programs"]} == {program.pid, inside.pid}
    finally:
        for one in (program, inside):
            one.communicate(b"", timeout=30)
    assert len(agent.result("collect", keep=2, strays=True)["releases"]) == 2


def test_no_wheel_goes_while_a_manifest_cannot_be_read(robot: Any, full: Any) -> None:
    agent, manifests = full
    (robot.release(manifests[4]) / "manifest.json").write_text("{")
    answer = agent.result("collect", keep=3, strays=True)
    assert (len(answer["releases"]), answer["blobs"]) == (2, 0)


@pytest.mark.parametrize("keep", [0, 1, -1, "3", None])
def test_the_previous_release_is_never_asked_away(robot: Any, keep: object) -> None:
    assert robot.begin().ask("collect", keep=keep)["code"] == "bad-request"


def test_a_staged_release_goes_when_later_ones_were_switched_to(robot: Any, wheel: Callable[..., Any]) -> None:
    agent = robot.begin()
    robot.push(agent, [wheel("demo", "1.0")])
    staged = robot.install(agent, [wheel("demo", "2.0")])
    agent.result("verify", environment="demo", digest=staged["digest"], checks=[], deep=False, fingerprint="f1")
    for number in range(3, 6):
        robot.push(agent, [wheel("demo", f"{number}.0")])
    answer = agent.result("collect", environment="demo", keep=3)
    assert staged["digest"] in [row["digest"] for row in answer["releases"]]
    assert "not switched to yet" not in [row["why"] for row in answer["kept"]]


def test_a_staged_release_is_still_there_for_its_switch(robot: Any, full: Any, wheel: Callable[..., Any]) -> None:
    agent, manifests = full
    staged = robot.install(agent, [wheel("demo", "6.0")])
    where = {"environment": "demo", "digest": staged["digest"]}
    agent.result("verify", **where, checks=[], deep=False, fingerprint="f1")
    answer = agent.result("collect", keep=2, strays=True)
    why = {row["digest"]: row["why"] for row in answer["kept"]}
    assert why == {
        manifests[4]["digest"]: "current", manifests[3]["digest"]: "previous", staged["digest"]: "not switched to yet"
    }  # fmt: skip
    assert agent.result("switch", **where)["changed"]
