"""The lab file is an inventory that loads, and is touched only as long as it is byte for byte ours."""

from dataclasses import replace

import pytest

from ot2deploy.inventory import load
from ot2deploy.sim import labfile
from ot2deploy.sim.failures import LabFileFailure
from ot2deploy.sim.state import SimRobot, SimState

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMH6wm4tCuu7I5KS8ssS7grnxRDi5rZgKxzFGLVvAQlE"
ROBOT = SimRobot(name="sim1", kind="arm", init="busybox", serial="OT2SIM01", port=2201, http_port=31951, host_key=KEY)


@pytest.fixture
def ours(tmp_path):
    path = tmp_path / "lab.yaml"
    sha256 = labfile.write(path, [ROBOT], tmp_path / "key")
    return path, SimState(robots=(ROBOT,), lab=str(path), lab_sha256=sha256)


def test_it_is_an_inventory_with_everything_pinned(tmp_path, ours):
    (robot,) = load(ours[0]).robots.values()
    assert (robot.address, robot.port, robot.http_port, robot.user) == ("127.0.0.1", 2201, 31951, "root")
    assert (robot.host_key, robot.serial, robot.identity_file) == (KEY, "OT2SIM01", tmp_path / "key")
    assert robot.root == ""


def test_an_embedded_robot_has_a_root(tmp_path):
    labfile.write(tmp_path / "lab.yaml", [replace(ROBOT, kind="embedded", root="/somewhere/root")], tmp_path / "key")
    assert load(tmp_path / "lab.yaml").robots["sim1"].root == "/somewhere/root"


def test_ours_may_be_written_again_and_removed(ours):
    path, state = ours
    labfile.check(path, state)
    assert labfile.remove(state) is False
    assert not path.exists()
    labfile.check(path, state)


def test_a_changed_one_is_left_alone(ours):
    path, state = ours
    path.write_text(path.read_text() + "# mine\n")
    with pytest.raises(LabFileFailure, match="was changed"):
        labfile.check(path, state)
    assert labfile.remove(state) is True
    assert path.read_text().endswith("# mine\n")


def test_a_file_of_somebody_else_is_refused(tmp_path):
    (tmp_path / "lab.yaml").write_text("robots: {}\n")
    with pytest.raises(LabFileFailure, match="not ours") as failure:
        labfile.check(tmp_path / "lab.yaml", SimState())
    assert "--lab FILE" in failure.value.next
