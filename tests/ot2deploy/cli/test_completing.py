"""What a shell is offered: names out of the project's files, and nothing where they are wrong."""

from __future__ import annotations

import shlex

import pytest

INVENTORY = """\
schema: 1
robots:
  otto: {address: 192.168.1.10}
  olga: {address: 192.168.1.11}
  luigi: {address: 192.168.1.12}
groups:
  lab-a: {robots: [otto, olga]}
"""


@pytest.fixture
def offered(tmp_path, monkeypatch, run_program):
    """A function that completes the last word of a command line, in a project with three robots and two runs."""
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    environment = tmp_path / "environments" / "plates"
    environment.mkdir(parents=True)
    (environment / "environment.yaml").write_text("schema: 1\nrequirements: [plates]\n")
    runs = tmp_path / ".ot2deploy" / "runs"
    runs.mkdir(parents=True)
    (runs / "20260101T000000Z-aaaa.jsonl").write_text('{"event": "start", "command": "push"}\n')
    (runs / "20260102T000000Z-bbbb.jsonl").write_text('{"event": "start", "command": "rollback"}\n')
    monkeypatch.chdir(tmp_path)

    def complete(line):
        words = ["ot2deploy", *shlex.split(line), *([""] if line.endswith(" ") else [])]
        monkeypatch.setenv("_OT2DEPLOY_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", shlex.join(words))
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        ran = run_program()
        assert ran.err == ""
        return [found.partition(",")[2] for found in ran.out.splitlines() if found]

    return complete


def test_robots_groups_environments_and_runs_are_offered(offered):
    assert offered("robot show o") == ["otto", "olga"]
    assert offered("robot packages l") == ["luigi"]
    assert offered("status --limit l") == ["lab-a", "luigi"]
    assert offered("status --limit lab-a,!ot") == ["lab-a,!otto"]
    assert offered("rollback pl") == ["plates"]
    assert offered("exec -e pl") == ["plates"]
    assert "plates" in offered("push pl")
    assert offered("push --resume ") == ["last", "20260101T000000Z-aaaa"]
    assert offered("report ") == ["20260102T000000Z-bbbb", "20260101T000000Z-aaaa"]


def test_another_inventory_and_project_are_looked_into_when_they_are_named(offered, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "lab.yaml").write_text("schema: 1\nrobots:\n  olaf: {address: 10.0.0.1}\n")
    assert offered("robot show --robots other/lab.yaml o") == ["olaf"]
    (tmp_path / "other" / "inventory.yaml").write_text("schema: 1\nrobots:\n  ole: {address: 10.0.0.2}\n")
    assert offered("robot show --project other o") == ["ole"]


def test_an_inventory_that_is_wrong_completes_nothing(offered, tmp_path):
    (tmp_path / "inventory.yaml").write_text("robots: [")
    assert offered("robot show o") == []
    assert offered("status --limit o") == []
