"""What a robot is doing: its HTTP API asked from here, from the robot and by the agent; an update session's files."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace

import pytest

from ot2deploy.agent_host.client import open_agent
from ot2deploy.errors import AgentFailure
from ot2deploy.inventory import Robot
from ot2deploy.robots import activity
from ot2deploy.robots.activity import IDLE, Activity
from ot2deploy.robots.probe import read_state
from ot2deploy.sim.api import Api, Server
from ot2deploy.transport.ssh import connect

DOWNLOADS = "var/lib/otupdate/downloads"


class Machine:
    """A robot behind an API."""

    def __init__(self):
        self.runs, self.maintenance = [], None

    def facts(self):
        about = {"name": "otto", "serial": "OT2SIMr1", "api_version": "7.3.1", "system_version": "7.3.1"}
        return {**about, "runs": self.runs, "maintenance": self.maintenance}


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def port(machine):
    server = Server(Api(machine=machine))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture
def otto(port):
    return Robot(name="otto", address="127.0.0.1", http_port=port, serial="OT2SIMr1")


def run(status, current=True, identity="1f3a"):
    return {"id": identity, "status": status, "current": current}


@pytest.mark.parametrize("status", ["running", "paused", "blocked-by-open-door", "finishing", "awaiting-recovery"])
def test_a_run_that_goes_on_makes_a_robot_busy(machine, otto, status):
    machine.runs = [run("succeeded", current=False, identity="old"), run(status)]
    assert activity.ask(otto) == Activity(state="busy", what=f"run 1f3a is {status}")


def test_a_run_that_is_loaded_is_said_so(machine, otto):
    machine.runs = [run("idle")]
    assert "loaded and was not started" in activity.ask(otto).what


@pytest.mark.parametrize("status", ["stopped", "failed", "succeeded"])
def test_a_run_that_has_ended_leaves_a_robot_idle(machine, otto, status):
    assert activity.ask(otto) == IDLE
    machine.runs = [run(status)]
    assert activity.ask(otto) == IDLE
    machine.runs = [run("idle", current=False)]
    assert activity.ask(otto) == IDLE, "never started, and no longer the current one"


def test_a_current_run_that_is_not_the_newest_is_asked_for(machine, otto):
    machine.runs = [run("running"), run("stopped", current=False, identity="new")]
    assert activity.ask(otto).what == "run 1f3a is running"


def test_a_maintenance_run_makes_a_robot_busy(machine, otto):
    machine.maintenance = run("idle")
    assert "maintenance run" in activity.ask(otto).what


def test_an_api_that_says_nothing_useful_is_told_and_no_error(machine, otto):
    away = activity.ask(replace(otto, http_port=9))
    assert (away.state, away.what) == ("unknown", "its HTTP API (port 9) does not answer")
    other = activity.ask(replace(otto, serial="OT2B"))
    assert (other.state, "has serial OT2SIMr1, not OT2B" in other.what) == ("unknown", True)
    machine.runs = [{"id": "a?b", "current": True, "status": ""}]
    assert "names a run that can be none" in activity.ask(otto).what
    assert activity.ask(replace(otto, via="gate")).state == "unknown"


@pytest.fixture
def lab(embedded_lab, port):
    """An embedded robot whose API is ours."""
    return embedded_lab(1, http_port=port, serial="OT2SIMr1")


def asked(lab, robot, how):
    """The activity as it is asked for over a session, or in an agent's."""
    with connect(lab.robots["r1"]) as session:
        if how == "session":
            return activity.ask(robot, session)
        fingerprint = read_state(session, lab.robots["r1"], brief=True).fingerprint
        with open_agent(session, lab.robots["r1"], run="r", environment="demo", fingerprint=fingerprint) as agent:
            return activity.ask_in(agent, robot)


@pytest.mark.parametrize("how", ["session", "agent"])
def test_a_robot_behind_a_jump_host_is_asked_from_itself(lab, machine, how):
    behind = replace(lab.robots["r1"], address="otto.invalid", via="gate")
    assert asked(lab, behind, how) == IDLE
    machine.runs = [run("running"), run("stopped", current=False, identity="new")]
    assert asked(lab, behind, how) == Activity(state="busy", what="run 1f3a is running")
    assert asked(lab, replace(behind, http_port=9), how).state == "unknown"


@pytest.mark.parametrize("via", [None, "gate"])
@pytest.mark.parametrize("how", ["session", "agent"])
def test_an_update_session_makes_a_robot_busy_until_it_restarts(lab, how, via):
    robot = replace(lab.robots["r1"], via=via)
    file = lab.root("r1") / DOWNLOADS / "ot2-system.zip"
    file.parent.mkdir(parents=True)
    assert asked(lab, robot, how) == IDLE
    file.write_bytes(b"PK")
    found = asked(lab, robot, how)
    assert (found.state, "a system update was begun (ot2-system.zip)" in found.what) == ("busy", True)
    os.utime(file, (1, 1))
    assert asked(lab, robot, how) == IDLE, "a session that ended with the last boot left it"


def test_a_python_that_cannot_ask_makes_it_unknown(lab):
    python = lab.root("r1") / "usr" / "bin" / "python3"
    python.unlink()
    python.write_text("#!/bin/sh\ncat >/dev/null; echo '{}'\n")
    python.chmod(0o755)
    found = asked(lab, replace(lab.robots["r1"], via="gate"), "session")
    assert (found.state, found.what) == ("unknown", "its Python could not ask its HTTP API")


@pytest.mark.parametrize("paths", [None, "/runs", ["runs"], ["/a b"], [7]])
def test_the_agent_asks_for_paths_only(lab, paths):
    robot = lab.robots["r1"]
    with connect(robot) as session:
        fingerprint = read_state(session, robot, brief=True).fingerprint
        with (
            open_agent(session, robot, run="r", environment="demo", fingerprint=fingerprint) as agent,
            pytest.raises(AgentFailure, match="not a list of paths"),
        ):
            agent.request("activity", port=1, paths=paths)


def test_waiting_ends_when_the_robot_is_idle_and_tells_each_reason_once():
    busy, door = Activity(state="busy", what="a run"), Activity(state="busy", what="a door")
    gone = Activity(state="unknown", what="restarting")
    says = iter([busy, busy, door, gone, busy, IDLE, busy])
    told: list[Activity] = []
    paused: list[float] = []
    deadline = time.monotonic() + 1000
    assert activity.wait_idle(lambda: next(says), deadline, told.append, pause=paused.append) == IDLE
    assert told == [busy, door, gone, busy]
    assert paused == [activity.INTERVAL] * 5


def test_waiting_ends_at_its_deadline_and_at_once_where_nothing_is_known():
    busy, gone = Activity(state="busy", what="a run"), Activity(state="unknown", what="no answer")
    assert activity.wait_idle(lambda: busy, time.monotonic(), pytest.fail) == busy
    assert activity.wait_idle(lambda: gone, time.monotonic() + 1000, pytest.fail, pause=pytest.fail) == gone


def test_a_robot_that_stays_silent_is_not_waited_for_longer_than_it_restarts(monkeypatch):
    monkeypatch.setattr(activity, "RESTART", 0.0)
    busy, gone = Activity(state="busy", what="a run"), Activity(state="unknown", what="no answer")
    says = iter([busy, gone, busy])
    told: list[Activity] = []
    found = activity.wait_idle(lambda: next(says), time.monotonic() + 1000, told.append, pause=lambda seconds: None)
    assert (found, told) == (gone, [busy])
