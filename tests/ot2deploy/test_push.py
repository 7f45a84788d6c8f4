"""The main job on embedded robots: what a push does, what it does not do again, and what it leaves alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from builder.files import sha256_file
from ot2deploy.robots import state as robot_state

CHECK = "- import: plates"


def pushed(workplace, text="VALUE = 1\n", **more):
    """Pushes an environment `plates` of one wheel and gives its row."""
    program = more.pop("program", "")
    checks = "" if program else more.pop("checks", CHECK)
    workplace.environment("plates", workplace.wheel("plates", text=text), checks=checks, program=program)
    return workplace.push("plates", **more)


def tree(root: Path) -> dict[str, str]:
    """Mode and content of everything of a robot but our own directory and what its programs may write."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name.startswith("var/ot2deploy"):
            continue
        content = str(path.readlink()) if path.is_symlink() else ""
        if path.is_file() and not path.is_symlink():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        found[name] = f"{path.lstat().st_mode:o} {content}"
    return found


def test_a_push_installs_verifies_switches_and_touches_nothing_else(workplace):
    root = workplace.lab.root("r1")
    user = root / "var" / "user-packages" / "usr" / "lib" / "mine.py"
    user.parent.mkdir(parents=True)
    user.write_text("import plates\n")
    before = tree(root)
    assert "etc/pip.conf" in before
    workplace.environment("plates", workplace.wheel("plates"), workplace.wheel("racks"), checks=CHECK)
    row = workplace.push("plates")
    assert (row["outcome"], row["method"], row["sent"], row["reused"]) == ("pushed", "pip", 2, 0)
    assert {"probe", "bundle", "send", "install", "compile", "verify", "switch"} <= set(row["seconds"])
    (check,) = row["checks"]
    release = workplace.lab.base() / "envs" / "plates" / "releases" / row["plan"]["digest"]
    assert (check["name"], check["version"], check["ok"]) == ("import plates", "1.0", True)
    assert Path(check["file"]).is_relative_to(release)
    assert check["seconds"] > 0
    assert workplace.lab.current("plates") == row["plan"]["digest"]
    assert tree(root) == before


def test_a_push_that_finds_nothing_to_do_is_one_connection_and_one_shell_command(workplace):
    pushed(workplace)
    robot, before = workplace.lab.robots["r1"], len(workplace.lab.log())
    row = workplace.push("plates")
    assert (row["outcome"], row["plan"]["action"], row["sent"]) == ("no change", "no change", 0)
    assert "current and verified" in row["plan"]["reasons"][0]
    asked = robot_state.command(root=robot.root, base=robot.base_path, environment="plates", brief=True)
    assert workplace.lab.log()[before:] == ["connection", asked], "neither another command nor Python"


def test_an_edited_check_verifies_again_and_installs_nothing(workplace):
    digest = pushed(workplace)["plan"]["digest"]
    complete = workplace.lab.base() / "envs" / "plates" / "releases" / digest / "complete"
    before = complete.stat().st_mtime_ns
    row = pushed(workplace, program="import plates; assert plates.VALUE == 1")
    assert (row["outcome"], row["sent"], row["plan"]["digest"]) == ("verified", 0, digest)
    assert "the checks changed" in row["plan"]["reasons"][0]
    assert [check["kind"] for check in row["checks"]] == ["program"]
    assert complete.stat().st_mtime_ns == before
    assert not {"send", "install", "compile"} & set(row["seconds"])
    assert workplace.push("plates")["outcome"] == "no change"
    (checked,) = workplace.run("verify", "plates")["robots"]
    assert [check["kind"] for check in checked["result"]["checks"]] == ["program"], "the release knows the new checks"
    assert workplace.push("plates")["outcome"] == "no change"


def test_a_failed_check_of_the_current_release_says_that_it_stays(workplace):
    digest = pushed(workplace)["plan"]["digest"]
    row = pushed(workplace, program="raise SystemExit('a plate is missing')", status=1)
    assert "This release is current and stays so" in row["error"]["why"]
    assert workplace.lab.current("plates") == digest
    assert workplace.push("plates", "--dry-run")["plan"]["action"] == "verify again"


def test_a_system_that_changed_verifies_again(workplace):
    pushed(workplace)
    version = workplace.lab.root("r1") / "etc" / "VERSION.json"
    version.write_text(version.read_text().replace("embedded", "updated"))
    row = workplace.push("plates")
    assert (row["outcome"], row["plan"]["reasons"]) == (
        "verified", ["the robot's system changed since the release was verified"],
    )  # fmt: skip
    assert workplace.push("plates")["outcome"] == "no change"


def test_a_changed_wheel_is_all_that_is_sent_and_going_back_sends_nothing(workplace):
    racks, first = workplace.wheel("racks"), workplace.wheel("plates", "1.0")
    workplace.environment("plates", racks, first, checks=CHECK)
    one = workplace.push("plates")["plan"]["digest"]
    second = workplace.wheel("plates", "1.1", text="VALUE = 2\n")
    workplace.environment("plates", racks, second, checks=CHECK)
    row = workplace.push("plates")
    assert (row["outcome"], row["sent"], row["reused"]) == ("pushed", 1, 1)
    assert row["bytes_sent"] == second.stat().st_size
    assert row["previous"] == one
    workplace.environment("plates", racks, first, checks=CHECK)
    back = workplace.push("plates")
    assert (back["outcome"], back["sent"], back["plan"]["digest"]) == ("switched", 0, one)
    assert workplace.lab.current("plates") == one


def test_a_failed_check_keeps_the_previous_release_and_is_readable(workplace):
    good = pushed(workplace)["plan"]["digest"]
    bad = "print('looking at the plates')\nraise SystemExit('a plate is missing')"
    row = pushed(workplace, "VALUE = 2\n", program=bad, status=1)
    error = row["error"]
    assert (error["code"], error["subject"]) == ("check-failed", "r1")
    assert "a plate is missing" in error["what"]
    assert "| looking at the plates" in error["details"]
    assert "what was current stays so" in error["why"]
    assert "push again" in error["next"]
    assert [check["ok"] for check in row["checks"]] == [False]
    assert workplace.lab.current("plates") == good
    last = json.loads((workplace.lab.base() / "journal").read_text().splitlines()[-1])
    assert (last["op"], last["result"], last["digest"]) == ("push", "failed", row["plan"]["digest"])
    assert "check-failed" in last["detail"]
    assert last["run"]
    shown = workplace.run_cli("push", "plates", "--robots", workplace.lab.path)
    assert (shown.status, "Traceback" in shown.err) == (1, False)
    for part in ("a plate is missing", "| looking at the plates", "push again", "0 of 1"):
        assert part in shown.out


def test_a_first_push_that_fails_leaves_nothing_current(workplace):
    row = pushed(workplace, checks="- import: nothing_of_that_name", status=1)
    assert "nothing_of_that_name" in row["error"]["what"]
    assert workplace.lab.current("plates") is None


def test_an_installation_that_fails_is_told_in_pips_words(workplace):
    good = pushed(workplace)["plan"]["digest"]
    files = {"plates-1.2.data/nonsense/x": b"x"}
    workplace.environment("plates", workplace.wheel("plates", "1.2", files=files), checks=CHECK)
    row = workplace.push("plates", status=1)
    assert row["error"]["code"] == "install-failed"
    assert any("nonsense" in line for line in row["error"]["details"])
    assert workplace.lab.current("plates") == good
    assert not (workplace.lab.base() / "envs" / "plates" / "releases" / row["plan"]["digest"]).exists()


def test_a_dry_run_says_why_and_changes_nothing(workplace):
    workplace.environment("plates", workplace.wheel("plates"), checks=CHECK)
    before = tree(workplace.lab.root("r1"))
    row = workplace.push("plates", "--dry-run")
    assert (row["outcome"], row["plan"]["action"], row["plan"]["send"]) == ("planned", "install", 1)
    assert row["plan"]["reasons"][0] == "nothing is installed"
    assert tree(workplace.lab.root("r1")) == before
    assert not workplace.lab.base().exists()
    commands = [line for line in workplace.lab.log() if line != "connection"]
    assert len(commands) == 4, "the state, an interpreter's facts, how much room is left, whether it is being updated"
    assert not (workplace.directory / ".ot2deploy" / "runs").exists()
    shown = workplace.run_cli("push", "plates", "--robots", workplace.lab.path, "--dry-run").good().out
    assert "nothing is changed" in shown
    assert "nothing is installed" in shown


def test_damage_on_the_robots_disk_is_found_and_sent_again_in_the_same_push(workplace):
    workplace.environment("plates", workplace.wheel("plates"), workplace.wheel("racks"), checks=CHECK)
    digest = workplace.push("plates")["plan"]["digest"]
    base = workplace.lab.base()
    (base / "envs" / "plates" / "releases" / digest / "complete").unlink()
    (base / "envs" / "plates" / "current").unlink()
    blobs = sorted((base / "wheels").glob("*/*.whl"))
    for blob in blobs:
        data = bytearray(blob.read_bytes())
        data[len(data) // 2] ^= 1
        blob.write_bytes(data)
    ran = workplace.run_cli("push", "plates", "--robots", workplace.lab.path).good()
    assert "other bytes than it should have" in ran.err
    stages = [line.split(": ")[1].split(",")[0] for line in ran.err.splitlines() if line.startswith("r1: ")]
    assert [stage for stage in stages if stage in ("compile", "verify", "switch")] == ["compile", "verify", "switch"]
    record = sorted((workplace.directory / ".ot2deploy" / "runs").glob("*.jsonl"))[-1]
    row = json.loads(record.read_text().splitlines()[-2])  # the last one says that the run ended
    assert (row["outcome"], row["sent"], row["reused"]) == ("pushed", 2, 0)
    assert [hashlib.sha256(blob.read_bytes()).hexdigest() for blob in blobs] == [blob.parent.name for blob in blobs]
    assert workplace.lab.current("plates") == digest


def test_wheels_removed_from_the_robot_are_sent_again(workplace):
    pushed(workplace)
    for blob in (workplace.lab.base() / "wheels").glob("*/*"):
        blob.unlink()
    row = pushed(workplace, "VALUE = 2\n")
    assert row["sent"] == 1
    workplace.environment("plates", workplace.wheel("plates", text="VALUE = 2\n"), workplace.wheel("racks"))
    for blob in (workplace.lab.base() / "wheels").glob("*/*"):
        blob.unlink()  # their directories stay: the plan believes that they are there
    row = workplace.push("plates")
    assert (row["outcome"], row["sent"]) == ("pushed", 2)


def test_an_environments_own_base_directory(workplace_of):
    workplace = workplace_of(base="/var/data/lab-4")
    pushed(workplace)
    assert not workplace.lab.base().exists()
    assert (workplace.lab.root("r1") / "var/data/lab-4/envs/plates/current").is_symlink()


def test_several_robots_in_one_push(workplace_of):
    workplace = workplace_of(3)
    rows = pushed(workplace)
    assert {row["outcome"] for row in rows.values()} == {"pushed"}
    assert len({workplace.lab.current("plates", name) for name in rows}) == 1
    assert set(workplace.push("plates", "--limit", "r2,r3")) == {"r2", "r3"}


def test_the_record_has_every_robot_of_the_run(workplace):
    row = pushed(workplace)
    (record,) = (workplace.directory / ".ot2deploy" / "runs").glob("*.jsonl")
    first, release, begin, last, end = (json.loads(line) for line in record.read_text().splitlines())
    assert (end["event"], end["exit_code"]) == ("end", 0)
    assert (first["command"], first["target"]) == ("push", "plates")
    assert {key: last[key] for key in row} == row
    digest, wheel = row["plan"]["digest"], workplace.wheel("plates")
    assert (begin["event"], begin["robot"], begin["digest"], begin["current"]) == ("begin", "r1", digest, None)
    assert (release["event"], release["digest"]) == ("release", digest)
    assert release["wheels"] == [["plates", "1.0", sha256_file(wheel)]]
    journal = [json.loads(line) for line in (workplace.lab.base() / "journal").read_text().splitlines()]
    assert [(line["op"], line["run"], line["result"]) for line in journal] == [("switch", first["run"], "ok")]
