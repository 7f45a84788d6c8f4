"""The agent over a real connection: brought, greeted, locked, fed with files, and cut off in every way."""

import hashlib
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from builder.files import sha256_file
from builder.store import Blob
from ot2deploy.agent_host import archive, client
from ot2deploy.agent_host.arrival import MISSING, agent_command, ensure_agent
from ot2deploy.agent_host.client import frame, open_agent
from ot2deploy.errors import (
    AgentFailure,
    AgentTooNew,
    ConnectionLost,
    DiskFull,
    Locked,
    NoPrevious,
    RobotFailure,
    TransferFailure,
)
from ot2deploy.transport.ssh import connect

FINGERPRINT = "f" * 64


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(client, "HEARTBEAT", 0.1)


def opened(session, robot, run="run-1", **options):
    return open_agent(session, robot, run=run, environment="demo", fingerprint=FINGERPRINT, **options)


def wheels(directory, *sizes) -> list[Blob]:
    blobs = []
    for number, size in enumerate(sizes):
        path = directory / f"demo{number}-1.0-py3-none-any.whl"
        path.write_bytes(random.Random(number).randbytes(size))
        blobs.append(Blob(filename=path.name, sha256=sha256_file(path), size=size, path=path))
    return blobs


def stored(lab, blob):
    return lab.root("r1") / "var" / "ot2deploy" / "wheels" / blob.sha256 / blob.filename


def test_the_agent_is_brought_once_and_says_who_holds_the_lock(embedded_robot):
    sha256 = archive.build()[1]
    with connect(embedded_robot) as session:
        with opened(session, embedded_robot) as agent:
            with connect(embedded_robot) as second, pytest.raises(Locked) as caught:
                opened(second, embedded_robot, run="run-2").__enter__()
            assert agent.request("journal", limit=5) == {"type": "result", "lines": []}
        assert caught.value.holder["run"] == "run-1"
        assert caught.value.holder["who"] == client.who()
        assert "since" in caught.value.what
        with opened(session, embedded_robot):  # the lock is free again
            pass
        listed = session.run(f"ls -A {embedded_robot.base_path}/agent").text.split()
        assert listed == [f"{sha256}.pyz"]
        assert ensure_agent(session, embedded_robot) == sha256


def test_a_damaged_agent_is_brought_again(embedded_lab):
    lab = embedded_lab()
    robot, (data, sha256) = lab.robots["r1"], archive.build()
    path = lab.root("r1") / "var" / "ot2deploy" / "agent" / f"{sha256}.pyz"
    with connect(robot) as session:
        ensure_agent(session, robot)
        path.write_bytes(data + b" ")
        with opened(session, robot):
            assert path.read_bytes() == data


def test_a_message_of_the_day_before_hello_is_passed_over(embedded_robot):
    with connect(embedded_robot) as session:
        ensure_agent(session, embedded_robot)
        stream = session.open(f"echo 'Welcome to the robot'; echo; {agent_command(embedded_robot, 'session')}")
        agent = client.AgentSession(stream, "r1")
        agent.hello(archive.build()[1])
        agent.close()


def test_files_are_sent_once_and_arrive_whole(embedded_lab, tmp_path):
    lab, events = embedded_lab(), []
    robot, blobs = lab.robots["r1"], wheels(tmp_path, 0, 1, 300_000, 3_000_000, *[2000] * 20)
    with connect(robot) as session, opened(session, robot) as agent:
        sent = agent.send("wheels", [*blobs, blobs[3]], events.append)
        assert (sent.sent, sent.reused, sent.bytes) == (24, 0, sum(blob.size for blob in blobs))
        again = agent.send("wheels", blobs)
        assert (again.sent, again.reused, again.bytes) == (0, 24, 0)
        assert agent.send("packs", []).sent == 0
    assert all(sha256_file(stored(lab, blob)) == blob.sha256 for blob in blobs)
    assert (events[-1].done, events[-1].total, events[-1].unit) == (sent.bytes, sent.bytes, "B")


def test_a_cut_transfer_is_resumed_where_it_broke(embedded_lab, tmp_path, cutting_proxy):
    lab = embedded_lab()
    robot, blobs = lab.robots["r1"], wheels(tmp_path, 50_000, 8_000_000)

    def arrived() -> bool:
        return any(part.stat().st_size > 1_000_000 for part in lab.base().glob("wheels/*.part"))

    with cutting_proxy(robot.port, after=4_000_000, arrived=arrived) as port:
        with (
            connect(replace(robot, port=port)) as session,
            pytest.raises(ConnectionLost),
            opened(session, robot) as agent,
        ):
            agent.send("wheels", blobs)
        with connect(replace(robot, port=port)) as session, opened(session, robot, wait=True) as agent:
            sent = agent.send("wheels", blobs)
    assert (sent.sent, sent.reused) == (1, 1)
    assert 0 < sent.bytes < 8_000_000
    assert sha256_file(stored(lab, blobs[1])) == blobs[1].sha256


def test_a_file_that_is_not_what_it_should_be_is_tried_again_and_given_up(embedded_lab, tmp_path):
    lab = embedded_lab()
    good, bad = wheels(tmp_path, 1000, 2000)
    bad = replace(bad, sha256=hashlib.sha256(b"other").hexdigest())
    with connect(lab.robots["r1"]) as session, opened(session, lab.robots["r1"]) as agent:
        with pytest.raises(TransferFailure):
            agent.send("wheels", [bad])
        assert agent.send("wheels", [good]).sent == 1
    assert not stored(lab, bad).exists()


def test_a_damaged_first_part_is_sent_again_from_the_beginning(embedded_lab, tmp_path):
    lab = embedded_lab()
    [blob] = wheels(tmp_path, 100_000)
    part = stored(lab, blob).parent.with_suffix(".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(60_000))
    with connect(lab.robots["r1"]) as session, opened(session, lab.robots["r1"]) as agent:
        sent = agent.send("wheels", [blob])
    assert sent.bytes == 40_000 + 100_000
    assert sha256_file(stored(lab, blob)) == blob.sha256


def test_heartbeats_flow_while_nothing_else_does(embedded_robot):
    with connect(embedded_robot) as session:
        stream = session.open("exec cat")
        agent = client.AgentSession(stream, "r1")
        assert [stream.readline(10) for _ in range(3)] == [b"H 0\n"] * 3
        agent.close()


def test_a_run_waits_for_the_agent_that_its_own_broken_connection_left_behind(embedded_robot):
    with connect(embedded_robot) as first, connect(embedded_robot) as second:
        left = opened(first, embedded_robot)
        left.__enter__()
        told = []

        def end_it(event):
            told.append(event.message)
            first.close()

        with opened(second, embedded_robot, report=end_it):
            assert told[0].startswith("held by ")


def test_a_host_that_is_gone_frees_the_lock(embedded_robot):
    with connect(embedded_robot) as session:
        lost = connect(embedded_robot)
        holding = opened(lost, embedded_robot)
        holding.__enter__()
        lost.close()  # as when the host was killed: the agent sees the end of its input
        with opened(session, embedded_robot, wait=True) as agent:
            assert agent.request("journal", limit=1)["lines"] == []


@pytest.mark.slow
def test_a_host_that_falls_silent_loses_the_lock(embedded_robot, monkeypatch):
    monkeypatch.setattr(client, "HEARTBEAT", 1000.0)
    with connect(embedded_robot) as silent, connect(embedded_robot) as session:
        holding = opened(silent, embedded_robot)
        agent = holding.__enter__()
        monkeypatch.setattr(client, "HEARTBEAT", 0.1)
        with opened(session, embedded_robot, wait=True):  # after the agent's 30 s of patience
            pass
        with pytest.raises(AgentFailure):
            agent.request("journal", limit=1)


def test_errors_of_the_agent_become_ours(embedded_lab):
    lab = embedded_lab()
    robot = lab.robots["r1"]
    with connect(robot) as session, opened(session, robot) as agent:
        with pytest.raises(NoPrevious) as caught:
            agent.request("rollback", environment="demo", to=None)
        assert caught.value.subject == "r1"
        with pytest.raises(AgentFailure, match="no request 'dance'") as caught:
            agent.request("dance")
        assert "agent error: unknown-op" in caught.value.details
    facts = lab.root("r1") / "var" / "ot2deploy" / "facts.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "schema": 99}))
    with connect(robot) as session, pytest.raises(AgentTooNew), opened(session, robot):
        pass


def test_an_agent_that_dies_is_said_with_its_last_words(embedded_robot):
    with connect(embedded_robot) as session:
        agent = client.AgentSession(session.open("echo broken pip >&2; read x; exit 5"), "r1")
        with pytest.raises(AgentFailure, match="ended with status 5") as caught:
            agent.request("begin")
        assert "broken pip" in "".join(caught.value.details)
        agent.close()


def test_a_base_that_cannot_be_written_is_no_full_disk(embedded_lab):
    lab = embedded_lab()
    (lab.root("r1") / "var" / "ot2deploy").write_text("in the way")
    with connect(lab.robots["r1"]) as session, pytest.raises(AgentFailure, match="could not be written") as caught:
        ensure_agent(session, lab.robots["r1"])
    assert "mkdir" in "\n".join(caught.value.details)
    assert "df /var/ot2deploy" in caught.value.next


def test_a_full_disk_is_said_before_anything_is_begun(embedded_lab, monkeypatch):
    lab = embedded_lab()
    robot = lab.robots["r1"]
    # The far side of our script with a `cat` that fails as it does on a full disk.
    tool = lab.root("r1") / "usr" / "bin" / "cat"
    tool.write_text("#!/bin/sh\necho 'cat: write error: No space left on device' >&2\nexit 1\n")
    tool.chmod(0o755)
    with connect(robot) as session, pytest.raises(DiskFull) as caught:
        ensure_agent(session, robot)
    assert "No space left" in "".join(caught.value.details)
    assert list((lab.root("r1") / "var" / "ot2deploy" / "agent").iterdir()) == []


def test_the_exec_mode_answers_over_the_same_command(embedded_robot):
    with connect(embedded_robot) as session:
        assert session.run(agent_command(embedded_robot, "exec")).status == MISSING
        ensure_agent(session, embedded_robot)
        asked = {"base": embedded_robot.base, "root": embedded_robot.root, "environment": "none", "argv": ["x"]}
        done = session.run(agent_command(embedded_robot, "exec"), input=frame("J", json.dumps(asked).encode()))
    assert done.status not in (0, MISSING)
    assert "none" in done.error


def test_every_code_of_the_table_stands_for_a_robot_failure():
    from ot2deploy.agent_host.answers import BY_CODE, failure_of

    for code, kind in BY_CODE.items():
        failure = failure_of("otto", {"code": code, "what": "so", "why": "because", "next": "do", "details": ["line"]})
        assert type(failure) is kind
        assert isinstance(failure, RobotFailure)
        assert failure.lines()[0] == "otto: so"


def test_commands_that_the_agent_advises_are_about_the_robot_and_nothing_else_is_touched():
    from ot2deploy.agent_host.answers import addressed
    from ot2deploy.inventory import Robot

    otto = Robot(name="otto", address="192.168.1.10", file=Path("/labs/lab.yaml"))
    advice = "Make room on the robot (ot2deploy robot clean NAME; logs under /var) and push again."
    assert "(ot2deploy robot clean otto --robots /labs/lab.yaml; logs" in addressed(advice, otto)
    ours = "Run: ot2deploy rollback a-b --limit otto --to 123   or push it again."
    assert addressed(ours, otto) == ours
