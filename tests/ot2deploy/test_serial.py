"""Robots are known by their serial numbers: another robot at an address is refused at every contact."""

from dataclasses import replace

import pytest

from ot2deploy.agent_host.arrival import ensure_agent
from ot2deploy.errors import AnotherRobot
from ot2deploy.inventory import Robot
from ot2deploy.robots.probe import read_state
from ot2deploy.transport.ssh import connect


@pytest.fixture
def swapped(embedded_lab):
    """Two robots whose addresses were exchanged, and whose host keys somebody pinned again."""
    lab = embedded_lab(2)
    lab.write(r1={"serial": "OT2SIMr2"}, r2={"serial": "OT2SIMr1"})
    return lab


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("verify", "x"),
        ("rollback", "x"),
        ("exec", "-e", "x", "--", "true"),
        ("history",),
        ("robot", "check"),
        ("push", "helpers.py", "--dry-run"),
        ("push", "helpers.py"),
    ],
)
def test_a_robot_with_another_serial_is_refused_at_every_contact(run_cli, swapped, tmp_path, words):
    (tmp_path / "helpers.py").write_text("ANSWER = 42\n")
    words = [f"./{word}" if word == "helpers.py" else word for word in words]
    at = words.index("--") if "--" in words else len(words)
    ran = run_cli(*words[:at], "--robots", swapped.path, *words[at:])
    assert ran.status == 1
    told = ran.out + ran.err
    assert "has serial OT2SIMr1, not OT2SIMr2" in told
    assert "has serial OT2SIMr2, not OT2SIMr1" in told
    assert f"robot find r1 --robots {swapped.path}" in told
    assert not swapped.base("r1").exists()
    assert not swapped.base("r2").exists()


def test_a_swap_of_addresses_is_seen_by_the_host_key_first(run_cli, embedded_lab):
    lab = embedded_lab(2)
    ports = {name: robot.port for name, robot in lab.robots.items()}
    lab.write(r1={"serial": "OT2SIMr1", "port": ports["r2"]}, r2={"serial": "OT2SIMr2", "port": ports["r1"]})
    ran = run_cli("status", "--robots", lab.path)
    assert ran.status == 1
    assert "host key changed" in ran.out
    assert "robot find r1" in ran.out + ran.err


def test_the_right_serial_and_a_robot_without_one_are_fine(embedded_lab):
    lab = embedded_lab(1, serial="OT2SIMr1")
    robot = lab.robots["r1"]
    with connect(robot) as session:
        assert read_state(session, robot).serial == "OT2SIMr1"
        ensure_agent(session, robot)
        (lab.root("r1") / "var" / "serial").unlink()
        assert read_state(session, robot).serial == ""
        ensure_agent(session, robot)


def test_the_agent_is_not_brought_to_another_robot(embedded_robot: Robot):
    other = replace(embedded_robot, serial="SOMEBODY")
    with connect(embedded_robot) as session, pytest.raises(AnotherRobot, match="OT2SIMr1, not SOMEBODY"):
        ensure_agent(session, other)
