"""Edits of an inventory: robots come, change and go, and nothing else of the file does."""

from pathlib import Path

import pytest

from builder.errors import ConfigFailure, UsageFailure
from ot2deploy.errors import NoSuchRobot
from ot2deploy.inventory import load
from ot2deploy.inventory.edit import Entry, add_robot, merge_robots, set_settings
from ot2deploy.inventory.remove import remove_robot

LAB = """\
# our lab
schema: 1

groups:
  teaching:   # first floor
    robots: [luigi, otto, karl]
  evening:
    robots:
      - otto   # until June
      - karl

# All of them.
robots:
  # the left one
  otto:          # bought in 2021
    address: 10.0.0.5   # fixed
    groups: [lab-a]

  # the right one
  luigi:
    address: 10.0.0.6

  karl: {address: 10.0.0.7, serial: "0012"}   # lent
# the end
"""
ONE_ANCHOR = "schema: 1\nrobots:\n  a: &a\n    port: 1\n  c:\n"
OTTO = """\
  otto:          # bought in 2021
    address: 10.0.0.5   # fixed
    groups: [lab-a]
"""


@pytest.fixture
def lab(tmp_path) -> Path:
    path = tmp_path / "lab.yaml"
    path.write_text(LAB)
    return path


def without(*pieces: tuple[str, str]) -> str:
    text = LAB
    for piece, left in pieces:
        assert text.count(piece) == 1
        text = text.replace(piece, left)
    return text


@pytest.mark.parametrize(
    ("name", "pieces"),
    [
        ("otto", [(OTTO, ""), ("luigi, otto, karl", "luigi, karl"), ("      - otto   # until June\n", "")]),
        ("luigi", [("  luigi:\n    address: 10.0.0.6\n", ""), ("[luigi, otto", "[otto")]),
        (
            "karl",
            [('  karl: {address: 10.0.0.7, serial: "0012"}   # lent\n', ""), (", karl]", "]"), ("      - karl\n", "")],
        ),
    ],
)
def test_a_robot_goes_and_everything_else_stays_as_it_is(lab, name, pieces):
    remove_robot(lab, name)
    assert lab.read_text() == without(*pieces)
    assert name not in load(lab).robots


def test_the_last_robot_leaves_a_file_that_takes_new_ones(lab):
    for name in ("otto", "karl", "luigi"):
        remove_robot(lab, name)
    assert not load(lab).robots
    assert add_robot(lab, Entry(name="new", settings={"address": "10.0.0.9"}))
    assert [*load(lab).robots] == ["new"]
    assert "# our lab" in lab.read_text()


@pytest.mark.parametrize(
    ("text", "name", "left"),
    [
        ("schema: 1\nrobots: {a: {port: 1}, b: {}, c: }\n", "a", "schema: 1\nrobots: {b: {}, c: }\n"),
        ("schema: 1\nrobots: {a: {port: 1}, b: {}, c: }\n", "c", "schema: 1\nrobots: {a: {port: 1}, b: {} }\n"),
        ("schema: 1\nrobots: {a: {port: 1}}\n", "a", "schema: 1\nrobots: {}\n"),
        ("schema: 1\nrobots:\n  a:\n  b:\n", "b", "schema: 1\nrobots:\n  a:\n"),
        ("robots:\n  a:   # one\n\n  # two\n  b:\n  # end\n", "a", "robots:\n\n  # two\n  b:\n  # end\n"),
        ("robots:\n  a:\n  # two\n  b:\n  # end\n", "b", "robots:\n  a:\n  # two\n  # end\n"),
        ("robots: {a, b : , c}\n", "b", "robots: {a, c}\n"),
        ("robots:\n  a:\n    port:\n  # two\n  b:\n", "a", "robots:\n  # two\n  b:\n"),
        ("schema: 1\nrobots:\n  a: {}\n  b: {}", "b", "schema: 1\nrobots:\n  a: {}\n"),
        ("schema: 1\nrobots:\n  a: &a\n    port: 1\n  b: *a\n  c:\n", "b", ONE_ANCHOR),
        ('schema: 1\nrobots:\n  "a":\n    user: |-\n      x\n  b:\n', "a", "schema: 1\nrobots:\n  b:\n"),
        ("robots:\n  a: {}\n  # none\n\nschema: 1\n", "a", "robots:\n  # none\n\nschema: 1\n"),
    ],
)  # fmt: skip
def test_whatever_way_it_is_written(tmp_path, text, name, left):
    path = tmp_path / "lab.yaml"
    path.write_text(text)
    remove_robot(path, name)
    assert path.read_text() == left
    assert name not in load(path).robots


def test_what_others_need_is_not_removed(lab):
    with pytest.raises(NoSuchRobot, match="did you mean `otto`"):
        remove_robot(lab, "oto")
    lab.write_text(LAB.replace("address: 10.0.0.6", "via: otto"))
    before = lab.read_text()
    with pytest.raises(UsageFailure, match="luigi cannot be reached without it"):
        remove_robot(lab, "otto")
    lab.write_text("schema: 1\nrobots:\n  a: &a {}\n  b: *a\n")
    with pytest.raises(ConfigFailure, match="would break the inventory"):
        remove_robot(lab, "a")
    assert lab.read_text() == "schema: 1\nrobots:\n  a: &a {}\n  b: *a\n"
    assert "via: otto" in before


def test_a_robot_is_added_with_its_groups(lab):
    entry = Entry(name="new", settings={"address": "10.0.0.9"}, groups=("teaching", "lab-b"))
    assert add_robot(lab, entry)
    assert not add_robot(lab, entry)
    assert load(lab).robots["new"].groups == ("teaching", "lab-b")
    assert "groups: [teaching, lab-b]" in lab.read_text()
    with pytest.raises(ConfigFailure, match="no group name"):
        add_robot(lab, Entry(name="other", settings={}, groups=("a b",)))


def test_what_would_break_the_file_is_not_written(lab):
    with pytest.raises(ConfigFailure, match="would break the inventory") as caught:
        add_robot(lab, Entry(name="new", settings={"serial": "0012"}))
    assert "is that of `karl`, too" in caught.value.details[0]
    with pytest.raises(ConfigFailure, match="would break the inventory"):
        add_robot(lab, Entry(name="teaching", settings={}))
    assert lab.read_text() == LAB


def test_several_settings_at_once(lab):
    assert set_settings(lab, "otto", {"address": "10.0.0.99", "http_port": 4})
    grown = "    groups: [lab-a]\n    http_port: 4\n\n"
    assert lab.read_text() == LAB.replace("10.0.0.5   #", "10.0.0.99  #").replace("    groups: [lab-a]\n\n", grown)
    assert not set_settings(lab, "otto", {"address": "10.0.0.99"})


@pytest.mark.parametrize(
    "entry",
    [
        "    address: x\n",
        "    address: x   # fixed\n",
        "    groups: [a]\n",
        "    groups: [a]   # its group\n",
        "    groups:\n      - a\n",
        "    groups:\n      - a   # its group\n",
    ],
)
@pytest.mark.parametrize("below", ["\n  # the second\n", "  # the second\n\n", "\n\n", "# far out\n"])
def test_what_is_added_stands_above_the_comment_of_the_next_robot(tmp_path, entry, below):
    path = tmp_path / "lab.yaml"
    path.write_text(f"schema: 1\nrobots:\n  one:\n{entry}{below}  two: {{}}\n")
    set_settings(path, "one", {"serial": "OT2A", "port": 4})
    grown = f"{entry}    serial: OT2A\n    port: 4\n"
    assert path.read_text() == f"schema: 1\nrobots:\n  one:\n{grown}{below}  two: {{}}\n"


@pytest.mark.parametrize(
    ("last", "below"),
    [
        ("    port: 4\n", "\n# Groups are below.\n"),
        ("    port: 4   # for now\n\n    # ask Bob for the other\n", "# Groups are below.\n\n# Here.\n"),
        ("    port: 4\n", ""),
        ("    port: 4\n\n  # more to come\n", ""),
    ],
)
def test_a_new_robot_stands_above_the_comment_of_what_follows(tmp_path, last, below):
    path = tmp_path / "lab.yaml"
    path.write_text(f"robots:\n  one:\n{last}{below}groups: {{}}\n")
    add_robot(path, Entry(name="new", settings={"address": "x"}))
    assert path.read_text() == f"robots:\n  one:\n{last}  new:\n    address: x\n{below}groups: {{}}\n"


def test_a_robot_that_is_written_as_another_becomes_its_own(tmp_path):
    path = tmp_path / "lab.yaml"
    path.write_text("robots:\n  one: &a {port: 4}\n  two: *a\n")
    set_settings(path, "two", {"address": "x"})
    set_settings(path, "one", {"address": "y"})
    robots = load(path).robots
    assert [(robot.address, robot.port) for robot in robots.values()] == [("y", 4), ("x", 4)]


def test_a_name_may_be_a_number(tmp_path):
    path = tmp_path / "lab.yaml"
    path.write_text("schema: 1\nrobots:\n  12:\n    address: x\n")
    assert set_settings(path, "12", {"port": 4})
    assert path.read_text() == "schema: 1\nrobots:\n  12:\n    address: x\n    port: 4\n"
    assert add_robot(path, Entry(name="13", settings={"address": "y"}))
    assert [*load(path).robots] == ["12", "13"]
    remove_robot(path, "12")
    assert [*load(path).robots] == ["13"]


def test_a_longer_list_stands_above_the_comment_of_the_next_robot(tmp_path):
    path = tmp_path / "lab.yaml"
    text = "schema: 1\nrobots:\n  one:\n    groups:\n      - a   # first\n\n  # the second\n  two: {}\n"
    path.write_text(text)
    merge_robots(path, [Entry(name="one", settings={}, groups=("b",))], update=True)
    assert path.read_text() == text.replace("# first\n", "# first\n      - b\n")


def test_many_robots_are_merged_all_or_none(lab):
    entries = [
        Entry(name="otto", settings={"address": "10.0.0.50"}, groups=("lab-b",)),
        Entry(name="karl", settings={"address": "10.0.0.7"}),
        Entry(name="new", settings={"address": "10.0.0.9"}),
    ]
    told = [change.did for change in merge_robots(lab, entries, dry_run=True)]
    assert told == ["left alone", "no change", "added"]
    assert lab.read_text() == LAB
    merge_robots(lab, entries)
    assert load(lab).robots["otto"].address == "10.0.0.5"
    assert load(lab).robots["new"].address == "10.0.0.9"
    assert [change.did for change in merge_robots(lab, entries, update=True)] == ["changed", "no change", "no change"]
    otto = load(lab).robots["otto"]
    assert (otto.address, otto.groups) == ("10.0.0.50", ("teaching", "evening", "lab-a", "lab-b"))
    before = lab.read_text()
    with pytest.raises(ConfigFailure):
        merge_robots(lab, [Entry(name="x", settings={"address": "10.0.0.1"}), Entry(name="y", settings={"port": 0})])
    assert lab.read_text() == before
