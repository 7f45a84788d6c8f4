"""Sessions: keys, pins, jump hosts, ~/.ssh/config, retries, and what is said when something is wrong."""

import contextlib
import hashlib
import os
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import Failure
from ot2deploy import inventory
from ot2deploy.errors import (
    AuthRefused,
    CommandFailure,
    ConnectionLost,
    HostKeyChanged,
    HostKeyUnknown,
    Unreachable,
)
from ot2deploy.sim import embedded
from ot2deploy.transport import ssh
from ot2deploy.transport.ssh import connect, show_host_key

OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP0YeEgGK4m/YP1KU8b9hWAt+XD92yCRB8Z3kuaTlJ1M"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(ssh, "BACK_OFF", (0.01, 0.02))


@pytest.fixture
def ssh_directory() -> Path:
    path = Path(os.environ["HOME"]) / ".ssh"
    path.mkdir()
    return path


def hello(robot) -> str:
    with connect(robot) as session:
        return session.run("echo hello").text.strip()


def test_bytes_arrive_as_they_are_and_quickly_enough(embedded_robot):
    data = os.urandom(5_000_000)
    with connect(embedded_robot) as session:
        assert session.run("sha256sum", input=data).text.split()[0] == hashlib.sha256(data).hexdigest()
        assert session.run("cat", input=data).stdout == data
        assert session.algorithms["Ciphers"].startswith("aes")


def test_a_command_that_does_not_read_its_input_is_no_failure(embedded_robot):
    with connect(embedded_robot) as session:
        assert session.run("exit 3", input=bytes(20_000_000)).status == 3


def test_a_command_that_takes_too_long(embedded_robot):
    with connect(embedded_robot) as session, pytest.raises(CommandFailure, match=r"did not end within 0\.2 s"):
        session.run("sleep 5", timeout=0.2)


def test_lines_and_time_outs(embedded_robot):
    with connect(embedded_robot) as session, session.open("echo one; printf 'two\nrest'; read x; exit 4") as stream:
        assert stream.readline(5) == b"one\n"
        assert stream.read(2, 5) == b"tw"
        assert stream.readline(5) == b"o\n"
        with pytest.raises(TimeoutError):
            stream.readline(0.05)
        stream.finish()
        assert stream.readline(5) == b"rest"
        assert stream.readline(5) == b""
        assert stream.wait(5) == 4
        with pytest.raises(BrokenPipeError):
            stream.write(bytes(10_000))


def test_an_unknown_host_key_stops_before_login_and_says_how_to_pin_it(embedded_robot):
    with pytest.raises(HostKeyUnknown) as caught:
        connect(replace(embedded_robot, host_key=None, identity_file=None))
    assert caught.value.line == embedded_robot.host_key
    assert "SHA256:" in caught.value.what
    assert caught.value.next == f"Run: ot2deploy robot trust r1 --robots {embedded_robot.file}"
    assert show_host_key(replace(embedded_robot, host_key=OTHER)) == embedded_robot.host_key


def test_trust_on_first_use_pins_the_key_in_the_inventory(embedded_lab):
    lab = embedded_lab()
    lab.write(r1={"host_key": None})
    connect(lab.robots["r1"], trust=True).close()
    assert lab.robots["r1"].host_key == lab.servers["r1"].host_key
    assert hello(lab.robots["r1"]) == "hello"


def test_trust_pins_nothing_when_the_login_fails(embedded_lab, tmp_path):
    lab = embedded_lab()
    embedded.new_key_pair(tmp_path / "other")
    lab.write(r1={"host_key": None, "identity_file": tmp_path / "other"})
    with pytest.raises(AuthRefused):
        connect(lab.robots["r1"], trust=True)
    assert lab.robots["r1"].host_key is None


@pytest.mark.parametrize("trust", [False, True])
def test_a_changed_host_key_stops_everything(embedded_robot, trust):
    with pytest.raises(HostKeyChanged) as caught:
        connect(replace(embedded_robot, host_key=OTHER), trust=trust)
    assert "--replace" in caught.value.next
    assert [line.split(":")[0] for line in caught.value.details] == ["pinned", "shown"]


def test_a_wrong_key_and_a_wrong_user_are_refused(embedded_robot, tmp_path):
    embedded.new_key_pair(tmp_path / "other")
    with pytest.raises(AuthRefused, match="device reset") as caught:
        connect(replace(embedded_robot, identity_file=tmp_path / "other"))
    assert "ot2deploy robot enroll r1" in caught.value.next
    with pytest.raises(AuthRefused, match="pi"):
        connect(replace(embedded_robot, user="pi", origins={"user": "robot:r1"}))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("key.ppk", "PuTTY-User-Key-File-3: ssh-ed25519\n", "puttygen"),
        ("key", "nonsense", "key: it is no private key"),
        ("missing", None, "there is no such file"),
    ],
)
def test_identity_files_that_are_no_keys(embedded_robot, tmp_path, name, content, says):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(AuthRefused) as caught:
        connect(replace(embedded_robot, identity_file=path))
    assert says in "\n".join(caught.value.lines())


def test_a_key_with_a_passphrase_asks_for_the_agent(embedded_robot, tmp_path):
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    locked = Ed25519PrivateKey.generate().private_bytes(
        form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.BestAvailableEncryption(b"secret")
    )
    (tmp_path / "locked").write_bytes(locked)
    with pytest.raises(AuthRefused) as caught:
        connect(replace(embedded_robot, identity_file=tmp_path / "locked"))
    assert caught.value.next == f"Run: ssh-add {tmp_path / 'locked'}"


def test_an_identity_file_that_is_a_directory(embedded_robot, tmp_path):
    with pytest.raises(AuthRefused, match="Is a directory") as caught:
        connect(replace(embedded_robot, identity_file=tmp_path))
    assert "private key" in caught.value.next


@pytest.mark.parametrize("trust", [False, True])
def test_a_pin_that_is_no_key_is_never_passed_over(embedded_robot, trust):
    cut = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAAwECAw=="
    with pytest.raises(HostKeyUnknown, match="no public key") as caught:
        connect(replace(embedded_robot, host_key=cut), trust=trust)
    assert "--replace" in caught.value.next


def test_without_any_key_that_is_said(embedded_robot):
    with pytest.raises(AuthRefused, match="no SSH key"):
        connect(replace(embedded_robot, identity_file=None))


def test_a_port_where_nobody_listens(embedded_robot):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port}: connection refused"):
        connect(replace(embedded_robot, port=port))


def test_something_that_is_no_ssh_server(embedded_robot, monkeypatch):
    monkeypatch.setattr(ssh, "CONNECT_TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Unreachable):
        connect(replace(embedded_robot, port=silent.getsockname()[1]))


def test_a_name_that_nobody_knows(embedded_robot):
    with pytest.raises(Unreachable, match="name is unknown"):
        connect(replace(embedded_robot, address="no-such-robot.invalid"))


def test_connections_that_break_during_login_are_tried_again(embedded_robot, cutting_proxy):
    with cutting_proxy(embedded_robot.port, after=100, times=2) as port:
        assert hello(replace(embedded_robot, port=port)) == "hello"
    events = []
    with cutting_proxy(embedded_robot.port, after=100, times=3) as port, pytest.raises(Unreachable):
        connect(replace(embedded_robot, port=port), report=events.append)
    assert [event.stage for event in events] == ["connect", "connect"]


def test_a_connection_that_breaks_later_is_lost_and_not_tried_again(embedded_robot, cutting_proxy):
    with cutting_proxy(embedded_robot.port, after=300_000) as port:
        session = connect(replace(embedded_robot, port=port))
        with pytest.raises(ConnectionLost):
            session.run("cat > /dev/null; echo done", input=bytes(3_000_000))
        session.close()


def test_a_broken_connection_is_made_anew_when_nothing_has_been_started_on_it(embedded_lab):
    lab = embedded_lab()
    session = connect(lab.robots["r1"])
    lab.stop("r1")
    lab.start("r1")
    assert session.run("echo hello").text == "hello\n"
    session.close()


def test_a_robot_that_is_switched_off_loses_its_running_commands(embedded_lab):
    lab = embedded_lab()
    with connect(lab.robots["r1"]) as session, session.open("echo up; sleep 30") as stream:
        assert stream.readline(10) == b"up\n"
        lab.stop("r1")
        with pytest.raises(ConnectionLost):
            stream.readline(10)


def test_via_a_robot_of_the_inventory(embedded_lab):
    lab = embedded_lab(2)
    lab.write(r2={"via": "r1"})
    robot = lab.robots["r2"]
    assert robot.jump == lab.robots["r1"]
    assert hello(robot) == "hello"
    with pytest.raises(HostKeyChanged, match="r2: via r1: its host key") as caught:
        connect(replace(robot, jump=replace(robot.jump, host_key=OTHER)))
    assert caught.value.details


def test_via_a_host_that_known_hosts_names(embedded_lab, ssh_directory):
    lab = embedded_lab(2)
    gate = lab.servers["r1"]
    (ssh_directory / "config").write_text(f"Host 127.0.0.1\n  IdentityFile {lab.identity}\n")
    lab.write(r2={"via": f"root@127.0.0.1:{gate.port}"})
    with pytest.raises(HostKeyUnknown, match=r"jump host 127\.0\.0\.1 is not in"):
        connect(lab.robots["r2"])
    (ssh_directory / "known_hosts").write_text(f"[127.0.0.1]:{gate.port} {gate.host_key}\n")
    assert hello(lab.robots["r2"]) == "hello"
    (ssh_directory / "known_hosts").write_text(f"[127.0.0.1]:{gate.port} {OTHER}\n")
    with pytest.raises(HostKeyChanged, match="jump host"):
        connect(lab.robots["r2"])


def test_an_alias_of_the_ssh_configuration(embedded_lab, ssh_directory):
    lab = embedded_lab(2)
    gate = lab.servers["r1"]
    (ssh_directory / "config").write_text(
        f"Host left\n  HostName 127.0.0.1\n  Port {lab.servers['r1'].port}\n  User root\n"
        f"  IdentityFile {lab.identity}\n  IdentitiesOnly yes\n"
        f"Host right\n  HostName 127.0.0.1\n  Port {lab.servers['r2'].port}\n  IdentityFile {lab.identity}\n"
        "  ProxyJump left\n"
    )
    (ssh_directory / "known_hosts").write_text(f"[127.0.0.1]:{gate.port} {gate.host_key}\n")
    lines = ["schema: 1", "robots:"]
    for name, server in (("left", "r1"), ("right", "r2")):
        lines.append(f"  {name}: {{host_key: {lab.servers[server].host_key}}}")
    lab.path.write_text("\n".join(lines))
    robots = inventory.load(lab.path).robots
    assert hello(robots["left"]) == "hello"
    assert hello(robots["right"]) == "hello"
    (ssh_directory / "known_hosts").unlink()
    with pytest.raises(HostKeyUnknown, match="jump host left"):
        connect(robots["right"])


def test_many_robots_at_once_from_many_threads(embedded_lab):
    lab = embedded_lab(4)
    said: dict[str, str | Failure] = {}

    def visit(robot) -> None:
        try:
            said[robot.name] = hello(robot)
        except Failure as failure:
            said[robot.name] = failure

    threads = [threading.Thread(target=visit, args=(robot,)) for robot in lab.robots.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == dict.fromkeys(lab.robots, "hello")


def test_connections_share_no_settings_that_fabric_writes_into(embedded_robot):
    # It empties them for a moment while it does: threads that looked then failed with an AttributeError.
    with connect(embedded_robot) as one, connect(embedded_robot) as other:
        assert one._connection.config is not other._connection.config


def test_nothing_is_printed_by_the_libraries(embedded_robot, cutting_proxy, capfd):
    with pytest.raises(HostKeyChanged):
        connect(replace(embedded_robot, host_key=OTHER))
    with cutting_proxy(embedded_robot.port, after=0, times=3) as port, pytest.raises(Unreachable):
        connect(replace(embedded_robot, port=port))
    assert capfd.readouterr() == ("", "")


def test_nor_when_something_else_answers_at_the_port(embedded_lab, run_program):
    lab = embedded_lab()

    def greet(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                server.accept()[0].sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=greet, args=(server,), daemon=True).start()
        lab.write(r1={"port": server.getsockname()[1]})
        ran = run_program("status", "--robots", lab.path)
        server.shutdown(socket.SHUT_RDWR)
    assert ran.status == 1
    assert "Traceback" not in ran.err
    assert "no SSH answer" in ran.out
