"""`ot2deploy history`: the robots' journals as one list."""

from __future__ import annotations

import json

import pytest


def line(at, op="switch", **fields):
    return json.dumps({"schema": 1, "at": f"2026-01-01T00:00:{at:02d}Z", "op": op, "result": "ok", **fields}) + "\n"


def journals(lab, **texts):
    for name, text in texts.items():
        lab.base(name).mkdir(parents=True, exist_ok=True)
        (lab.base(name) / "journal").write_text(text)


def told(run_cli, lab, *words):
    return run_cli("history", "--robots", lab.path, "--json", *words).good().document["result"]


def test_a_push_and_a_rollback_are_told_with_who_did_them(workplace):
    for version in ("1.0", "2.0"):
        workplace.environment("plates", workplace.wheel("plates", version))
        workplace.push("plates")
    workplace.run("rollback", "plates")
    lines = workplace.run("history")["lines"]
    assert [line["op"] for line in lines] == ["switch", "switch", "rollback"]
    assert all("@" in line["who"] and line["robot"] == "r1" and line["run"] for line in lines)
    assert lines[2]["digest"] == lines[0]["digest"]
    shown = workplace.run_cli("history", "--robots", workplace.lab.path).good().out
    assert lines[0]["digest"][:12] in shown
    assert lines[0]["who"] in shown


def test_journals_are_merged_by_time_and_only_the_last_lines_are_told(run_cli, embedded_lab):
    lab = embedded_lab(2)
    journals(lab, r1=line(1) + line(4) + line(5), r2=line(2) + line(3))
    lines = told(run_cli, lab, "-n", "4")["lines"]
    assert [(one["at"][-3:-1], one["robot"]) for one in lines] == [
        ("02", "r2"),
        ("03", "r2"),
        ("04", "r1"),
        ("05", "r1"),
    ]
    assert {one["robot"] for one in told(run_cli, lab, "--robot", "r2")["lines"]} == {"r2"}


def test_a_robot_that_was_never_pushed_to_is_left_as_it_is(run_cli, embedded_lab):
    lab = embedded_lab(1)
    assert told(run_cli, lab)["lines"] == []
    assert not lab.base().exists()


def test_a_robot_that_does_not_answer_is_said_and_the_others_are_told(run_cli, embedded_lab):
    lab = embedded_lab(2)
    journals(lab, r1=line(1))
    lab.stop("r2")
    ran = run_cli("history", "--robots", lab.path, "--json")
    assert ran.status == 3
    assert len(ran.document["result"]["lines"]) == 1
    assert ran.document["result"]["robots"][1]["error"]["code"] == "unreachable"


def test_what_stands_in_a_journal_does_not_steer_the_terminal(run_cli, embedded_lab):
    lab = embedded_lab(1)
    journals(lab, r1=line(1, who="eve\x1b[2J@lab", detail="one\ntwo"))
    shown = run_cli("history", "--robots", lab.path).good().out
    assert "\x1b" not in shown
    assert "one two" in shown


@pytest.mark.parametrize("words", [("--robot", "r1", "--limit", "r1"), ("-n", "0"), ("--robot", "nobody")])
def test_a_wrong_call_is_one_clear_error(run_cli, embedded_lab, words):
    ran = run_cli("history", "--robots", embedded_lab(1).path, *words)
    assert ran.status == 2
    assert "Traceback" not in ran.err


def test_the_runs_of_a_project_are_told_without_asking_a_robot(workplace):
    workplace.environment("plates", workplace.wheel("plates"), checks="- import: nowhere")
    workplace.push("plates", status=1)
    workplace.environment("plates", workplace.wheel("plates"), checks="- import: plates")
    workplace.push("plates")
    workplace.run("rollback", "plates", status=1)
    connections = workplace.lab.log().count("connection")
    told = workplace.run("history", "--runs")["runs"]
    assert [(one["command"], one["target"], one["state"], one["exit_code"]) for one in told] == [
        ("push", "plates", "ended", 1), ("push", "plates", "ended", 0), ("rollback", "plates", "ended", 1)
    ]  # fmt: skip
    assert told[0]["left"] == ["r1"]
    shown = workplace.run_cli("history", "--runs", "--robots", workplace.lab.path).good().out
    assert "r1 check-failed" in shown
    assert "--resume" not in shown  # a later push has done it
    assert workplace.run("history", "--runs", "--robot", "r9")["runs"] == []
    assert workplace.lab.log().count("connection") == connections
