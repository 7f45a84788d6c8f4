"""`ot2deploy robot logs`: the journal, the robot server's lines, and no secrets."""

from __future__ import annotations

import pytest

from ot2deploy.robots.logs import without_secrets

SERVER = "Jan  1 00:00:0{} ot2 user.info opentrons-robot-server[42]: {}\n"


@pytest.fixture
def logged(workplace):
    """A workplace whose robot has `plates`, and a log as BusyBox's syslogd writes it."""
    workplace.environment("plates", workplace.wheel("plates"))
    workplace.push("plates")
    log = workplace.lab.root("r1") / "var/log/messages"
    log.parent.mkdir(parents=True)
    lines = ["first", "second", "https://ada:s3cret@host.example/x", "\x1b[2Jlast"]
    log.write_text("".join(SERVER.format(*one) for one in enumerate(lines)) + "Jan  1 00:00:09 ot2 kernel: other\n")
    return workplace


def test_the_journal_and_the_robot_servers_lines_are_told(logged):
    told = logged.run("robot", "logs", "r1")
    assert [line["op"] for line in told["journal"]] == ["switch"]
    assert told["source"].endswith("/var/log/messages")
    assert len(told["lines"]) == 4
    assert "other" not in str(told["lines"])
    assert "s3cret" not in str(told)
    assert len(logged.run("robot", "logs", "r1", "-n", "2")["lines"]) == 2
    shown = logged.run_cli("robot", "logs", "r1", "--robots", logged.lab.path).good().out
    assert "switch" in shown
    assert "second" in shown
    assert "\x1b" not in shown


def test_a_robot_without_logs_says_so_and_is_left_as_it_is(run_cli, embedded_lab):
    lab = embedded_lab(1)
    shown = run_cli("robot", "logs", "r1", "--robots", lab.path).good().out
    assert "its journal has no line" in shown
    assert "no log here" in shown
    assert not lab.base().exists()


def test_a_journal_that_cannot_be_read_does_not_hide_the_rest(logged):
    (logged.lab.base() / "journal").write_text('{"schema": 99}\n')
    ran = logged.run_cli("robot", "logs", "r1", "--robots", logged.lab.path)
    assert ran.status == 1
    assert "newer ot2deploy" in ran.out
    assert "second" in ran.out


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("GET https://user:pa55@index.example/simple/", "GET https://***@index.example/simple/"),
        ("PREFECT_API_KEY=pnu_12345 started", "PREFECT_API_KEY=*** started"),
        ('{"password": "a b c", "ssid": "lab"}', '{"password": ***, "ssid": "lab"}'),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"),
        ("wifi psk='hunter2'", "wifi psk=***"),
        ("the token ring is up at 12:00", "the token ring is up at 12:00"),
        ("GET /runs/1 200 OK", "GET /runs/1 200 OK"),
    ],
)
def test_what_looks_like_a_secret_is_not_shown(line, shown):
    assert list(without_secrets([line])) == [shown]


def test_a_private_key_is_one_mark():
    key = ["a", "x: -----BEGIN OPENSSH PRIVATE KEY-----", "x: b3BlbnNz", "x: -----END OPENSSH PRIVATE KEY-----", "b"]
    assert list(without_secrets(key)) == ["a", "x: ***", "b"]
