"""The probe: what the shell prints is parsed (cases are files), the script runs in every shell, profiles are matched.

A case is tests/cases/probe/<robot>.txt (what the script printed there) and <robot>.json (what the state must say).
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from builder.checks import facts as facts_module
from ot2deploy.agent_host.arrival import ensure_agent
from ot2deploy.agent_host.client import open_agent
from ot2deploy.errors import AgentTooNew, CommandFailure, RobotUnsupported
from ot2deploy.inventory import Robot
from ot2deploy.robots import state as robot_state
from ot2deploy.robots.probe import facts, probe, profile_for, read_state
from ot2deploy.transport.ssh import connect

CASES = Path(__file__).parent.parent / "cases" / "probe"
OTTO = Robot(name="otto", address="otto")
OT2 = {
    "implementation": "cpython", "python": "3.10", "full_version": "3.10.8", "machine": "armv7l", "system": "Linux",
    "glibc": "2.25", "hard_float": True, "mac_version": "",
}  # fmt: skip
SHELLS = [["dash"], ["busybox", "sh"], ["bash", "--posix"], ["/bin/sh"]]


@pytest.mark.parametrize("case", sorted(path.stem for path in CASES.glob("*.txt")))
def test_what_robots_print_is_understood(case):
    state = robot_state.parse("otto", (CASES / f"{case}.txt").read_bytes())
    said = json.loads(json.dumps(state.as_dict()))
    expected = json.loads((CASES / f"{case}.json").read_text())
    assert {key: said[key] for key in expected} == expected


def test_an_answer_that_is_cut_short_is_not_believed():
    printed = (CASES / "ot2-pushed.txt").read_bytes()
    with pytest.raises(CommandFailure, match="incomplete"):
        robot_state.parse("otto", printed[: len(printed) // 2])
    with pytest.raises(CommandFailure):
        robot_state.parse("otto", b"sh: not found\n")


def test_a_message_of_the_day_does_no_harm():
    printed = b"Welcome!\n" + (CASES / "ot2-fresh.txt").read_bytes()
    assert robot_state.parse("otto", printed).software == "7.2.2"


def test_state_of_a_newer_ot2deploy_is_not_ours_to_judge():
    printed = (CASES / "ot2-pushed.txt").read_bytes().replace(b'{"schema": 1, "digest"', b'{"schema": 2, "digest"')
    with pytest.raises(AgentTooNew, match=r"verified\.json"):
        robot_state.parse("otto", printed)


def made(base: Path) -> None:
    digest, blob = "a" * 64, "b" * 64
    release = base / "envs" / "prefect" / "releases" / digest
    release.mkdir(parents=True)
    (release / "complete").touch()
    (release / "verified.json").write_text(json.dumps({"schema": 1, "digest": digest}))
    (release.parent / ("c" * 64)).mkdir()  # begun, not complete
    (base / "envs" / "prefect" / "current").symlink_to(f"releases/{digest}")
    (base / "envs" / "other" / "releases").mkdir(parents=True)
    (base / "wheels" / blob).mkdir(parents=True)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0].strip("/").replace("/", "-"))
def test_the_script_runs_in_the_shells_there_are(tmp_path, shell):
    if not shutil.which(shell[0]):
        pytest.skip(f"no {shell[0]} here")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "VERSION.json").write_bytes(b'{"opentrons_api_version": "7.2.2"}')
    (tmp_path / "usr" / "bin").mkdir(parents=True)
    (tmp_path / "usr" / "bin" / "python3").symlink_to("python3.10")
    (tmp_path / "usr" / "bin" / "python3.10").write_bytes(b"1234")

    def ask(environment=None):
        base = f"{tmp_path}/var/ot2deploy"
        asked = robot_state.command(root=str(tmp_path), base=base, environment=environment)
        done = subprocess.run([*shell, "-c", asked], capture_output=True, timeout=30, check=True)
        assert done.stderr == b""
        return robot_state.parse("otto", done.stdout)

    fresh = ask()
    assert (fresh.software, fresh.interpreter) == ("7.2.2", f"{tmp_path}/usr/bin/python3.10")
    assert fresh.disk_total > fresh.disk_free > 0
    assert not fresh.environments
    made(tmp_path / "var" / "ot2deploy")
    state = ask()
    assert state.fingerprint == fresh.fingerprint
    assert set(state.environments) == {"prefect", "other"}
    one = ask("prefect").environments
    assert list(one) == ["prefect"]
    assert (one["prefect"].current, one["prefect"].releases) == ("a" * 64, ("a" * 64,))
    assert one["prefect"].verified == {"schema": 1, "digest": "a" * 64}
    assert state.wheels == {"b" * 64}
    assert one["prefect"].python_gone
    assert one["prefect"].linked == "a" * 64
    if sys.platform == "linux":
        assert state.base_kind
        assert state.base_writable
    base = tmp_path / "var" / "ot2deploy"
    python = base / "envs" / "prefect" / "current" / "bin" / "python3"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    assert not ask("prefect").environments["prefect"].python_gone
    shutil.rmtree(base / "envs" / "prefect" / "releases" / ("a" * 64))
    broken = ask("prefect").environments["prefect"]
    assert (broken.current, broken.linked, broken.python_gone) == (None, "a" * 64, False)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a robot's shell cannot see who has a file open")
@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0].strip("/").replace("/", "-"))
def test_a_lock_is_held_while_the_process_that_it_names_has_it_open(tmp_path, shell):
    if not shutil.which(shell[0]):
        pytest.skip(f"no {shell[0]} here")
    base = tmp_path / "var" / "ot2deploy"
    base.mkdir(parents=True)

    def held(pid):
        (base / "lock").write_text(json.dumps({"schema": 1, "run": "r", "who": "eva@bench", "pid": pid}) + "\n")
        asked = robot_state.command(root=str(tmp_path), base=str(base), environment=None, brief=True)
        done = subprocess.run([*shell, "-c", asked], capture_output=True, timeout=30, check=True)
        assert done.stderr == b""
        state = robot_state.parse("otto", done.stdout)
        assert state.holder["who"] == "eva@bench"
        return state.held

    assert not held(os.getpid()), "a process that lives and has not the lock open is not its holder"
    assert not held("none")
    with (base / "lock").open("a"):
        assert held(os.getpid())
        assert not held(2**22 + 1)


def test_a_simulated_robot_whose_root_the_inventory_does_not_name_is_refused(embedded_robot):
    bare = replace(embedded_robot, root="")
    with connect(bare) as session:
        assert read_state(session, embedded_robot, brief=True).simulated == embedded_robot.root
        with pytest.raises(RobotUnsupported, match=f"needs root: {embedded_robot.root}"):
            probe(session, bare)
        with pytest.raises(RobotUnsupported, match="needs the `root:`"):
            ensure_agent(session, replace(bare, base="/var/no-such-place"))
    assert robot_state.parse("otto", (CASES / "ot2-fresh.txt").read_bytes()).simulated == ""


class Counting:
    """A session that counts its commands."""

    def __init__(self, session):
        self.session, self.robot, self.count = session, session.robot, 0

    def run(self, command, **options):
        self.count += 1
        return self.session.run(command, **options)


def test_a_robot_is_asked_twice_the_first_time_and_once_from_then_on(embedded_robot):
    with connect(embedded_robot) as session:
        counting = Counting(session)
        state, profile = probe(counting, embedded_robot, "demo")
        assert counting.count == 2
        assert state.facts is None
        assert profile.machine == facts_module.machine()
        with open_agent(session, embedded_robot, run="r", environment="demo", fingerprint=state.fingerprint):
            held = read_state(session, embedded_robot)
            assert held.holder["run"] == "r"
            assert held.held or sys.platform != "linux"
        state, again = probe(counting, embedded_robot, "demo")
    assert counting.count == 3
    assert again == profile
    assert state.facts["executable"] == state.interpreter
    assert state.holder is None


def test_facts_that_are_none_are_asked_for_again_or_said(embedded_lab):
    lab = embedded_lab()
    robot = lab.robots["r1"]
    with connect(robot) as session:
        state, profile = probe(session, robot)
        stored = {"schema": 1, "fingerprint": state.fingerprint, "facts": {"python": "3.11"}}
        lab.base().mkdir(parents=True, exist_ok=True)
        (lab.base() / "facts.json").write_text(json.dumps(stored))
        assert probe(session, robot)[1] == profile
        python = lab.root("r1") / "usr" / "bin" / "python3"
        python.unlink()
        python.write_text("#!/bin/sh\necho '[]'\n")
        python.chmod(0o755)
        with pytest.raises(CommandFailure, match="does not say what it is"):
            probe(session, robot)


def test_a_python_that_cannot_run_is_said_with_its_last_words(embedded_lab):
    lab = embedded_lab()
    robot = lab.robots["r1"]
    python = lab.root("r1") / "usr" / "bin" / "python3"
    python.unlink()
    python.write_text("#!/bin/sh\necho 'libpython3.10.so: no such file' >&2\nexit 127\n")
    python.chmod(0o755)
    with connect(robot) as session:
        with pytest.raises(CommandFailure) as caught:
            probe(session, robot)
        assert "libpython3.10.so" in caught.value.details[0]
        python.unlink()
        with pytest.raises(RobotUnsupported, match="no /usr/bin/python3"):
            facts(session, robot, read_state(session, robot))


def test_an_ot2_is_matched_and_other_robots_are_drafted_when_they_are_like_this_computer():
    assert profile_for(OTTO, OT2).name == "ot2-py310"
    here = facts_module.facts()
    assert profile_for(OTTO, here).python == here["python"]


def test_an_old_robot_is_told_to_update():
    with pytest.raises(RobotUnsupported, match=r"Python 3\.7\.1") as caught:
        profile_for(OTTO, {**OT2, "python": "3.7", "full_version": "3.7.1"})
    assert "7.2" in caught.value.next


def test_a_robot_that_no_profile_fits_shows_its_facts():
    other = "aarch64" if facts_module.machine() != "aarch64" else "x86_64"
    with pytest.raises(RobotUnsupported, match="no profile fits") as caught:
        profile_for(OTTO, {**OT2, "machine": other, "python": "3.9", "hard_float": None})
    assert f'machine = "{other}"' in caught.value.details
    with pytest.raises(RobotUnsupported, match="only CPython"):
        profile_for(OTTO, {**OT2, "implementation": "pypy"})


def test_the_inventory_may_name_the_profile_and_a_wrong_one_is_refused():
    assert profile_for(replace(OTTO, profile="ot2-py310"), {**OT2, "glibc": "2.31"}).name == "ot2-py310"
    with pytest.raises(RobotUnsupported, match="the inventory says ot2-py312"):
        profile_for(replace(OTTO, profile="ot2-py312"), OT2)
