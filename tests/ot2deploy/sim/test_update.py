"""A simulated system update, and an update session: what a robot has and says afterwards."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ot2deploy.inventory import load
from ot2deploy.project import Project
from ot2deploy.robots import activity as activities
from ot2deploy.robots.probe import facts, read_state
from ot2deploy.sim import activity, embedded, lab, update
from ot2deploy.sim.embedded import EmbeddedFailure
from ot2deploy.sim.failures import NotSimulated
from ot2deploy.sim.lab import Request
from ot2deploy.transport.ssh import connect

MAJOR, MINOR, REST = embedded.SOFTWARE.split(".", 2)
NEWER, NEWEST = (f"{MAJOR}.{int(MINOR) + step}.{REST}" for step in (1, 2))


@pytest.fixture
def project(tmp_path):
    (tmp_path / "environments").mkdir()
    project = Project.find(tmp_path)
    lab.up(project, Request(count=1, kind="embedded"))
    yield project
    lab.down(project)


def seen(project):
    robot = load(project.root / "lab.yaml").robots["sim1"]
    with connect(robot) as session:
        state = read_state(session, robot)
        return state, facts(session, robot, state)


def test_an_updated_robot_has_other_software_and_keeps_its_var(project):
    state, _ = seen(project)
    kept = Path(load(project.root / "lab.yaml").robots["sim1"].root, "var", "kept")
    kept.write_text("kept\n")
    assert update.update(project, "sim1").did.startswith(f"sim1 was updated to {NEWER} with ")
    after, _ = seen(project)
    assert (after.software, after.serial) == (NEWER, state.serial)
    assert after.fingerprint != state.fingerprint
    assert kept.read_text() == "kept\n"


def test_its_python_is_the_one_that_is_named_or_stays_where_there_is_no_other(project, run_cli, monkeypatch):
    _, before = seen(project)
    run_cli("sim", "update", "sim1", "--python", sys.executable).good()
    assert seen(project)[1]["python"] == before["python"]
    monkeypatch.setattr(update, "MINORS", ())
    assert "with the Python that it had" in run_cli("sim", "update", "sim1").good().out
    state, after = seen(project)
    assert (state.software, after["python"]) == (NEWEST, before["python"])


def test_only_what_can_be_updated_is(project, tmp_path):
    with pytest.raises(NotSimulated):
        update.update(project, "nosuch")
    wrong = tmp_path / "python"
    wrong.write_text("#!/bin/sh\necho '" + json.dumps({"version": [3, 7, 1]}) + "'\n")
    wrong.chmod(0o755)
    with pytest.raises(EmbeddedFailure):
        update.update(project, "sim1", wrong)
    assert seen(project)[1]["python"]


def test_an_update_session_is_seen_on_the_robot_until_it_is_idle(project, run_cli):
    robot = load(project.root / "lab.yaml").robots["sim1"]

    def doing():
        with connect(robot) as session:
            return activities.ask(robot, session).state

    assert doing() == "idle"
    assert "receives a system update" in run_cli("sim", "busy", "sim1", "--update").good().out
    assert doing() == "busy"
    assert activities.ask(robot).state == "idle", "the API says nothing of it"
    activity.idle(project, "sim1")
    assert doing() == "idle"
    activity.busy(project, "sim1")
    assert doing() == "busy"
