"""Inventories: merging with origins, selecting, every problem at once, and edits that keep comments."""

import re
from pathlib import Path

import pytest

from builder.errors import ConfigFailure
from ot2deploy.errors import NoInventory, NoSuchRobot
from ot2deploy.inventory import load, select
from ot2deploy.inventory.edit import set_host_key, set_setting
from ot2deploy.inventory.explain import explain

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP0YeEgGK4m/YP1KU8b9hWAt+XD92yCRB8Z3kuaTlJ1M"
LAB = f"""\
# our lab
schema: 1
defaults:
  user: root
  base: /var/ot2deploy

groups:
  everything: {{groups: [lab-a], vars: {{port: 2022, http_port: 31951}}}}
  lab-a:
    robots: [otto]
    vars: {{port: 2200, profile: ot2-py310}}

robots:
  otto:          # the left one
    address: 10.0.0.5
    host_key: {KEY}
    identity_file: keys/otto
  luigi:
    groups: [lab-b]
    port: 22
    via: otto
  karl: {{via: admin@gate:2222}}
"""


@pytest.fixture
def lab(tmp_path) -> Path:
    path = tmp_path / "lab.yaml"
    path.write_text(LAB)
    return path


def problems(path: Path, text: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(ConfigFailure) as caught:
        load(path)
    return [line.removeprefix(f"{path}:") for line in caught.value.details]


def test_settings_merge_and_remember_their_origin(lab):
    otto = load(lab).robots["otto"]
    assert (otto.address, otto.port, otto.http_port, otto.profile) == ("10.0.0.5", 2200, 31951, "ot2-py310")
    assert otto.identity_file == lab.parent / "keys" / "otto"
    assert otto.host_key == KEY
    assert otto.groups == ("everything", "lab-a")
    assert otto.origins == {
        "address": "robot:otto", "host_key": "robot:otto", "identity_file": "robot:otto", "user": "defaults",
        "base": "defaults", "port": "group:lab-a", "profile": "group:lab-a", "http_port": "group:everything",
        "root": "built in", "keep_releases": "built in",
    }  # fmt: skip
    assert otto.is_set("port")
    assert not otto.is_set("root")
    assert otto.as_dict()["identity_file"] == str(lab.parent / "keys" / "otto")


def test_a_robot_without_an_address_is_reached_by_its_name_and_via_may_name_a_robot(lab):
    robots = load(lab).robots
    assert robots["luigi"].address == "luigi"
    assert robots["luigi"].jump == robots["otto"]
    assert robots["karl"].jump is None


@pytest.mark.parametrize(
    ("limit", "names"),
    [
        (None, "otto luigi karl"),
        ("otto", "otto"),
        ("karl,otto", "otto karl"),
        ("lab-*", "otto luigi"),
        ("*u*", "luigi"),
        ("all !lab-b", "otto karl"),
        ("!otto", "luigi karl"),
        ("everything", "otto"),
        ("otto, luigi", "otto luigi"),
        (",otto,,", "otto"),
        ("all,!*o", "luigi karl"),
        ("[ol]*", "otto luigi"),
        ("????", "otto karl"),
        ("lab-a lab-b", "otto luigi"),
        ("!lab-*", "karl"),
        ("otto,otto", "otto"),
    ],
)
def test_select(lab, limit, names):
    assert " ".join(robot.name for robot in select(load(lab), limit)) == names


@pytest.mark.parametrize(
    ("limit", "word"),
    [
        ("oto", "otto"),
        ("lab-c", "lab-"),
        ("x*", "x*"),
        ("otto,!otto", "no robot"),
        ("!all", "no robot"),
        (",", "names no robot"),
        ("otto,!", "stands alone"),
        ("Otto", "otto"),
        ("!!otto", "!otto"),
        ("all,!nobody", "nobody"),
        ("[", "no robot or group"),
    ],
)
def test_select_refuses_what_fits_nothing(lab, limit, word):
    with pytest.raises(NoSuchRobot, match=re.escape(word)):
        load(lab).select(limit)


def test_an_inventory_without_robots_says_what_to_do(tmp_path):
    path = tmp_path / "inventory.yaml"
    path.write_text("schema: 1\nrobots: {}\n")
    with pytest.raises(NoSuchRobot) as caught:
        load(path).select()
    assert "sim up" in caught.value.next


def test_a_missing_inventory_names_the_commands_that_make_one(tmp_path):
    with pytest.raises(NoInventory) as caught:
        load(tmp_path / "inventory.yaml")
    assert "ot2deploy init" in caught.value.next
    assert "ot2deploy sim up" in caught.value.next
    assert caught.value.exit_code == 2


def test_all_problems_come_at_once_with_their_lines(tmp_path):
    found = problems(
        tmp_path / "lab.yaml",
        "schema: 1\n"
        "robot: {}\n"
        "groups:\n"
        "  lab: {robots: [oto], varz: {}}\n"
        "robots:\n"
        "  otto:\n"
        "    adress: 10.0.0.5\n"
        "    port: 99999\n"
        "    host_key: ssh-ed25519 AAAA\n"
        "    install_method: zip\n"
        "    root: relative\n"
        "  otto: {}\n"
        "  bad name: {}\n"
        "  luigi: {via: luigi, port: [1]}\n",
    )
    assert [line.split(":")[0] for line in found] == ["2", "4", "4", "7", "8", "9", "10", "11", "12", "13", "14", "14"]
    text = "\n".join(found)
    for clause in (
        "unknown key `robot` in the inventory; did you mean `robots`?",
        "unknown key `varz` in group `lab`; did you mean `vars`?",
        "names an unknown robot `oto`; did you mean `otto`?",
        "did you mean `address`?",
        "port of robot `otto` must be a number from 1 to 65535",
        "copied only in part",
        "must be one of pip, tree",
        "`otto` stands twice in robots, first in line 6",
        "leads back to itself",
    ):
        assert clause in text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "1"),
        ("robots: [otto]\n", "1"),
        ("- otto\n", "1"),
        ("schema: 1\nrobots:\n  otto:\n    address: 999.1.1.1\n", "4"),
        ("schema: 1\nrobots:\n  otto:\n    address: fe80::nowhere\n", "4"),
        ("schema: 2x\n", "1"),
        ("schema: 1\nrobots:\n  otto: {address: [\n", "4"),
        ("schema: 1\ngroups:\n  a: {groups: [b]}\n  b: {groups: [a]}\n", "3"),
        ("schema: 1\ngroups:\n  a: {}\nrobots:\n  a: {}\n", "3"),
        ("schema: 1\nrobots:\n  a: {host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICGa2E81}\n", "3"),
    ],
)
def test_what_is_no_inventory(tmp_path, text, line):
    assert problems(tmp_path / "lab.yaml", text)[0].split(":")[0] == line


@pytest.mark.parametrize("content", [b"", b"- otto\n", b"\xff\xfe\x00rubbish"])
def test_a_file_that_is_quite_else_is_answered_with_what_an_inventory_looks_like(tmp_path, content):
    path = tmp_path / "lab.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigFailure) as caught:
        load(path)
    assert "  robots:\n    otto:\n      address: 192.168.1.20" in caught.value.next


def test_a_name_without_anything_behind_it_has_its_own_line(tmp_path):
    found = problems(tmp_path / "lab.yaml", "schema: 1\nrobots:\n  bad name:\n\n\n  b:\n")
    assert [line.split(":")[0] for line in found] == ["3"]


def test_two_entries_of_one_serial_are_a_problem_with_both_names(tmp_path):
    text = "schema: 1\nrobots:\n  a: {serial: OT2X}\n  b: {}\n  c:\n    serial: OT2X\n"
    assert problems(tmp_path / "lab.yaml", text) == ["6: serial OT2X of robot `c` is that of `a`, too"]
    text = "schema: 1\ndefaults:\n  serial: OT2X\nrobots:\n  a: {}\n  b: {}\n"
    assert problems(tmp_path / "lab.yaml", text) == ["3: serial OT2X of robot `b` is that of `a`, too"]


def test_a_serial_of_digits_stays_as_it_stands(tmp_path):
    path = tmp_path / "lab.yaml"
    path.write_text("schema: 1\nrobots:\n  a: {serial: 0012}\n  b: {serial: 12}\n")
    assert [robot.serial for robot in load(path).robots.values()] == ["0012", "12"]


def test_every_line_that_says_a_setting_is_explained(lab):
    said = [one for one in explain(load(lab).robots["otto"]) if one.setting in ("port", "user", "address")]
    assert [(one.setting, one.value, one.origin, one.line, one.counts) for one in said] == [
        ("address", "10.0.0.5", "robot:otto", 15, True),
        ("port", 22, "built in", None, False),
        ("port", 2022, "group:everything", 8, False),
        ("port", 2200, "group:lab-a", 11, True),
        ("user", "root", "built in", None, False),
        ("user", "root", "defaults", 4, True),
    ]
    assert explain(load(lab).robots["luigi"])[0].origin == "its name"


def test_a_newer_schema_asks_for_an_upgrade(tmp_path):
    (tmp_path / "lab.yaml").write_text("schema: 2\n")
    with pytest.raises(ConfigFailure, match="newer"):
        load(tmp_path / "lab.yaml")


def test_pinning_a_key_changes_one_line_and_keeps_the_rest(lab):
    new = KEY.replace("P0Y", "P1Y")
    assert set_host_key(lab, "otto", new + " comment")
    assert lab.read_text() == LAB.replace(KEY, new)
    assert not set_host_key(lab, "otto", new)


def test_pinning_a_key_that_was_not_there_adds_a_line(lab):
    new = KEY.replace("P0Y", "P1Y")
    assert set_host_key(lab, "luigi", new)
    assert load(lab).robots["luigi"].host_key == new
    added = set(lab.read_text().splitlines()) - set(LAB.splitlines())
    assert added == {f"    host_key: {new}"}
    assert "# the left one" in lab.read_text()


def test_lists_keep_their_indentation(tmp_path):
    path = tmp_path / "lab.yaml"
    text = "schema: 1\nrobots:\n  otto:\n    groups:\n      - a\n      - b\n    host_key: null\n"
    path.write_text(text)
    set_host_key(path, "otto", KEY)
    assert path.read_text() == text.replace("null", KEY)


def test_an_edit_that_does_not_fit_leaves_the_file_alone(lab):
    with pytest.raises(ConfigFailure):
        set_setting(lab, "otto", "port", 70000)
    with pytest.raises(ConfigFailure, match="no robot named nobody"):
        set_host_key(lab, "nobody", KEY)
    assert lab.read_text() == LAB
    assert [path.name for path in lab.parent.iterdir()] == ["lab.yaml"]
