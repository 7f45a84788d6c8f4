"""A lab of embedded robots: up, status, busy, idle, restart, down; nothing is left."""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest
import requests

from ot2deploy.errors import AuthRefused, HostKeyChanged
from ot2deploy.inventory import Robot, load
from ot2deploy.project import Project
from ot2deploy.sim import activity, api_server, embedded, lab
from ot2deploy.sim.failures import LabFileFailure, NotSimulated
from ot2deploy.sim.lab import Request
from ot2deploy.transport.ssh import connect

EMBEDDED = Request(count=2, kind="embedded")


@pytest.fixture
def project(tmp_path):
    (tmp_path / "environments").mkdir()
    project = Project.find(tmp_path)
    yield project
    lab.down(project)


def health(robot, path="/health"):
    url = f"http://127.0.0.1:{robot.http_port}{path}"
    return requests.get(url, headers={"Opentrons-Version": "*"}, timeout=10).json()


def everything(directory: Path):
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*"))


def test_up_and_down_leave_nothing(project):
    before = everything(project.root)
    result = lab.up(project, EMBEDDED)
    robots = [shown.robot for shown in result.robots]
    assert result.started == ("sim1", "sim2")
    assert [shown.state for shown in result.robots] == ["running", "running"]
    for robot in load(project.root / "lab.yaml").robots.values():
        with connect(robot) as session:
            assert session.run("echo here").text == "here\n"
    assert [health(robot)["robot_serial"] for robot in robots] == [robot.serial for robot in robots]
    assert json.loads(json.dumps(result.as_dict()))["lab"].endswith("lab.yaml")
    server = api_server.alive(lab.place(project).api)
    assert server
    lab.down(project)
    assert everything(project.root) == before
    assert not any(embedded.running(robot.pid) for robot in robots)
    assert not embedded.running(server)
    assert lab.down(project).did.startswith("no change")


def test_modules_of_the_users_directory_are_none_of_the_robots(project, tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('not the json you wanted')\n")
    monkeypatch.chdir(tmp_path)
    (robot,) = (shown.robot for shown in lab.up(project, replace(EMBEDDED, count=1)).robots)

    lab.reset(project, robot.name)

    assert health(robot)["name"]


def test_what_is_up_stays_and_more_may_come(project):
    one = lab.up(project, Request(count=1, kind="embedded")).robots[0].robot
    assert Path(one.root, "var", "serial").read_text() == f"{one.serial}\n"  # as its HTTP API and lab.yaml have it
    again = lab.up(project, Request(count=1))
    assert again.started == ()
    assert again.robots[0].robot == one
    two = lab.up(project, Request(count=2))
    assert two.started == ("sim2",)
    assert two.robots[0].robot == one
    assert [shown.robot.kind for shown in two.robots] == ["embedded", "embedded"]
    assert health(one)["name"] == "sim1"


def test_busy_and_idle_reach_the_api(project):
    robot = lab.up(project, Request(count=1, kind="embedded")).robots[0].robot
    assert activity.busy(project, "sim1").robots[0].busy
    assert [run["status"] for run in health(robot, "/runs")["data"]] == ["running"]
    assert not activity.idle(project, "sim1").robots[0].busy
    assert [run["status"] for run in health(robot, "/runs")["data"]] == ["succeeded"]
    assert activity.busy(project, "sim1", maintenance=True).robots[0].busy
    assert health(robot, "/maintenance_runs/current_run")["data"]["current"]
    with pytest.raises(NotSimulated):
        activity.busy(project, "nosuch")


def test_a_restart_keeps_var_port_and_keys(project):
    lab.up(project, Request(count=1, kind="embedded"))
    robot = load(project.root / "lab.yaml").robots["sim1"]
    with connect(robot) as session:
        session.run("echo kept > mark")
    lab.restart(project, "sim1")
    with connect(robot) as session:
        assert session.run("cat mark").text == "kept\n"


def test_a_robot_that_was_switched_off_answers_nobody_until_it_is_restarted(project):
    (robot, other) = (shown.robot for shown in lab.up(project, EMBEDDED).robots)
    lab.stop(project, robot.name)
    assert [shown.state for shown in lab.status(project).robots] == ["stopped", "running"]
    with pytest.raises(requests.ConnectionError):
        health(robot)
    assert health(other)["name"] == other.name
    lab.restart(project, robot.name)
    assert health(robot)["name"] == robot.name
    assert [shown.state for shown in lab.status(project).robots] == ["running", "running"]


def test_a_robot_that_died_is_started_again_where_it_was(project):
    robot = lab.up(project, Request(count=1, kind="embedded")).robots[0].robot
    embedded.stop(robot.pid)
    api_server.stop(lab.place(project).api)
    assert lab.status(project).robots[0].state == "stopped"
    result = lab.up(project, Request(count=1))
    assert (result.did, result.started) == ("1 robot started again", ())
    again = result.robots[0]
    assert again.state == "running"
    assert (again.robot.port, again.robot.http_port, again.robot.host_key) == (
        robot.port, robot.http_port, robot.host_key
    )  # fmt: skip
    assert health(robot)["name"] == "sim1"


def test_who_deletes_the_project_keeps_no_api_process(tmp_path):
    server = tmp_path / "api"
    api_server.serve(server, {"sim1": {"serial": "S", "container": "", "root": "", "version": "1", "port": 0}})
    pid = api_server.alive(server)
    shutil.rmtree(server)
    deadline = time.monotonic() + 20
    while embedded.running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_lab_file_of_the_users_is_not_touched_and_nothing_starts(project):
    path = project.root / "lab.yaml"
    path.write_text("mine\n")
    with pytest.raises(LabFileFailure):
        lab.up(project, EMBEDDED)
    assert path.read_text() == "mine\n"
    assert not project.state_dir.exists()
    other = lab.up(project, Request(count=1, kind="embedded", lab=project.root / "other.yaml"))
    assert other.lab == project.root / "other.yaml"
    lab.down(project)
    assert everything(project.root) == ["environments", "lab.yaml"]


def test_an_edited_lab_file_is_left_by_down_which_says_so(project):
    lab.up(project, Request(count=1, kind="embedded"))
    path = project.root / "lab.yaml"
    path.write_text(path.read_text() + "# mine\n")
    assert "is left" in lab.down(project).notes[0]
    assert path.exists()


def keys_of(robot):
    return requests.get(f"http://127.0.0.1:{robot.http_port}/server/ssh_keys", timeout=10)


def test_a_robot_without_a_key_lets_nobody_in_until_its_api_was_given_one(project, tmp_path):
    robot = lab.up(project, Request(count=1, kind="embedded", no_key=True)).robots[0].robot
    assert lab.status(project).lab is None
    assert not (project.root / "lab.yaml").exists()
    identity = tmp_path / "own"
    ecdsa = paramiko.ECDSAKey.generate()
    ecdsa.write_private_key_file(str(identity))
    seen = Robot(
        name="x", address="127.0.0.1", port=robot.port, host_key=robot.host_key, identity_file=identity, root=robot.root
    )
    with pytest.raises(AuthRefused):
        connect(seen)
    url = f"http://127.0.0.1:{robot.http_port}/server/ssh_keys"
    assert requests.post(url, json={"key": f"ecdsa-sha2-nistp256 {ecdsa.get_base64()}"}, timeout=10).status_code == 201
    with connect(seen) as session:
        assert session.run("echo in").text == "in\n"
    lab.restart(project, "sim1")
    with connect(seen) as session:
        assert session.run("echo in").text == "in\n"


def test_only_a_robot_that_is_to_be_enrolled_is_on_a_cable(project):
    robot = lab.up(project, Request(count=1, kind="embedded")).robots[0].robot
    assert keys_of(robot).status_code == 403
    lab.up(project, Request(count=2, kind="embedded", no_key=True))
    other = lab.status(project).robots[1].robot
    assert (keys_of(other).status_code, keys_of(other).json()) == (200, {"public_keys": []})
    assert list(load(project.root / "lab.yaml").robots) == ["sim1"]


def test_a_reset_takes_keys_and_releases_and_changes_the_host_key(project):
    before = lab.up(project, Request(count=1, kind="embedded")).robots[0].robot
    (Path(before.root) / "var" / "ot2deploy" / "envs").mkdir(parents=True)
    robot = load(project.root / "lab.yaml").robots["sim1"]
    assert lab.reset(project, "sim1").did == "sim1 was reset"
    with pytest.raises(HostKeyChanged):
        connect(robot)
    with pytest.raises(AuthRefused):
        connect(replace(robot, host_key=lab.status(project).robots[0].robot.host_key))
    assert not (Path(before.root) / "var" / "ot2deploy").exists()
    assert keys_of(before).json() == {"public_keys": []}
    with pytest.raises(NotSimulated):
        lab.reset(project, "nosuch")


def test_the_command_line_tells_the_same(run_cli, tmp_path):
    (tmp_path / "environments").mkdir()
    try:
        up = run_cli("sim", "up", "--count", "1", "--kind", "embedded", "--json").good()
        assert up.document["result"]["started"] == ["sim1"]
        status = run_cli("sim", "status").good()
        assert "sim1" in status.out
        assert "embedded" in status.out
        assert run_cli("sim", "busy", "nosuch").status == 2
        assert "sim1 was reset" in run_cli("sim", "reset", "sim1").good().out
        assert "robot enroll" in run_cli("sim", "up", "--count", "2", "--no-key").good().out
        assert run_cli("sim", "plan", "--kind", "embedded", "--json").document["result"]["profile"] == "host"
    finally:
        run_cli("sim", "down").good()
