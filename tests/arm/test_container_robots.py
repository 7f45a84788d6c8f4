"""Container robots are what they claim to be: a robot's shell, SSH server, pip and storage; down, nothing is left."""

import contextlib
import shutil
import subprocess
import time
from dataclasses import replace

import pytest
import requests

from builder.docker import engine as docker_engine
from ot2deploy.errors import AuthRefused, CommandFailure, ConnectionFailure, ConnectionLost
from ot2deploy.sim import api_server, container, lab
from ot2deploy.sim.failures import SimFailure
from ot2deploy.sim.lab import Request
from ot2deploy.transport.ssh import connect

KINDS = [
    pytest.param("arm_lab", "armv7l", marks=pytest.mark.arm),
    pytest.param("amd64_lab", None, marks=pytest.mark.docker),
]


@pytest.fixture
def running(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def machine(request):
    return request.param


both = pytest.mark.parametrize(("running", "machine"), KINDS, indirect=True)


@both
def test_machine_shell_and_pip(running, machine):
    script = "uname -m; readlink /bin/sh; python3 -m pip --version; cat /etc/pip.conf; cat /var/serial"
    said, shell, pip, section, root = running.run("sim1", script).splitlines()
    assert said == machine or machine is None
    assert shell == "busybox"
    assert pip.startswith("pip 22.3.1 from /usr/lib/python3.11/site-packages/pip")
    assert (section, root) == ("[install]", f"root = /var/user-packages{running.robots['sim1'].serial}")


@both
def test_the_root_is_read_only_and_var_is_not(running, machine):
    with connect(running.robots["sim1"]) as session:
        assert session.run("touch /x /usr/x /etc/x").status != 0
        assert session.run("touch /var/x /tmp/x && rm /var/x /tmp/x").status == 0
        tmp = session.run("df -k /tmp").text.splitlines()[-1].split()
    assert int(tmp[1]) == 450 * 1024


@both
def test_programs_are_the_robots_ones(running, machine):
    found = running.run("sim1", "for p in ash tar sha256sum flock timeout pgrep git bash stat; do which $p; done; true")
    names = {line.rpartition("/")[2] for line in found.splitlines()}
    assert names == {"ash", "tar", "sha256sum", "flock"}


@both
def test_dropbear_answers_and_there_is_no_sftp(running, machine, tmp_path):
    robot = running.robots["sim1"]
    assert container.await_banner(robot.port, "sim1") == "SSH-2.0-dropbear_2022.83"
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{robot.port} {robot.host_key}\n")
    options = ["-i", str(robot.identity_file), "-o", f"UserKnownHostsFile={known}", "-o", "IdentitiesOnly=yes"]
    (tmp_path / "file").write_text("text")

    def scp(*how):
        target = f"root@127.0.0.1:/tmp/{tmp_path.name}"
        argv = ["scp", *how, "-P", str(robot.port), *options, str(tmp_path / "file"), target]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60)

    refused = scp()
    assert refused.returncode != 0
    assert "sftp-server" in refused.stderr or "not found" in refused.stderr or "closed" in refused.stderr
    assert scp("-O").returncode == 0
    without_key = ["ssh", "-p", str(robot.port), "-o", f"UserKnownHostsFile={known}", "-o", "BatchMode=yes"]
    assert subprocess.run([*without_key, "-o", "IdentityFile=none", "root@127.0.0.1", "true"], timeout=60).returncode


@pytest.mark.arm
def test_the_cpu_is_an_armv7_one_in_sessions_too(arm_lab):
    script = "import ctypes; print(ctypes.CDLL(None).getauxval(26))"  # AT_HWCAP2: what ARMv8 adds
    assert arm_lab.run("sim2", f"python3 -c '{script}'") == "0\n"
    assert arm_lab.run("sim2", "uname -m") == "armv7l\n"


@both
def test_python_has_upstreams_layout_and_sees_user_packages(running, machine):
    user = "/var/user-packages/usr/lib/python3.11/site-packages"
    script = "import sys, sysconfig; print(sysconfig.get_path('purelib'), *sys.path)"
    purelib, *path = running.run("sim1", f'mkdir -p {user}; python3 -c "{script}"').split()
    assert purelib == "/usr/lib/python3.11/site-packages"
    assert path.index(purelib) < path.index(user)


@both
def test_a_reboot_brings_it_back_with_what_is_on_var(running, machine):
    reboot(running, "sim2", "reboot")
    assert running.run("sim2", "cat /var/home/mark") == "kept\n"


@pytest.mark.arm
def test_a_restart_asked_of_the_http_api_is_a_reboot(arm_lab):
    robot = arm_lab.robots["sim1"]
    url = f"http://127.0.0.1:{robot.http_port}"
    before = requests.get(f"{url}/server/update/health", timeout=10).json()
    assert before["serialNumber"] == robot.serial
    reboot(arm_lab, "sim1", "true", then=lambda: requests.post(f"{url}/server/restart", timeout=10))
    assert requests.get(f"{url}/server/update/health", timeout=10).json()["bootId"] != before["bootId"]


@pytest.mark.docker
def test_a_key_given_to_the_http_api_opens_the_robot(amd64_lab, tmp_path):
    robot = amd64_lab.robots["sim1"]
    url = f"http://127.0.0.1:{robot.http_port}/server/ssh_keys"
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", key], check=True, timeout=60)
    added = requests.post(url, json={"key": key.with_suffix(".pub").read_text()}, timeout=10).json()
    with connect(replace(robot, identity_file=key)) as session:
        assert session.run("true").status == 0
    requests.delete(f"{url}/{added['key_md5']}", timeout=10).raise_for_status()
    with pytest.raises(AuthRefused):
        connect(replace(robot, identity_file=key))


@pytest.mark.parametrize(
    "kind", [pytest.param("arm", marks=pytest.mark.arm), pytest.param("amd64", marks=pytest.mark.docker)]
)
def test_systemd_runs_as_pid_1(own_lab, opened, kind):
    lab.up(own_lab, Request(count=1, kind=kind, init="systemd"))
    running = opened(own_lab)
    assert running.run("sim1", "systemctl is-system-running --wait; systemctl --failed --no-legend") == "running\n"
    assert running.run("sim1", "systemctl --version").startswith("systemd 252 ")
    reboot(running, "sim1", "systemctl reboot")


@pytest.mark.docker
def test_down_leaves_nothing_of_ours(own_lab):
    docker = docker_engine.connect()
    project = lab.place(own_lab).project
    lab.up(own_lab, Request(count=2, kind="amd64"))
    kinds = sorted(left.split()[0] for left in docker.leftovers(project))
    assert kinds == ["container", "container", "network", "volume", "volume"]
    lab.down(own_lab)
    assert docker.leftovers(project) == ()
    assert [path.name for path in own_lab.root.iterdir()] == ["environments"]


@pytest.mark.docker
def test_a_project_deleted_while_its_robots_were_up_can_begin_anew(own_lab, opened):
    lab.up(own_lab, Request(count=1, kind="amd64"))
    api_server.stop(lab.place(own_lab).api)
    shutil.rmtree(own_lab.state_dir)
    (own_lab.root / "lab.yaml").unlink()
    lab.up(own_lab, Request(count=1, kind="amd64"))
    assert opened(own_lab).run("sim1", "echo here") == "here\n"


@pytest.mark.docker
def test_a_failed_start_leaves_nothing(own_lab, monkeypatch):
    monkeypatch.setattr(container, "HOST_KEY", "/nosuch")
    with pytest.raises(SimFailure, match="host key"):
        lab.up(own_lab, Request(count=1, kind="amd64"))
    assert docker_engine.connect().leftovers(lab.place(own_lab).project) == ()
    assert [path.name for path in own_lab.root.iterdir()] == ["environments"]


def reboot(running, name, command, then=lambda: None):
    """Reboots a robot and waits until it answers without what it had in /run before."""
    with connect(running.robots[name]) as session, contextlib.suppress(ConnectionLost):
        session.run(f"echo kept > /var/home/mark; touch /run/mark; {command}", timeout=30)
        then()
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        with contextlib.suppress(ConnectionFailure, CommandFailure):
            if running.run(name, "if [ -e /run/mark ]; then echo before; fi") == "":
                return
        time.sleep(0.1)
    raise AssertionError(f"{name} did not come back")
