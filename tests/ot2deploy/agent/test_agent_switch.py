"""Verifying, switching, rolling back, and the journal that remembers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ot2deploy.agent import journal

IMPORT = {"kind": "import", "name": "import demo", "module": "demo", "timeout": 60}


def where(manifest: dict[str, Any]) -> dict[str, str]:
    """How requests name a release."""
    return {"environment": manifest["environment"], "digest": manifest["digest"]}


def current(robot: Any, environment: str = "demo") -> str:
    """What the link says."""
    return str((robot.base / "envs" / environment / "current").readlink())


def test_a_failed_check_is_readable_and_nothing_is_switched(robot: Any, wheel: Callable[..., Any]) -> None:
    agent = robot.begin()
    good = robot.push(agent, [wheel()])
    bad = robot.install(agent, [wheel("demo", "2.0", files={"demo.py": "raise OSError('no such library')\n"})])
    answer = agent.result("verify", **where(bad), checks=[IMPORT], depth="quick", fingerprint="f1")
    assert answer["ok"] is False
    assert answer["results"][0]["why"] == "OSError: no such library"
    assert "Traceback" in answer["results"][0]["output"]
    assert agent.ask("switch", **where(bad))["code"] == "not-verified"
    assert current(robot) == f"releases/{good['digest']}"


def test_a_good_verification_is_kept_and_a_bad_one_revokes_it(robot: Any, wheel: Callable[..., Any]) -> None:
    agent = robot.begin()
    manifest = robot.install(agent, [wheel()], checks={"quick": [IMPORT], "deep": []})
    path = robot.release(manifest) / "verified.json"
    fields = {"depth": "quick", "fingerprint": "f1"}
    assert agent.result("verify", **where(manifest), checks=None, **fields)["ok"]
    kept = json.loads(path.read_text())
    assert (kept["schema"], kept["digest"], kept["fingerprint"]) == (1, manifest["digest"], "f1")
    assert kept["results"][0]["name"] == "import demo"
    assert kept["deep"] is None
    assert agent.result("verify", **where(manifest), checks=[IMPORT], depth="deep", fingerprint="f1")["ok"]
    deep = json.loads(path.read_text())
    assert deep["deep"]["checks"] == kept["checks"] == deep["checks"]
    bad = [{"kind": "import", "name": "x", "module": "not_there", "timeout": 60}]
    assert not agent.result("verify", **where(manifest), checks=bad, depth="deep", fingerprint="f1")["ok"]
    assert json.loads(path.read_text())["deep"] is None
    assert not agent.result("verify", **where(manifest), checks=bad, depth="quick", fingerprint="f1")["ok"]
    assert not path.exists()


def test_a_shadowed_module_fails_and_names_both_paths(robot: Any, wheel: Callable[..., Any]) -> None:
    (robot.site / "demo.py").write_text("")
    agent = robot.begin()
    shadowed = wheel(files={"demo.py": "", "aaa.pth": f"import sys; sys.path.insert(0, {str(robot.site)!r})\n"})
    manifest = robot.install(agent, [shadowed], system_packages=True)
    answer = agent.result("verify", **where(manifest), checks=[IMPORT], depth="quick", fingerprint="f1")
    why = answer["results"][0]["why"]
    assert str(robot.site / "demo.py") in why
    assert str(robot.release(manifest)) in why
    assert "the release has it at" in why


def test_switch_and_rollback_go_through_the_releases(robot: Any) -> None:
    agent = robot.begin()
    one, two, three = (robot.push(agent, [], variables={"N": number}) for number in "123")
    again = {"type": "result", "changed": False, "previous": two["digest"], "undecided": False}
    assert agent.result("switch", **where(three)) == again
    assert agent.result("rollback", environment="demo", to=None)["current"] == two["digest"]
    assert current(robot) == f"releases/{two['digest']}"
    assert agent.result("rollback", environment="demo", to=None)["current"] == one["digest"]
    error = agent.ask("rollback", environment="demo", to=None)
    assert error["code"] == "no-previous"
    assert two["digest"][:12] in error["why"]
    assert "rollback demo --to " in error["next"]
    answer = agent.result("rollback", environment="demo", to=three["digest"])
    assert (answer["current"], answer["previous"]) == (three["digest"], one["digest"])
    assert agent.ask("rollback", environment="demo", to="0" * 64)["code"] == "not-installed"
    lines = agent.result("journal", limit=100)["lines"]
    assert [line["op"] for line in lines] == ["switch"] * 3 + ["rollback"] * 3
    assert lines[1]["previous"] == one["digest"]
    assert {line["who"] for line in lines} == {"ada@lab"}


def test_rollback_passes_over_what_cannot_run_any_more(robot: Any) -> None:
    agent = robot.begin()
    one, two, three = (robot.push(agent, [], variables={"N": number}) for number in "123")
    python = next((robot.release(two) / "bin").glob("python3.*"))
    python.unlink()
    python.symlink_to("/usr/bin/python0.0")
    assert agent.ask("rollback", environment="demo", to=two["digest"])["code"] == "not-installed"
    assert agent.result("rollback", environment="demo", to=None)["current"] == one["digest"]
    (robot.release(three) / "complete").unlink()
    assert agent.ask("rollback", environment="demo", to=three["digest"])["code"] == "not-installed"


def test_environments_do_not_disturb_each_other(robot: Any) -> None:
    agent = robot.begin()
    one = robot.push(agent, [], environment="one")
    two = robot.push(agent, [], environment="two")
    error = agent.ask("rollback", environment="two")
    assert (error["code"], error["why"]) == ("no-previous", "No other complete release is on this robot.")
    assert current(robot, "one") == f"releases/{one['digest']}"
    assert current(robot, "two") == f"releases/{two['digest']}"


def test_record_adds_the_hosts_line(robot: Any) -> None:
    agent = robot.begin()
    line = {"op": "push", "environment": "demo", "digest": "0" * 64, "result": "failed", "detail": "é", "x": 1}
    agent.result("record", line=line)
    kept = json.loads((robot.base / "journal").read_text())
    assert (kept["op"], kept["detail"], kept["run"], kept["schema"]) == ("push", "é", "run-1", 1)
    assert "x" not in kept


def test_the_journal_can_be_read_while_another_holds_the_lock(robot: Any) -> None:
    robot.begin().result("record", line={"op": "push", "result": "failed"})
    answer = robot.session().result("journal", limit=5, base="/var/ot2deploy", root=str(robot.root))
    assert [line["op"] for line in answer["lines"]] == ["push"]


def test_a_torn_last_line_is_closed_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal.append(str(path), {"op": "switch"})
    with path.open("ab") as file:
        file.write(b'{"schema": 1, "op": "sw')
    journal.append(str(path), {"op": "rollback"})
    assert [line["op"] for line in journal.read(str(path))] == ["switch", "rollback"]
    assert path.read_bytes().count(b"\n") == 3


def line(op: str, digest: str, result: str = "ok") -> dict[str, str]:
    """A journal line."""
    return {"op": op, "environment": "e", "digest": digest, "result": result}


@pytest.mark.parametrize(
    ("lines", "current", "expected"),
    [
        ([], None, []),
        ([], "a", ["a"]),
        ([line("switch", "a"), line("switch", "b")], "b", ["a", "b"]),
        ([line("switch", "a"), line("switch", "b"), line("rollback", "a")], "a", ["a"]),
        ([line("switch", "a"), line("switch", "b"), line("switch", "a")], "a", ["a", "b", "a"]),
        ([line("switch", "a"), line("switch", "b", "failed")], "a", ["a"]),
        ([line("switch", "a"), line("rollback", "z")], "z", ["a", "z"]),
        ([line("switch", "a")], "b", ["a", "b"]),  # power lost between the rename and its line
    ],
)
def test_succession(lines: list[dict[str, str]], current: str | None, expected: list[str]) -> None:
    assert journal.succession(lines, "e", current) == expected


def test_a_release_with_live_checks_is_undecided_until_they_pass_after_its_switch(robot: Any) -> None:
    agent = robot.begin()
    one = robot.push(agent, [], variables={"N": "1"}, checks={"quick": [], "deep": None, "live": [IMPORT]})
    known = robot.release(one) / "verified.json"
    assert agent.result("switch", **where(one))["undecided"]
    live = {**where(one), "depth": "live", "fingerprint": "f1"}
    assert agent.result("verify", **live, checks=[])["ok"]
    assert not agent.result("switch", **where(one))["undecided"]
    robot.push(agent, [], variables={"N": "2"})
    assert agent.result("switch", **where(one))["undecided"], "what passed before says nothing of this switch"
    assert json.loads(known.read_text())["live"] is None
