"""A push after one that was cut off: it waits for the other's agent to notice, and completes the journal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ot2deploy.robots.state import parse
from ot2deploy.rollout import earlier_run
from ot2deploy.runs.record import who

FRESH = parse("otto", (Path(__file__).parents[1] / "cases" / "probe" / "ot2-fresh.txt").read_bytes())
SLOW = "import time; time.sleep(600)"


@pytest.fixture
def ready(workplace):
    """A workplace whose robot has release 1.0 of `plates` current."""
    workplace.environment("plates", workplace.wheel("plates"), checks="- import: plates")
    workplace.first = workplace.push("plates")["plan"]["digest"]
    return workplace


def test_ones_own_run_that_is_cut_off_is_outlasted(ready):
    ready.environment("plates", ready.wheel("plates", "2.0"), program=SLOW)
    cut = ready.start_push("plates", until="r1: verify")
    ready.environment("plates", ready.wheel("plates", "2.0"), checks="- import: plates")
    again = ready.start_push("plates", until="r1: wait")
    cut.kill()
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, out + err
    assert ready.lab.current("plates") != ready.first


@pytest.mark.parametrize(("holder", "held"), [(f"x{who()}", True), (who(), False), (None, True)])
def test_nobody_else_is_waited_for(holder, held):
    state = replace(FRESH, held=held, holder={"who": holder, "run": "r"} if holder else None)
    refused = pytest.fail
    assert earlier_run.outlasted(state, refused, refused, refused) is state


def test_a_run_that_lives_on_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(earlier_run, "PATIENCE", 0.05)
    state, said = replace(FRESH, held=True, holder={"who": who(), "run": "r7"}), []
    assert earlier_run.outlasted(state, lambda: state, said.append, lambda seconds: None) is state
    assert "run r7" in said[0]


def test_a_push_with_nothing_to_do_completes_the_journal(ready):
    ready.environment("plates", ready.wheel("plates", "2.0"), checks="- import: plates")
    second = ready.push("plates")["plan"]["digest"]
    journal, lock = ready.lab.base() / "journal", ready.lab.base() / "lock"
    lines = journal.read_text().splitlines(keepends=True)
    cut_off = {"op": "switch", "environment": "plates", "previous": ready.first}
    for who_died in ({"run": "r7", "who": "ada@lab", "doing": cut_off}, {"run": "r7", "who": "ada@lab"}):
        journal.write_text("".join(lines[:-1]))
        lock.write_text(json.dumps(who_died))
        assert ready.push("plates", "--dry-run")["outcome"] == "planned"
        assert lock.stat().st_size, "a dry run changes nothing"
        assert ready.push("plates")["outcome"] == "no change"
        assert lock.read_bytes() == b""
        said = [json.loads(line) for line in journal.read_text().splitlines()]
        expected = [ready.first, second] if "doing" in who_died else [ready.first]
        assert [line["digest"] for line in said] == expected
