"""A record as the report reads it: whole, damaged, cut off, of another command, of a newer ot2deploy."""

from __future__ import annotations

import pytest
from report_records import NEW, OLD, row

from builder.errors import UsageFailure
from ot2deploy.report_page import run as module
from ot2deploy.report_page.run import find


def read(path):
    """The run of a record's file."""
    return module.read(find(path.parent.parent, path.stem))


def begin(robot, current=OLD):
    return {"event": "begin", "robot": robot, "environment": "prefect", "digest": NEW, "current": current}


def test_a_push_is_read_whole(fleet_record):
    run = read(fleet_record)
    assert (run.command, run.target, run.environment, run.who) == ("push", "prefect", "prefect", "ada@bench")
    assert (run.began, run.ended) == ("2026-01-05T10:22:11Z", "2026-01-05T10:22:21Z")
    assert run.waves == (("otto",), ("luigi", "yoshi"))
    robots = {robot.robot: robot for robot in run.robots}
    assert robots["otto"].has == (NEW,)
    assert robots["mario"].has == (NEW,)
    assert robots["peach"].has == robots["toad"].has == robots["bowser"].has == (OLD,)
    assert robots["toad"].note == "busy: run 12 is running"
    assert [robots[name].tone for name in ("otto", "toad", "bowser", "peach")] == ["good", "warning", "bad", "bad"]
    assert [span.stage for span in robots["otto"].spans] == ["probe", "bundle", "send", "install", "switch"]


def test_of_a_robot_the_last_line_counts(recorded):
    run = read(recorded(row("otto", "staged"), row("luigi", "pushed"), row("otto", "pushed")))
    assert [(robot.robot, robot.outcome) for robot in run.robots] == [("otto", "pushed"), ("luigi", "pushed")]


def test_a_robot_that_was_begun_and_never_ended_may_have_either_release(recorded):
    (robot,) = read(recorded(begin("otto"))).robots
    assert (robot.outcome, robot.tone, robot.has) == ("cut off", "bad", (OLD, NEW))
    (first,) = read(recorded(begin("otto", None))).robots
    assert first.has == (NEW,)


@pytest.mark.parametrize(("code", "has"), [("connection-lost", (OLD, NEW)), ("install-failed", (OLD,))])
def test_a_connection_that_was_lost_leaves_it_open_which_release_is_current(recorded, code, has):
    line = row("peach", "failed")
    line["error"]["code"] = code
    (robot,) = read(recorded(begin("peach"), line)).robots
    assert robot.has == has


def test_a_rollback_has_a_robot_without_a_plan(recorded):
    line = {"event": "robot", "robot": "otto", "ok": True, "result": {"current": OLD, "previous": NEW}, "error": None}
    failed = {"event": "robot", "robot": "luigi", "ok": False, "result": None, "error": {"what": "no answer"}}
    run = read(recorded(line, failed, command="rollback", environment="prefect", target=None))
    assert [(robot.outcome, robot.has) for robot in run.robots] == [("done", (OLD,)), ("failed", ())]
    assert run.robots[1].trouble.what == "no answer"
    assert (run.target, run.environment) == ("", "prefect")


def test_lines_that_are_damaged_are_passed_over(recorded):
    run = read(recorded('{"event": "robot", "robot": "ot', "[1]", "\x00", row("luigi", "pushed"), '"x"'))
    assert [robot.robot for robot in run.robots] == ["luigi"]


@pytest.mark.parametrize(
    "damage",
    [
        {"spans": 5, "seconds": [], "checks": "x", "plan": 7, "error": "e", "sent": "many", "bytes_sent": None},
        {"spans": [[], ["send", "a", "b"], ["send", 5.0, 4.0], ["send", float("inf"), 1], {"a": 1}, None]},
        {"checks": [None, 3, {"name": None, "output": ["x"]}], "error": {"details": "x", "what": {}}},
        {"robot": None, "outcome": 3, "seconds": {"send": "x", "verify": float("nan")}, "note": ["x"]},
        {"plan": {"digest": 1, "current": [], "reasons": {"a": 1}, "environment": None}},
    ],
)
def test_values_of_another_kind_are_no_traceback(recorded, tmp_path, run_cli, damage):
    record = recorded({**row("otto", "failed"), **damage}, {"event": "wave", "robots": 3}, {"event": "stopped"})
    assert len(read(record).robots) == 1
    run_cli("report", "--last", "-o", "out.html").good()


def test_what_a_newer_ot2deploy_wrote_is_said(recorded):
    with pytest.raises(UsageFailure, match="newer ot2deploy"):
        read(recorded(schema=2))


def test_robots_stand_as_they_were_selected_and_those_never_reached_were_not_tried(recorded):
    run = read(recorded(row("peach", "pushed"), row("otto", "pushed"), robots=["otto", "luigi", "peach"]))
    assert [(robot.robot, robot.outcome) for robot in run.robots] == [
        ("otto", "pushed"), ("luigi", "not tried"), ("peach", "pushed"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([{"event": "end", "exit_code": 0}], ""),
        ([{"event": "interrupted"}], "Somebody stopped it before it had ended."),
        ([], "Its record has no end: ot2deploy was killed"),
        (
            [{"event": "stopped", "why": "the canary otto failed"}, {"event": "end"}],
            "their turn: the canary otto failed.",
        ),
    ],
)
def test_the_page_says_how_a_run_ended(recorded, run_cli, tmp_path, events, said):
    recorded(row("otto", "pushed"), *events)
    run_cli("report", "--last", "-o", "out.html").good()
    text = (tmp_path / "out.html").read_text().partition("<h2")[0]
    assert said in text
    assert ("<p>It" in text or "<p>Somebody" in text) == bool(said)


def test_a_run_is_found_by_the_beginning_of_its_id(fleet_record, tmp_path):
    state = tmp_path / ".ot2deploy"
    found = {find(state).path, find(state, "20260105").path, find(state, fleet_record.stem).path}
    assert found == {fleet_record}
    with pytest.raises(UsageFailure, match="2 runs begin with 202601"):
        find(state, "202601")
    with pytest.raises(UsageFailure, match=r"no run is called \.\./x") as caught:
        find(state, "../x")
    assert f"{fleet_record.stem}  push prefect" in caught.value.details
    with pytest.raises(UsageFailure, match="no run is recorded"):
        find(tmp_path / "elsewhere")
