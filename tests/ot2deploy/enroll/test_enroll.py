"""Enrolling with simulated robots: new ones, the same again, reset ones, and what stops it."""

import contextlib
import socket
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from person_script import Script

from builder.errors import UsageFailure
from ot2deploy import inventory
from ot2deploy.enroll import discover
from ot2deploy.enroll.choice import Choice
from ot2deploy.enroll.person import ThatWasAll
from ot2deploy.enroll.robot import Desk, enroll
from ot2deploy.enroll.run import Request, run
from ot2deploy.errors import CableNeeded, HostKeyChanged, NoSuchRobot, NotFound
from ot2deploy.robots.probe import read_state
from ot2deploy.sim import embedded, lab
from ot2deploy.transport.ssh import connect

pytestmark = pytest.mark.usefixtures("nothing_near")


def enrolling(project, person, **more):
    return run(Request(project=project, path=project.inventory, **more), person)


def nobody():
    return Script(answers=False)


def entries(project):
    return inventory.load(project.inventory).robots


def test_a_robot_out_of_the_box_is_found_let_in_and_written_down(project, robots):
    (sim,) = robots()
    result = enrolling(project, nobody())
    assert result.exit_code == 0
    (done,) = result.done
    assert (done.did, done.posted, done.seen.by) == ("added", True, "simulated")
    robot = entries(project)["sim1"]
    assert (robot.serial, robot.port, robot.http_port, robot.host_key, robot.root) == (
        sim.serial, sim.port, sim.http_port, sim.host_key, sim.root
    )  # fmt: skip
    assert stat.S_IMODE(robot.identity_file.stat().st_mode) == 0o600
    assert "identity_file: ~/.ssh/ot2deploy_ecdsa" in project.inventory.read_text()
    with connect(robot) as session:
        assert read_state(session, robot).serial == sim.serial


def test_doing_it_again_changes_nothing(project, robots):
    (sim,) = robots()
    enrolling(project, nobody())
    before = project.inventory.read_text(), embedded.authorized_keys(Path(sim.directory)).read_text()
    result = enrolling(project, nobody())
    assert [(done.did, done.posted) for done in result.done] == [("no change", False)]
    assert (project.inventory.read_text(), embedded.authorized_keys(Path(sim.directory)).read_text()) == before


def test_one_robot_after_the_other_with_names_of_ones_own(project, robots):
    robots(1)
    person = Script(given=["otto", lambda: bool(robots(2)), "luigi", False])
    result = enrolling(project, person)
    assert [done.robot.name for done in result.done] == ["otto", "luigi"]
    assert list(entries(project)) == ["otto", "luigi"]
    assert result.done[0].notes == ("it calls itself sim1",)
    assert person.given == []


def test_a_name_that_another_robot_has_gets_a_number_and_this_is_said(project, robots):
    project.inventory.write_text("schema: 1\n# mine\nrobots:\n  sim1: {address: 192.168.1.9, serial: OTHER}\n")
    robots()
    person = Script(given=["sim1"])
    result = enrolling(project, person, once=True)
    assert [done.robot.name for done in result.done] == ["sim1-2"]
    assert "name, usually sim1-2" in person.told
    assert "sim1 is another robot's name: this one is called sim1-2" in person.text
    assert "# mine" in project.inventory.read_text()
    assert entries(project)["sim1"].serial == "OTHER"


def test_a_robot_that_is_left_out_is_not_touched(project, robots):
    (sim,) = robots()

    class Unwilling(Script):
        def name(self, usual):
            return ""

    result = enrolling(project, Unwilling(), once=True)
    assert (result.done, result.failed, result.exit_code) == ([], {}, 0)
    assert embedded.authorized_keys(Path(sim.directory)).read_text() == ""
    assert not project.inventory.exists()


def test_who_has_enough_at_the_name_leaves_that_robot_out_and_is_asked_no_more(project, robots):
    (sim,) = robots()

    class Enough(Script):
        def name(self, usual):
            raise ThatWasAll

    result = enrolling(project, Enough())
    assert (result.done, result.failed, result.exit_code) == ([], {}, 0)
    assert embedded.authorized_keys(Path(sim.directory)).read_text() == ""


def test_an_entry_without_a_serial_number_is_the_robots_own_by_address_or_host_key(project, robots):
    (sim,) = robots()
    project.inventory.write_text(
        "schema: 1\nrobots:\n  otto:  # the left one\n    address: 127.0.0.1\n"
        f"    port: {sim.port}\n    groups: [lab-a]\n"
    )
    assert [done.did for done in enrolling(project, nobody()).done] == ["updated"]
    assert (entries(project)["otto"].serial, entries(project)["otto"].groups) == (sim.serial, ("lab-a",))
    assert "# the left one" in project.inventory.read_text()
    project.inventory.write_text(
        f"schema: 1\nrobots:\n  otto:\n    address: 192.168.1.9\n    host_key: {sim.host_key}\n"
    )
    assert [done.did for done in enrolling(project, nobody()).done] == ["updated"]
    assert list(entries(project)) == ["otto"]
    assert entries(project)["otto"].address == "127.0.0.1"


def test_what_a_default_of_the_file_says_otherwise_is_written_to_the_robot(project, robots):
    (sim,) = robots()
    project.inventory.write_text("schema: 1\ndefaults:\n  user: pi\n  http_port: 1234\nrobots: {}\n")
    enrolling(project, nobody())
    robot = entries(project)["sim1"]
    assert (robot.user, robot.http_port) == ("root", sim.http_port)
    connect(robot).close()


def test_ctrl_c_leaves_what_was_enrolled_so_far(project, robots):
    robots(2)
    result = enrolling(project, Script(given=["otto", KeyboardInterrupt]))
    assert [done.robot.name for done in result.done] == ["otto"]
    assert (result.interrupted, result.exit_code) == (True, 130)
    assert list(entries(project)) == ["otto"]


def test_one_that_fails_does_not_stop_the_others_and_may_be_tried_again(project, robots):
    first, second = robots(2)
    embedded.stop(first.pid)  # its HTTP API goes on
    person = Script(given=["luigi", lambda: bool(lab.restart(project, "sim1")), "otto", False])
    result = enrolling(project, person)
    assert [done.robot.name for done in result.done] == ["luigi", "otto"]
    assert (result.failed, result.exit_code) == ({}, 0)
    assert "no SSH answer" in person.text
    embedded.stop(second.pid)
    result = enrolling(project, nobody())
    assert [done.robot.name for done in result.done] == ["otto"]
    assert (list(result.failed), result.exit_code) == ([second.serial], 3)


def test_a_reset_robot_is_enrolled_again_by_its_name(project, robots):
    robots()
    enrolling(project, nobody())
    lab.reset(project, "sim1")
    person = Script(given=[True])
    result = enrolling(project, person, name="sim1")
    assert [(done.did, done.posted) for done in result.done] == [("updated", True)]
    assert "HTTP without a login" in person.text
    assert "Was this robot reset?" in person.text
    connect(entries(project)["sim1"]).close()
    lab.reset(project, "sim1")
    assert [done.posted for done in enrolling(project, nobody(), name="sim1").done] == [True]  # on the cable


def test_whoever_does_not_agree_to_the_new_host_key_keeps_the_old_one(project, robots):
    (sim,) = robots()
    enrolling(project, nobody())
    before = project.inventory.read_text()
    lab.reset(project, "sim1")
    result = enrolling(project, Script(given=[False, False]), name="sim1")
    assert [type(failure) for failure in result.failed.values()] == [HostKeyChanged]
    assert result.exit_code == 1
    assert project.inventory.read_text() == before
    assert embedded.authorized_keys(Path(sim.directory)).read_text() == ""


def test_a_changed_host_key_in_the_network_is_never_pinned_without_a_person(project, robots):
    (sim,) = robots(no_key=False)
    project.inventory.write_text((project.root / "lab.yaml").read_text().replace(sim.host_key, f"ssh-ed25519 {OTHER}"))
    before = project.inventory.read_text()
    result = enrolling(project, nobody(), name="sim1")
    (failure,) = result.failed.values()
    assert isinstance(failure, HostKeyChanged)
    assert "by USB" in failure.next
    assert project.inventory.read_text() == before
    person = Script(given=[True])
    assert [done.did for done in enrolling(project, person, name="sim1").done] == ["updated"]
    assert "surely this one" in person.text


OTHER = "AAAAC3NzaC1lZDI1NTE5AAAAICHu1mx/GLe37dHOfE9Xxqyyk489GbCyIBCPvrjAHMpd"


def test_a_robot_in_the_network_that_lacks_our_key_wants_a_cable(project, robots):
    (sim,) = robots(no_key=False)
    result = enrolling(project, nobody(), addresses=f"127.0.0.1:{sim.http_port}", port=sim.port)
    (failure,) = result.failed.values()
    assert isinstance(failure, CableNeeded)
    said = "\n".join(failure.lines())
    for word in ("USB", "403", "link-local", "--key FILE.pub"):
        assert word in said
    assert not project.inventory.exists()


def test_a_robot_in_the_network_that_has_our_key_needs_none(project, robots):
    (sim,) = robots(no_key=False)
    key = lab.place(project).key
    result = enrolling(project, nobody(), addresses=f"127.0.0.1:{sim.http_port}", port=sim.port, identity_file=key)
    assert [(done.did, done.posted, done.seen.by) for done in result.done] == [("added", False, "network")]


def test_an_ed25519_key_that_is_named_and_not_known_there_is_explained(project, robots, tmp_path):
    robots()
    embedded.new_key_pair(tmp_path / "id_ed25519")
    result = enrolling(project, nobody(), identity_file=tmp_path / "id_ed25519")
    (failure,) = result.failed.values()
    said = "\n".join(failure.lines())
    assert "takes only RSA and ECDSA" in said
    assert "robot enroll --key" in said


def test_nobody_there_is_told_with_what_to_do(project):
    with pytest.raises(NotFound) as caught:
        enrolling(project, nobody())
    assert "by USB" in caught.value.next
    with pytest.raises(NotFound, match="no robot answers at 127"):
        enrolling(project, nobody(), addresses="127.0.0.1:9")
    with pytest.raises(UsageFailure, match="--address"):
        enrolling(project, nobody(), addresses="a b/c")


def test_a_name_that_is_nobodys_and_a_robot_that_is_another_one(project, robots):
    (sim,) = robots()
    with pytest.raises(NoSuchRobot):
        enrolling(project, nobody(), name="otto")
    project.inventory.write_text(
        f"schema: 1\nrobots:\n  otto: {{address: 127.0.0.1, port: {sim.port}, http_port: {sim.http_port}, serial: X}}\n"
    )
    with pytest.raises(NotFound, match="no robot with serial X") as caught:
        enrolling(project, nobody(), name="otto")
    assert sim.serial in "\n".join(caught.value.details)
    project.inventory.write_text("schema: 1\nrobots:\n  otto: {address: 127.0.0.1, via: gate}\n")
    with pytest.raises(UsageFailure, match="through gate"):
        enrolling(project, nobody(), name="otto")


def test_a_robot_whose_ssh_server_is_another_robots_is_refused(project, robots):
    first, second = robots(2)
    (seen,) = (seen for seen in discover.look(project).robots if seen.about.serial == first.serial)
    desk = Desk(path=project.inventory, keys=Choice(nobody()), person=nobody())
    enroll(desk, next(one for one in discover.look(project).robots if one.about.serial == second.serial))
    with pytest.raises(Exception, match=f"has serial {second.serial}, not {first.serial}"):
        enroll(desk, replace(seen, port=second.port))
    assert list(entries(project)) == ["sim2"]


@contextlib.contextmanager
def forwarded(address, port):
    """The port of 127.0.0.1 at another address of this computer, too."""
    listener = socket.create_server((address, port))

    def pump(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", port))
                threading.Thread(target=pump, args=(client, server), daemon=True).start()
                threading.Thread(target=pump, args=(server, client), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def says_its_address(sim, address):
    """Gives a simulated robot an `ip` of its own."""
    program = Path(sim.root) / "usr" / "bin" / "ip"
    program.write_text(f"#!/bin/sh\necho '4: wlan0: <UP> mtu 1500'\necho '    inet {address}/24 scope global wlan0'\n")
    program.chmod(0o755)


def on_the_cable(project):
    (seen,) = discover.look(project).robots
    return replace(seen, by="cable")


def test_of_a_robot_on_a_cable_the_address_of_its_wifi_is_kept_when_a_login_there_succeeds(project, robots):
    (sim,) = robots()
    says_its_address(sim, "127.0.0.2")
    desk = Desk(path=project.inventory, keys=Choice(nobody()), person=nobody())
    with forwarded("127.0.0.2", sim.port), forwarded("127.0.0.2", sim.http_port):
        done = enroll(desk, on_the_cable(project))
        assert (done.robot.address, done.notes) == ("127.0.0.2", ())
        connect(done.robot).close()


def test_a_robot_that_is_in_no_network_keeps_the_cables_address_and_this_is_said(project, robots):
    (sim,) = robots()
    says_its_address(sim, "127.0.0.3")
    desk = Desk(path=project.inventory, keys=Choice(nobody()), person=nobody())
    done = enroll(desk, on_the_cable(project))
    assert done.robot.address == "127.0.0.1"
    assert "by its cable only" in done.notes[0]
    with forwarded("127.0.0.3", sim.http_port):  # its HTTP API answers there, and its SSH server does not
        again = enroll(desk, on_the_cable(project))
    assert again.robot.address == "127.0.0.1"
    assert "at 127.0.0.3: no SSH answer" in again.notes[0]
