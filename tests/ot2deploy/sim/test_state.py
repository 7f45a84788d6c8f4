"""The record of what is up."""

import json
import threading

import pytest

from builder.errors import UsageFailure
from ot2deploy.sim.failures import NotSimulated
from ot2deploy.sim.state import Place, SimRobot, SimState, unused


def robot(name):
    return SimRobot(name=name, kind="arm", init="busybox", serial="S", port=1, http_port=2, host_key="k")


def test_what_is_written_is_read_and_a_removed_place_leaves_nothing(tmp_path):
    at = Place(directory=tmp_path / "state" / "sim")
    assert at.read() == SimState()
    state = SimState(robots=(robot("sim1"),), lab="lab.yaml", lab_sha256="0", why="so")
    at.write(state)
    assert at.read() == state
    at.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_newer_record_is_refused(tmp_path):
    at = Place(directory=tmp_path)
    at.record.write_text(json.dumps({"schema": 2}))
    with pytest.raises(UsageFailure, match="newer"):
        at.read()


def test_projects_differ_by_their_directory(tmp_path):
    assert Place(directory=tmp_path / "a").project != Place(directory=tmp_path / "b").project


def test_names_fill_up_to_the_count():
    assert unused((), 2) == ("sim1", "sim2")
    assert unused((robot("sim1"), robot("sim3")), 3) == ("sim2",)
    assert unused((robot("sim1"), robot("sim2")), 1) == ()


def test_an_unknown_robot_names_those_that_are_up():
    with pytest.raises(NotSimulated) as failure:
        SimState(robots=(robot("sim1"),)).robot("sim7")
    assert "sim1" in failure.value.next


def test_who_waited_for_a_place_that_was_removed_gets_a_new_one(tmp_path):
    at = Place(directory=tmp_path / "sim")
    entered = threading.Event()

    def second():
        with at.held():
            at.write(SimState(why="second"))
            entered.set()

    with at.held():
        waiting = threading.Thread(target=second)
        waiting.start()
        at.remove()
    waiting.join(60)
    assert entered.is_set()
    assert at.read().why == "second"
