"""A robot restarts over its HTTP API and is waited for, if it is the right one."""

from __future__ import annotations

import threading

import pytest

from ot2deploy.errors import AnotherRobot, ApiFailure, NotBack
from ot2deploy.robots.restart import restart


@pytest.fixture
def robot(machine, embedded_lab):
    machine.lab = embedded_lab(1, http_port=machine.port)
    return machine.lab.robots["r1"]


def test_it_is_waited_for_until_it_answers_again(machine, robot):
    before = machine.api.boot_id
    assert restart(robot, "OT2SIMr1", pause=0.05) > 0
    assert machine.restarts == 1
    assert machine.api.boot_id != before


def test_another_robot_is_not_restarted(machine, robot):
    with pytest.raises(AnotherRobot):
        restart(robot, "OT2SIMother")
    assert machine.restarts == 0


def test_one_that_stays_away_is_told(machine, robot):
    away = threading.Event()
    machine.restart = away.wait
    with pytest.raises(NotBack) as told:
        restart(robot, "OT2SIMr1", limit=0.3, pause=0.05)
    away.set()
    assert "robot check --limit r1" in told.value.next


def test_one_whose_api_is_out_of_reach_is_told(machine, robot):
    machine.api.down = True
    with pytest.raises(ApiFailure):
        restart(robot, "")
