"""`ot2deploy robot`: what the inventory says, where from, and pinning a host key."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ot2deploy import inventory
from ot2deploy.inventory.edit import set_host_key
from ot2deploy.transport.wording import fingerprint

INVENTORY = """\
schema: 1
defaults: {port: 2222}
groups:
  lab-a: {vars: {base: /var/other}}
robots:
  otto: {address: 192.0.2.1, groups: [lab-a]}
  luigi: {address: 192.0.2.2, port: 22}
"""


@pytest.fixture
def lab(tmp_path):
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    return tmp_path


def test_the_projects_inventory_is_the_default(run_cli, lab):
    told = run_cli("robot", "list", "--json").good().document["result"]["robots"]
    assert [robot["name"] for robot in told] == ["otto", "luigi"]
    assert "not pinned" in run_cli("robot", "list").good().out


def test_some_of_another_file(run_cli, lab):
    (lab / "inventory.yaml").rename(lab / "lab.yaml")
    told = run_cli("robot", "list", "--robots", "lab.yaml", "--limit", "!lab-a", "--json").good().document
    assert [robot["name"] for robot in told["result"]["robots"]] == ["luigi"]


def test_a_robot_is_shown_with_the_origin_of_each_setting(run_cli, lab):
    told = run_cli("robot", "show", "otto", "--json").good().document["result"]
    assert (told["port"], told["base"]) == (2222, "/var/other")
    assert (told["origins"]["port"], told["origins"]["base"]) == ("defaults", "group:lab-a")
    assert "group:lab-a" in run_cli("robot", "show", "otto").good().out


def test_a_robot_is_explained_line_by_line(run_cli, lab):
    told = run_cli("robot", "show", "luigi", "--explain", "--json").good().document["result"]["said"]
    assert [(one["origin"], one["line"], one["counts"]) for one in told if one["setting"] == "port"] == [
        ("built in", None, False), ("defaults", 2, False), ("robot:luigi", 7, True)
    ]  # fmt: skip
    assert "inventory.yaml:7" in run_cli("robot", "show", "luigi", "--explain").good().out


@pytest.mark.parametrize("limit", ["", " "])
def test_an_empty_limit_is_not_all_robots(run_cli, lab, limit):
    ran = run_cli("robot", "list", "--limit", limit)
    assert ran.status == 2
    assert "names no robot" in ran.err


@pytest.mark.parametrize(
    "words", [("robot", "list"), ("status",), ("push", "prefect", "--dry-run"), ("verify", "prefect")]
)
def test_a_missing_inventory_is_one_clear_error(run_cli, words):
    ran = run_cli(*words)
    assert ran.status == 2
    assert "inventory.yaml" in ran.err
    assert "Traceback" not in ran.err


def test_an_unknown_robot_is_answered_with_the_nearest_name(run_cli, lab):
    ran = run_cli("robot", "show", "oto")
    assert ran.status == 2
    assert "otto" in ran.err


def test_a_wrong_inventory_names_its_lines(run_cli, lab):
    (lab / "inventory.yaml").write_text("schema: 1\nrobots:\n  otto:\n    adress: 192.0.2.1\n    port: no\n")
    ran = run_cli("robot", "list")
    assert ran.status == 2
    assert "inventory.yaml:4" in ran.err
    assert "inventory.yaml:5" in ran.err


def test_a_host_key_is_pinned_once(run_cli, embedded_lab):
    lab = embedded_lab(1)
    pinned = lab.robots["r1"].host_key
    lab.path.write_text("".join(line for line in lab.path.read_text().splitlines(True) if "host_key" not in line))
    assert lab.robots["r1"].host_key is None
    told = run_cli("robot", "trust", "r1", "--robots", lab.path, "--json").good().document["result"]
    assert told["changed"]
    assert lab.robots["r1"].host_key == pinned
    again = run_cli("robot", "trust", "r1", "--robots", lab.path).good()
    assert "no change" in again.out


def test_another_key_than_the_pinned_one_needs_a_word(run_cli, embedded_lab, tmp_path):
    lab = embedded_lab(2)
    shown, other = lab.robots["r1"].host_key, lab.robots["r2"].host_key
    set_host_key(lab.path, "r1", other)
    refused = run_cli("robot", "trust", "r1", "--robots", lab.path)
    assert refused.status == 1
    assert fingerprint(shown) in refused.err
    assert f"trust r1 --robots {lab.path} --replace" in refused.err
    assert inventory.load(lab.path).robots["r1"].host_key == other
    run_cli("robot", "trust", "r1", "--replace", "--robots", lab.path).good()
    assert inventory.load(lab.path).robots["r1"].host_key == shown


@pytest.mark.parametrize("command", ["show", "trust"])
def test_a_pattern_is_no_robot(run_cli, embedded_lab, command):
    ran = run_cli("robot", command, "r*", "--robots", embedded_lab(2).path)
    assert ran.status == 2
    assert "r1, r2" in ran.err


def test_a_jump_host_that_is_not_trusted_yet_is_not_taken_for_the_robot(run_cli, embedded_lab):
    lab = embedded_lab(2)
    lab.write(r1={"host_key": None}, r2={"host_key": None, "via": "r1"})
    ran = run_cli("robot", "trust", "r2", "--robots", lab.path)
    assert ran.status == 1
    assert "trust r1" in ran.err
    assert lab.robots["r2"].host_key is None


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system has no /proc")
def test_an_inventory_that_cannot_be_written_is_said(run_cli, embedded_lab):
    lab = embedded_lab(1)
    lab.write(r1={"host_key": None})
    with lab.path.open() as file:
        path = f"/proc/self/fd/{file.fileno()}"  # as a shell's <(...) gives it: nothing can be written beside it
        for words in (("robot", "trust", "r1"), ("status", "--trust-on-first-use")):
            ran = run_cli(*words, "--robots", path)
            assert ran.status in (1, 2)
            assert f"the inventory {path} cannot be changed" in ran.err + ran.out
            assert "bug" not in ran.err


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
def test_the_fingerprint_is_the_one_of_openssh(tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "key"], check=True, timeout=60)
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", tmp_path / "key.pub"], check=True, timeout=60, capture_output=True, text=True
    ).stdout.split()[1]
    assert fingerprint((tmp_path / "key.pub").read_text()) == shown


def test_a_robot_is_added_to_a_new_project_and_comments_stay(run_cli, tmp_path):
    run_cli("init").good()
    before = (tmp_path / "inventory.yaml").read_text()
    assert run_cli("robot", "add", "otto", "192.0.2.7", "--port", "2222", "--json").good().document["result"]["changed"]
    after = (tmp_path / "inventory.yaml").read_text()
    assert [line for line in before.splitlines() if line.startswith("#")] == [
        line for line in after.splitlines() if line.startswith("#")
    ]
    run_cli("robot", "add", "luigi", "luigi.local").good()
    robots = inventory.load(tmp_path / "inventory.yaml").robots
    assert [(robot.name, robot.address, robot.port) for robot in robots.values()] == [
        ("otto", "192.0.2.7", 2222), ("luigi", "luigi.local", 22)
    ]  # fmt: skip
    assert "no change" in run_cli("robot", "add", "otto", "192.0.2.7", "--port", "2222").good().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("otto", "192.0.2.9"), "another robot of this name"),
        (("../x", "192.0.2.9"), "no robot name"),
        (("new", "192.0.2.9", "--port", "70000"), "1 to 65535"),
    ],
)
def test_a_robot_that_does_not_fit_leaves_the_file_as_it_is(run_cli, lab, words, says):
    ran = run_cli("robot", "add", *words)
    assert (ran.status, says in ran.err) == (2, True)
    assert (lab / "inventory.yaml").read_text() == INVENTORY


def test_a_robot_is_added_to_groups_and_removed_again(run_cli, lab):
    added = run_cli(
        "robot", "add", "new", "192.0.2.9", "--group", "lab-a", "--group", "lab-b", "--serial", "OT2X"
    ).good()
    assert "lab-b: a new group" in added.out
    assert inventory.load(lab / "inventory.yaml").robots["new"].groups == ("lab-a", "lab-b")
    removed = run_cli("robot", "remove", "new").good()
    assert "what was pushed stays in /var/other" in removed.out
    assert (lab / "inventory.yaml").read_text() == INVENTORY
    again = run_cli("robot", "remove", "new")
    assert (again.status, "no robot is named `new`" in again.err) == (2, True)


def test_removing_a_robot_says_what_was_pushed_to_it(run_cli, workplace):
    workplace.environment("plates", workplace.wheel("plates"))
    workplace.push("plates")
    told = workplace.run("robot", "remove", "r1")
    assert told["environments"] == ["plates"]
    assert workplace.lab.current("plates")
