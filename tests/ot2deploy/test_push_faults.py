"""Nothing is lost: pushes that are killed, cut off or run out of room, and what the next one does."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time

import pytest

from ot2deploy import link
from ot2deploy.rollout import earlier_run
from ot2deploy.runs.record import who

CHECK = "- import: plates"
SLOW = "import time; time.sleep(600)"


@pytest.fixture
def ready(workplace):
    """A workplace whose robot has a first release of `plates` current; `first` is its digest."""
    workplace.environment("plates", workplace.wheel("plates"), checks=CHECK)
    workplace.first = workplace.push("plates")["plan"]["digest"]
    return workplace


def large(workplace, size=12_000_000, **more):
    """A wheel that takes a while to send."""
    data = random.Random(1).randbytes(size)
    return workplace.wheel("plates", "2.0", files={"plates_data.bin": data}, **more)


def works(workplace, digest):
    """Whether a release is current and its program runs."""
    ran = workplace.run_cli(
        "exec", "--robots", workplace.lab.path, "-e", "plates", "--", "python3", "-c", "import plates"
    )
    return (workplace.lab.current("plates"), ran.status) == (digest, 0)


def kill(program):
    """Ends a push as a power cut at the laptop would."""
    program.kill()
    program.communicate(timeout=30)


def end(program, limit=120):
    """Both streams of a push that should end by itself; one that does not tells where its threads stand."""
    try:
        return program.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        program.send_signal(signal.SIGABRT)
        out, err = program.communicate(timeout=30)
        pytest.fail(f"it did not end\n{out}\n{err}")


def wait_for(condition):
    """Waits until something on a robot is so."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def part_arrived(workplace):
    return any(part.stat().st_size > 1_000_000 for part in workplace.lab.base().glob("wheels/*.part"))


def wait_for_lock(workplace):
    """Waits until the robot has noticed that its host is gone: at once, but a busy machine may take a moment."""
    wait_for(lambda: not (workplace.lab.base() / "lock").read_bytes())


def test_killed_while_sending_goes_on_where_it_stopped(ready, cutting_proxy):
    wheel = large(ready)
    ready.environment("plates", wheel, checks=CHECK)
    with cutting_proxy(ready.lab.robots["r1"].port, after=5_000_000, silent=True) as port:
        ready.lab.write(r1={"port": port})
        program = ready.start_push("plates", until="r1: send")
        wait_for(lambda: part_arrived(ready))
        kill(program)
    ready.lab.write()
    assert works(ready, ready.first)
    wait_for_lock(ready)
    row = ready.push("plates")
    assert (row["outcome"], row["sent"]) == ("pushed", 1)
    assert 0 < row["bytes_sent"] < wheel.stat().st_size
    assert works(ready, row["plan"]["digest"])


def test_killed_while_installing_or_verifying_leaves_what_was_current(ready):
    ready.environment("plates", ready.wheel("plates", "2.0"), program=SLOW)
    for stage in ("r1: install", "r1: verify"):
        kill(ready.start_push("plates", until=stage))
        assert works(ready, ready.first)
        wait_for_lock(ready)
    ready.environment("plates", ready.wheel("plates", "2.0"), checks=CHECK)
    row = ready.push("plates")
    assert (row["outcome"], row["sent"]) == ("switched", 0), "what was installed is not installed again"
    assert works(ready, row["plan"]["digest"])


def test_a_second_push_is_told_who_holds_the_robot_and_a_dead_one_frees_it(ready, monkeypatch):
    monkeypatch.setattr(earlier_run, "PATIENCE", 0.5)
    ready.environment("plates", ready.wheel("plates", "2.0"), program=SLOW)
    program = ready.start_push("plates", until="r1: verify")
    lock = json.loads((ready.lab.base() / "lock").read_text())
    error = ready.push("plates", status=1)["error"]
    assert error["code"] == "locked"
    assert error["what"] == f"held by {lock['who']} since {lock['since']}"
    assert lock["run"] in error["why"]
    assert f"robot unlock r1 --robots {ready.lab.path} --force" in error["next"]
    assert ready.run("status")["robots"][0]["ok"], "looking needs no lock"
    kill(program)
    ready.environment("plates", ready.wheel("plates", "2.0"), checks=CHECK)
    wait_for_lock(ready)
    assert ready.push("plates")["outcome"] == "switched"


def test_a_push_that_somebody_ends_by_force_says_who(ready):
    ready.environment("plates", ready.wheel("plates", "2.0"), program=SLOW)
    program = ready.start_push("plates", until="r1: verify")
    ready.run("robot", "unlock", "r1", "--force")
    out, _ = end(program)
    assert program.returncode == 1
    assert f"r1: ended by {who()} with `robot unlock --force`" in out
    assert works(ready, ready.first)


def test_a_stale_lock_is_taken_over(ready):
    lock = ready.lab.base() / "lock"
    lock.write_text(json.dumps({"schema": 1, "run": "dead", "who": "x@y", "pid": 1, "since": "2025", "boot_id": None}))
    ready.environment("plates", ready.wheel("plates", "2.0"), checks=CHECK)
    assert ready.push("plates")["outcome"] == "pushed"
    assert lock.read_bytes() == b""


def heard(program, words):
    """Reads what a push says until it says `words`."""
    said = ""
    for line in program.stderr:
        said += line
        if words in line:
            return
    pytest.fail(f"it never said {words!r}\n{said}")


def events(workplace):
    (record,) = (workplace.directory / ".ot2deploy" / "runs").glob("*.jsonl")
    return [json.loads(line)["event"] for line in record.read_text().splitlines()]


def test_a_second_interrupt_ends_a_push_to_several_robots_at_once(workplace_of):
    workplace = workplace_of(2)
    workplace.environment("plates", workplace.wheel("plates"), program=SLOW)
    program = workplace.start_push("plates", until="r2: verify")
    program.send_signal(signal.SIGINT)
    heard(program, "Ctrl-C again stops at once")
    program.send_signal(signal.SIGINT)
    _, err = end(program)
    assert program.returncode == 130
    assert "interrupted" in err
    assert "Each robot has the release that was current before" in err
    assert "interrupted" in events(workplace)
    assert "Traceback" not in err
    assert workplace.lab.current("plates", "r1") is None


def test_an_interrupt_before_a_robot_is_begun_says_that_none_was_changed(workplace, monkeypatch):
    def interrupted(_request):
        raise KeyboardInterrupt

    monkeypatch.setattr("ot2deploy.rollout.target.open_bundles", interrupted)
    workplace.environment("plates", workplace.wheel("plates"))
    assert "nothing was changed on any robot" in workplace.run("push", "plates", status=130)["what"]
    assert workplace.run("history", "--runs")["runs"] == []


def test_the_first_interrupt_lets_each_robots_step_end_and_reports(workplace_of, tmp_path):
    workplace = workplace_of(3)
    go = tmp_path / "go"
    waits = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.05)"
    workplace.environment("plates", workplace.wheel("plates"), program=waits)
    program = workplace.start_push("plates", "--jobs", "2", until="r2: verify")
    program.send_signal(signal.SIGINT)
    heard(program, "Ctrl-C again stops at once")
    go.touch()
    out, err = end(program)
    assert program.returncode == 130
    assert "Traceback" not in out + err
    assert re.search(r"^r2 .* staged .*interrupted$", out, re.MULTILINE)
    assert re.search(r"^r3 .*not tried .*interrupted$", out, re.MULTILINE)
    assert "3 robots: 0 as wanted" in out
    assert re.search(r"staged.*; interrupted after", out)
    assert events(workplace).count("stopped") == 1
    assert workplace.lab.current("plates", "r2") is None
    outcomes = [row["outcome"] for row in workplace.run("push", "plates")["robots"]]
    assert outcomes[1:] == ["switched", "pushed"], "what was staged is not installed again"


def test_a_connection_that_breaks_while_sending_is_made_again_and_goes_on(ready, cutting_proxy, monkeypatch):
    monkeypatch.setattr(link, "PAUSE", 0.0)
    wheel = large(ready)
    ready.environment("plates", wheel, checks=CHECK)
    with cutting_proxy(ready.lab.robots["r1"].port, after=5_000_000, arrived=lambda: part_arrived(ready)) as port:
        ready.lab.write(r1={"port": port})
        row = ready.push("plates")
    assert row["outcome"] == "pushed"
    ready.lab.write()
    assert row["bytes_sent"] < wheel.stat().st_size, "the second part of it"
    assert works(ready, row["plan"]["digest"])


def test_a_robot_that_restarts_during_a_push_keeps_what_was_current(ready):
    ready.environment("plates", ready.wheel("plates", "2.0"), program=SLOW)
    program = ready.start_push("plates", until="r1: verify")
    ready.lab.stop("r1")
    out, err = end(program)
    assert program.returncode == 1
    assert "Traceback" not in out + err
    assert "no SSH answer" in out
    ready.lab.start("r1")
    assert works(ready, ready.first)
    ready.environment("plates", ready.wheel("plates", "2.0"), checks=CHECK)
    assert ready.push("plates")["outcome"] == "switched"


def test_a_rollback_after_a_system_update_says_that_the_release_was_verified_before_it(ready):
    version = ready.lab.root("r1") / "etc/VERSION.json"
    version.write_text(version.read_text().replace("7.3.1", "7.4.0"))
    ready.environment("plates", ready.wheel("plates", "2.0"), checks=CHECK)
    ready.push("plates")
    told = ready.run_cli("rollback", "plates", "--robots", ready.lab.path).good().out
    assert f"run: ot2deploy verify plates --limit r1 --robots {ready.lab.path}" in " ".join(told.split())
    ready.run("verify", "plates")
    ready.run("rollback", "plates", "--to", ready.push("plates")["plan"]["digest"])
    assert ready.run("rollback", "plates")["robots"][0]["result"]["verified_here"]


def test_rollback_needs_neither_store_nor_index(ready, monkeypatch, tmp_path):
    ready.environment("plates", ready.wheel("plates", "2.0"), checks=CHECK)
    second = ready.push("plates")["plan"]["digest"]
    monkeypatch.setenv("OT2DEPLOY_CACHE", str(tmp_path / "nothing"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    (row,) = ready.run("rollback", "plates")["robots"]
    assert (row["result"]["current"], row["result"]["previous"]) == (ready.first, second)
    assert works(ready, ready.first)
    (row,) = ready.run("rollback", "plates", status=1)["robots"]
    command = f"ot2deploy rollback plates --limit r1 --robots {ready.lab.path} --to {second[:12]}"
    assert row["error"]["next"] == f"Name the one you want: {command}"
    (row,) = ready.run("rollback", "plates", "--to", second[:8])["robots"]
    assert row["result"]["current"] == second
    journal = [json.loads(line) for line in (ready.lab.base() / "journal").read_text().splitlines()]
    assert [(line["op"], line["digest"]) for line in journal] == [
        ("switch", ready.first), ("switch", second), ("rollback", ready.first), ("rollback", second),
    ]  # fmt: skip
    error = ready.run("rollback", "plates", "--to", "ffff", status=1)["robots"][0]["error"]
    assert "no releases of plates begin with ffff" in error["what"]
    assert ready.first[:12] in error["why"]


def test_a_first_release_has_nothing_to_go_back_to(ready):
    error = ready.run("rollback", "plates", status=1)["robots"][0]["error"]
    assert error["code"] == "no-previous"
    assert ready.lab.current("plates") == ready.first
    for name in ("plates", "racks"):
        shown = ready.run_cli("rollback", name, "--robots", ready.lab.path)
        assert (shown.status, shown.err) == (1, "")
        assert "rolled back" not in shown.out
    assert "r1: environment racks is not installed" in shown.out


def test_too_little_room_is_found_before_anything_is_sent(workplace):
    base = workplace.lab.base()
    base.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(base)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True, timeout=30).returncode != 0:
        pytest.skip("needs the right to mount a small file system")
    try:
        workplace.environment("plates", large(workplace, 4_000_000), checks=CHECK)
        row = workplace.push("plates", status=1)
        assert row["error"]["code"] == "disk-full"
        assert "8 MB are free" in row["error"]["what"]
        assert (row["plan"]["send"], row["sent"]) == (1, 0)
        assert list(base.iterdir()) == [], "not even the agent was brought"
        assert workplace.push("plates", "--dry-run", status=1)["error"]["code"] == "disk-full"
    finally:
        subprocess.run(["umount", "-l", str(base)], check=True, timeout=30)
