"""Embedded robots behave like a robot's dropbear: exec channels, keys only, no SFTP, commands that outlive a client."""

import socket
import subprocess
import threading
import time
from pathlib import Path

import paramiko
import pytest

from ot2deploy.sim import embedded, sshd
from ot2deploy.transport.ssh import connect


def until(condition, timeout=30.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_commands_have_streams_and_an_exit_status(embedded_robot):
    with connect(embedded_robot) as session:
        done = session.run("cat; echo wrong >&2; exit 7", input=b"right")
        assert (done.status, done.stdout, done.stderr) == (7, b"right", b"wrong\n")
        assert session.run("kill -9 $$").status == 137
        assert session.run("pwd").text.strip() == embedded_robot.system_path("/var/home")


def test_its_python_and_pip_are_its_own(embedded_robot):
    with connect(embedded_robot) as session:
        done = session.run("python3 -m pip --version; python3 -I -c 'import sys; print(sys.prefix)'")
    pip, prefix = done.text.splitlines()
    assert pip.startswith("pip ")
    assert embedded_robot.root in pip
    assert prefix == embedded_robot.system_path("/usr")


def test_several_commands_and_sessions_at_once(embedded_robot):
    with connect(embedded_robot) as one, connect(embedded_robot) as two:
        first, second, third = one.open("read x; echo one $x"), one.open("read x; echo two $x"), two.open("echo three")
        second.write(b"B\n")
        first.write(b"A\n")
        assert [stream.readline(10) for stream in (first, second, third)] == [b"one A\n", b"two B\n", b"three\n"]


def test_ssh_works_and_sftp_does_not(embedded_lab):
    lab = embedded_lab()
    robot = lab.robots["r1"]
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-i", str(lab.identity)]
    said = subprocess.run(
        ["ssh", "-n", *options, "-p", str(robot.port), "root@127.0.0.1", "echo hello"], capture_output=True, timeout=20
    )
    assert said.stdout == b"hello\n"
    copied = subprocess.run(
        ["sftp", "-b", "/dev/null", *options, "-P", str(robot.port), "root@127.0.0.1"], capture_output=True, timeout=20
    )
    assert copied.returncode != 0


def test_a_command_outlives_its_client_and_sees_the_end_of_its_input(embedded_lab):
    lab = embedded_lab()
    mark, pid_file = lab.root("r1") / "tmp" / "mark", lab.root("r1") / "tmp" / "pid"
    session = connect(lab.robots["r1"])
    session.open(f"echo $$ > {pid_file}; cat > /dev/null; echo eof > {mark}; exec sleep 60")
    until(pid_file.exists)
    session.close()
    until(mark.exists)
    assert embedded.running(int(pid_file.read_text()))


def test_pulling_the_plug_ends_everything_even_what_hid_itself(embedded_lab):
    lab = embedded_lab()
    files = [lab.root("r1") / "tmp" / name for name in ("plain", "hidden")]
    session = connect(lab.robots["r1"])
    session.open(f"echo $$ > {files[0]}; setsid sh -c 'echo $$ > {files[1]}; exec sleep 60' & sleep 60")
    until(lambda: all(path.exists() and path.read_text() for path in files))
    server = lab.servers["r1"].pid
    lab.stop("r1")
    assert not any(embedded.running(pid) for pid in (server, *(int(path.read_text()) for path in files)))
    session.close()


def test_it_comes_back_on_its_port_with_its_key(embedded_lab):
    lab = embedded_lab()
    before = lab.servers["r1"]
    lab.stop("r1")
    assert not embedded.running(before.pid)
    lab.start("r1")
    assert (lab.servers["r1"].port, lab.servers["r1"].host_key) == (before.port, before.host_key)
    with connect(lab.robots["r1"]) as session:
        assert session.run("echo again").text == "again\n"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="this system has no /proc")
def test_a_pid_that_has_become_somebody_elses_is_left_alone():
    with subprocess.Popen(["sleep", "60"]) as other:
        assert not embedded.serving(other.pid)
        embedded.stop(other.pid)
        time.sleep(0.1)
        assert other.poll() is None
        other.kill()


def test_making_one_again_keeps_what_is_there(embedded_lab):
    lab = embedded_lab()
    key = (lab.directory / "r1" / "host_key").read_bytes()
    (lab.root("r1") / "etc" / "VERSION.json").write_text("{}")
    embedded.create(lab.directory / "r1", "r1")
    assert (lab.directory / "r1" / "host_key").read_bytes() == key
    assert (lab.root("r1") / "etc" / "VERSION.json").read_text() == "{}"


def test_a_port_that_is_taken_is_said_and_none_is_left_running(embedded_lab):
    lab = embedded_lab()
    embedded.create(lab.directory / "r2", "r2")
    key = embedded.public_line(lab.identity)
    seats = [
        embedded.Seat(name="r2", directory=lab.directory / "r2", authorized_key=key, port=port)
        for port in (0, lab.servers["r1"].port)
    ]
    with pytest.raises(embedded.EmbeddedFailure) as caught:
        embedded.serve(seats)
    assert "in use" in "".join(caught.value.details)


def test_a_path_that_no_command_line_may_hold_is_refused(tmp_path):
    with pytest.raises(embedded.EmbeddedFailure):
        embedded.create(tmp_path / "my lab", "r1")


def test_a_command_that_is_over_at_once_is_answered_first(tmp_path):
    class Slow(sshd.Transport):
        def _send_user_message(self, data):
            if data.asbytes().startswith(paramiko.common.cMSG_CHANNEL_SUCCESS):
                time.sleep(0.2)
            super()._send_user_message(data)

    def at_once(channel, command):
        channel.send_exit_status(7)
        channel.close()

    here, there = socket.socketpair()
    key = paramiko.ECDSAKey.generate()
    server, client = Slow(there), paramiko.Transport(here)
    server.add_server_key(key)
    admitted = embedded.authorized_keys(tmp_path)
    admitted.parent.mkdir(parents=True)
    admitted.write_text(f"{key.get_name()} {key.get_base64()}\n")
    server.start_server(server=sshd.Gate({"directory": str(tmp_path)}, at_once), event=threading.Event())
    try:
        client.connect(username="root", pkey=key)
        channel = client.open_session(timeout=10)
        channel.exec_command("true")
        assert channel.recv_exit_status() == 7
    finally:
        client.close()
        server.close()
