"""`ot2deploy remove`, `robot purge` and `robot unlock`, as a person types them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import ot2deploy
from ot2deploy.runs.last_known import last_known


@pytest.fixture
def ready(workplace):
    """A workplace whose robot has `plates` and `racks`."""
    for name in ("plates", "racks"):
        workplace.environment(name, workplace.wheel(name), checks=f"- import: {name}")
        workplace.push(name)
    return workplace


def tree(directory):
    """Everything below a directory: its kind and mode, a file's bytes, a link's target."""
    return {
        str(path.relative_to(directory)): (
            path.lstat().st_mode,
            path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None,
        )
        for path in sorted(directory.rglob("*"))
    }


def test_an_environment_is_removed_and_can_be_pushed_again(ready):
    (row,) = ready.run("remove", "plates")["robots"]
    assert (row["ok"], len(row["result"]["releases"])) == (True, 1)
    (state,) = ready.run("status")["robots"]
    assert list(state["result"]["environments"]) == ["racks"]
    known = last_known(ready.directory / ".ot2deploy").robots
    assert [one.environment for one in known] == ["racks"]
    assert ready.run("history", "-n", "1")["lines"][0]["op"] == "remove"
    (row,) = ready.run("remove", "plates")["robots"]
    assert (row["ok"], row["result"]["changed"], row["result"]["there"]) == (True, False, ["racks"])
    assert "no change" in ready.run_cli("remove", "plates", "--robots", ready.lab.path).good().out
    assert ready.push("plates")["outcome"] == "pushed"
    assert "removed" in ready.run_cli("remove", "plates", "--robots", ready.lab.path).good().out


def test_a_purge_brings_a_robot_back_to_what_it_was_before_the_first_push(workplace):
    root = workplace.lab.root("r1")
    before = tree(root)
    for version in ("1.0", "2.0"):
        workplace.environment("plates", workplace.wheel("plates", version), checks="- import: plates")
        workplace.push("plates")
    workplace.run("exec", "-e", "plates", "--", "python3", "-c", "import plates")
    workplace.run("rollback", "plates")
    assert tree(root) != before
    (row,) = workplace.run("robot", "purge", "r1", "--yes")["robots"]
    assert row["result"] == {"changed": True, "environments": ["plates"], "left": [], "programs": []}
    assert tree(root) == before
    assert last_known(workplace.directory / ".ot2deploy").robots == ()
    assert workplace.run("robot", "purge", "r1", "--yes")["robots"][0]["result"]["changed"] is False
    assert tree(root) == before


def test_a_purge_that_nobody_can_confirm_does_nothing(ready):
    for words in ((), ("--json",)):
        ran = ready.run_cli("robot", "purge", "r1", "--robots", ready.lab.path, *words)
        assert ran.status == 2
        assert "--yes" in ran.err + ran.out
    assert len(ready.run("status")["robots"][0]["result"]["environments"]) == 2


def at_a_terminal(ready, answer, *words):
    """Types a command at a terminal, and the answer to its question; its exit status and what it asked."""
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-m", "ot2deploy", *words, "--robots", ready.lab.path],
        stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ready.directory,
        env={**os.environ, "PYTHONPATH": str(Path(ot2deploy.__path__[0]).parent)},
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, answer)
    _, errors = program.communicate(timeout=60)
    os.close(ours)
    return program.returncode, errors.decode()


@pytest.mark.parametrize(("answer", "status", "left"), [(b"n\n", 130, True), (b"y\n", 0, False)])
def test_a_purge_asks_at_a_terminal(ready, answer, status, left):
    ended, asked = at_a_terminal(ready, answer, "robot", "purge", "r1")
    assert "r1 has 2 environments (plates, racks)" in asked
    assert (ended, ready.lab.base().exists()) == (status, left)


@pytest.mark.parametrize(("answer", "status", "left"), [(b"n\n", 130, True), (b"y\n", 0, False)])
def test_a_removal_asks_at_a_terminal(ready, answer, status, left):
    ended, asked = at_a_terminal(ready, answer, "remove", "plates")
    assert "Remove plates from r1?" in asked
    assert (ended, ready.lab.current("plates") is not None) == (status, left)


def test_a_removal_is_seen_first_and_changes_nothing_then(ready):
    shown = ready.run_cli("remove", "plates", "--dry-run", "--robots", ready.lab.path).good().out
    assert "would be removed" in shown
    (row,) = ready.run("remove", "plates", "--dry-run")["robots"]
    assert (row["result"]["current"], row["result"]["blobs"]) == (ready.lab.current("plates"), 1)
    assert len(list((ready.directory / ".ot2deploy/runs").glob("*.jsonl"))) == 2


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="this system has no /proc")
@pytest.mark.parametrize("words", [("remove", "plates"), ("robot", "purge", "r1", "--yes")])
def test_running_programs_keep_their_files_unless_it_is_forced(ready, words):
    waits = "print('on', flush=True); input()"
    program = ready.start("exec", "-e", "plates", "--limit", "r1", "--", "python3", "-c", waits)
    assert "on" in program.stdout.readline()
    error = ready.run(*words, status=1)["robots"][0]["error"]
    assert (error["code"], "runs from plates" in error["details"][0]) == ("in-use", True)
    assert f"{' '.join(words[:2])}" in error["next"]
    assert ready.lab.current("plates")
    (row,) = ready.run(*words, "--force")["robots"]
    assert [one["name"] for one in row["result"]["programs"]] == ["python3"]
    assert ready.lab.current("plates") is None
    program.communicate("\n", timeout=60)


@pytest.mark.parametrize("command", ["purge", "unlock"])
def test_these_are_about_one_robot(run_cli, embedded_lab, command):
    lab = embedded_lab(2)
    ran = run_cli("robot", command, "r*", "--robots", lab.path, *(["--yes"] if command == "purge" else []))
    assert ran.status == 2
    assert "r1, r2" in ran.err


def test_a_lock_is_shown_and_freed(workplace):
    workplace.environment("plates", workplace.wheel("plates"), program="import time; time.sleep(600)")
    push = workplace.start_push("plates", until="r1: verify")
    lock = json.loads((workplace.lab.base() / "lock").read_text())
    error = workplace.run("robot", "unlock", "r1", status=1)["robots"][0]["error"]
    assert error["what"] == f"held by {lock['who']} since {lock['since']}"
    assert f"ot2deploy robot unlock r1 --robots {workplace.lab.path} --force" in error["next"]
    assert push.poll() is None
    (row,) = workplace.run("robot", "unlock", "r1", "--force")["robots"]
    assert (row["result"]["state"], row["result"]["holder"]["run"]) == ("ended", lock["run"])
    assert push.wait(60) == 1
    again = workplace.run_cli("robot", "unlock", "r1", "--robots", workplace.lab.path).good()
    assert "nobody holds its lock" in again.out


def test_what_a_dead_run_left_in_the_lock_is_said_and_cleared(ready):
    lock = ready.lab.base() / "lock"
    lock.write_text(json.dumps({"schema": 1, "run": "dead", "who": "x@y", "pid": 1, "since": "2025", "boot_id": None}))
    shown = ready.run_cli("robot", "unlock", "r1", "--robots", ready.lab.path).good().out
    assert "held by x@y since 2025 (run dead)" in shown
    assert lock.read_bytes() == b""


def test_a_robot_that_was_never_pushed_to_is_left_as_it_is(run_cli, embedded_lab):
    lab = embedded_lab(1)
    run_cli("robot", "unlock", "r1", "--robots", lab.path).good()
    assert "nothing of ours" in run_cli("robot", "purge", "r1", "--yes", "--robots", lab.path).good().out
    assert not lab.base().exists()
