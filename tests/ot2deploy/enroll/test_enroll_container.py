"""Enrolling a container robot: the robot's own shell, SSH server and tools write and read the keys."""

import pytest
from person_script import Script

from builder.docker import engine as docker_engine
from ot2deploy import inventory
from ot2deploy.enroll import authorized
from ot2deploy.enroll.run import Request, run
from ot2deploy.errors import HostKeyChanged
from ot2deploy.sim import embedded, lab
from ot2deploy.transport.ssh import connect

pytestmark = [pytest.mark.docker, pytest.mark.network, pytest.mark.slow]


def test_a_container_robot_is_enrolled_given_a_second_key_reset_and_enrolled_again(project, shared_cache, tmp_path):
    sim = lab.up(project, lab.Request(count=1, kind="amd64", no_key=True)).robots[0].robot

    def enroll(**more):
        request = Request(project=project, path=project.inventory, **more)
        (done,) = run(request, Script(answers=False)).done
        return done

    done = enroll()
    assert (done.did, done.posted) == ("added", True)
    embedded.new_key_pair(tmp_path / "second")  # ed25519: over SSH robots take it
    (second,) = authorized.read_public(tmp_path / "second.pub")
    with connect(done.robot) as session:
        assert authorized.add(session, done.robot, (second,)) == (second,)
        assert authorized.add(session, done.robot, (second,)) == ()
        assert authorized.read(session, done.robot)[1:] == (second,)
    file = ["ls", "-l", "/var/home/.ssh/authorized_keys"]
    assert docker_engine.connect().execute(sim.container, file)[1].startswith("-rw------- ")
    lab.reset(project, "sim1")
    robot = inventory.load(project.inventory).robots["sim1"]
    with pytest.raises(HostKeyChanged, match="not the pinned one"):
        connect(robot)
    again = enroll(name="sim1")
    assert (again.did, again.posted) == ("updated", True)
    with connect(again.robot) as session:
        assert len(authorized.read(session, again.robot)) == 1
