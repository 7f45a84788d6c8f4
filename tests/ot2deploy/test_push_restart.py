"""`push --restart-server`: after a switch and on an idle robot only, and it is waited for."""

from __future__ import annotations

import pytest

RUN = {"id": "run-1", "status": "running", "current": True}


@pytest.fixture
def lab(machine, workplace_of):
    workplace = workplace_of(http_port=machine.port)
    machine.lab = workplace.lab
    workplace.environment("plates", workplace.wheel("plates"))
    return workplace


def test_a_robot_that_got_a_release_is_restarted(lab, machine):
    row = lab.push("plates", "--restart-server")
    assert (row["outcome"], row["restarted"], machine.restarts) == ("pushed", True, 1)
    assert row["seconds"]["restart"] > 0


def test_a_robot_that_got_nothing_new_is_not(lab, machine):
    lab.push("plates")
    row = lab.push("plates", "--restart-server")
    assert (row["outcome"], row["restarted"], machine.restarts) == ("no change", False, 0)


def test_a_dry_run_restarts_nothing(lab, machine):
    lab.push("plates", "--restart-server", "--dry-run")
    assert machine.restarts == 0


def test_a_run_that_began_meanwhile_is_not_disturbed(lab, machine, monkeypatch):
    from ot2deploy.rollout import course

    restart = course.restart_if_idle

    def begin_run(*given):
        machine.runs = [RUN]
        return restart(*given)

    monkeypatch.setattr(course, "restart_if_idle", begin_run)
    row = lab.push("plates", "--restart-server", status=1)
    assert (row["outcome"], row["restarted"], machine.restarts) == ("pushed", False, 0)
    assert row["error"]["what"] == "not restarted: run run-1 is running"


def test_an_api_that_does_not_answer_is_told_and_the_release_stays(lab, machine):
    machine.api.down = True
    row = lab.push("plates", "--restart-server", status=1)
    assert row["outcome"] == "pushed"
    assert "not restarted" in row["error"]["what"]
    assert lab.lab.current("plates") is not None
