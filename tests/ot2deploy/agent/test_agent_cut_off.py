"""What a run that was cut off did not get done, the next one does: its line in the journal, the parts of its files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ot2deploy.agent import journal

ONE, TWO = "1" * 64, "2" * 64


def holder(op: str, previous: str | None) -> dict[str, Any]:
    """What a holder that died in the middle of something left in the lock."""
    doing = {"op": op, "environment": "demo", "previous": previous}
    return {"schema": 1, "run": "run-1", "who": "ada@lab", "pid": 1, "since": "", "boot_id": None, "doing": doing}


@pytest.mark.parametrize(
    ("op", "previous", "now", "line"),
    [
        ("switch", ONE, TWO, (TWO, ONE)),
        ("switch", None, TWO, (TWO, None)),
        ("rollback", TWO, ONE, (ONE, TWO)),
        ("withdraw", TWO, None, (TWO, None)),
        ("switch", ONE, ONE, None),
        ("withdraw", None, None, None),
    ],
)
def test_the_line_of_a_switch_that_was_cut_off_is_written_once(
    tmp_path: Path, op: str, previous: str | None, now: str | None, line: tuple[str, str | None] | None
) -> None:
    path = tmp_path / "journal"
    journal.append(str(path), {"op": "switch", "environment": "demo", "digest": previous or ONE, "result": "ok"})
    for _ in range(2):
        journal.settle(str(path), holder(op, previous), lambda environment: now)
    said = [(one["op"], one["run"], one["digest"], one["previous"]) for one in journal.read(str(path))][1:]
    assert said == ([(op, "run-1", *line)] if line else [])


@pytest.mark.parametrize("left", [None, {}, {"run": "x"}, {"doing": 1}, {"doing": {}}, {"doing": {"op": "x"}}])
def test_what_says_nothing_of_a_switch_settles_nothing(tmp_path: Path, left: Any) -> None:
    journal.settle(str(tmp_path / "journal"), left, lambda environment: ONE)
    assert not (tmp_path / "journal").exists()


@pytest.mark.parametrize("by", ["begin", "unlock"])
def test_who_takes_over_the_lock_writes_the_line(robot: Any, wheel: Callable[..., Any], by: str) -> None:
    agent = robot.begin()
    first = robot.push(agent, [wheel()])
    second = robot.push(agent, [wheel("demo", "2.0")])
    agent.kill()
    lines = (robot.base / "journal").read_text().splitlines(keepends=True)
    (robot.base / "journal").write_text(lines[0])
    (robot.base / "lock").write_text(json.dumps(holder("switch", first["digest"])))
    if by == "begin":
        robot.begin(run="run-2").close()
    else:
        fields = robot.begin_fields(run="run-2")
        words = {name: fields[name] for name in ("base", "root", "run", "who")}
        assert robot.session().result("unlock", **words, force=False)["state"] == "dead"
    last = journal.read(str(robot.base / "journal"))[-1]
    assert (last["op"], last["run"], last["digest"]) == ("switch", "run-1", second["digest"])
    assert (robot.base / "lock").read_bytes() == b""


def test_a_switch_whose_line_could_not_be_written_gets_it_from_the_next_run(
    robot: Any, wheel: Callable[..., Any]
) -> None:
    agent = robot.begin()
    first = robot.push(agent, [wheel()])
    second = robot.push(agent, [wheel("demo", "2.0")])
    path = robot.base / "journal"
    path.rename(robot.base / "kept")
    path.mkdir()  # a file system that refuses the line
    answer = agent.ask("switch", environment="demo", digest=first["digest"])
    assert (answer["type"], answer["code"]) == ("error", "robot-io")
    assert agent.close() == 0
    path.rmdir()
    (robot.base / "kept").rename(path)
    robot.begin(run="run-2").close()
    last = journal.read(str(path))[-1]
    assert (last["op"], last["digest"], last["previous"]) == ("switch", first["digest"], second["digest"])
    assert (robot.base / "lock").read_bytes() == b""


def test_a_complete_release_leaves_no_first_parts_of_files(robot: Any, wheel: Callable[..., Any]) -> None:
    agent = robot.begin()
    for kind in ("wheels", "packs"):
        (robot.base / kind).mkdir(exist_ok=True)
        (robot.base / kind / f"{ONE}.part").write_bytes(b"what a cut transfer left")
    robot.push(agent, [wheel()])
    assert list(robot.base.glob("*/*.part")) == []


def test_a_link_that_was_to_become_current_is_swept(robot: Any, wheel: Callable[..., Any]) -> None:
    agent = robot.begin()
    robot.push(agent, [wheel()])
    agent.kill()
    link = robot.base / "envs" / "demo" / "current.new"
    link.symlink_to("releases/x")
    robot.begin(run="run-2").close()
    assert not link.is_symlink()
