"""`ot2deploy robot clean`, as a person types it."""

from __future__ import annotations

import pytest


@pytest.fixture
def full(workplace):
    """A workplace whose robot had five releases of `plates`, and keeps as many as there are."""
    workplace.lab.write(r1={"keep_releases": 9})
    for number in range(1, 6):
        workplace.environment("plates", workplace.wheel("plates", f"{number}.0"), checks="- import: plates")
        workplace.push("plates")
    return workplace


def releases(workplace):
    """How many releases of `plates` are on the robot."""
    return len(list((workplace.lab.base() / "envs/plates/releases").iterdir()))


def test_older_releases_are_seen_and_then_removed(full):
    full.lab.write()
    shown = full.run_cli("robot", "clean", "r1", "--dry-run", "--robots", full.lab.path).good().out
    assert "2 releases, 2 files would be removed" in shown
    assert releases(full) == 5
    (row,) = full.run("robot", "clean", "r1")["robots"]
    assert (len(row["result"]["releases"]), row["result"]["blobs"], releases(full)) == (2, 2, 3)
    assert [one["why"] for one in row["result"]["kept"]].count("previous") == 1
    assert full.run("history", "-n", "1")["lines"][0]["op"] == "clean"
    assert "0 releases" in full.run_cli("robot", "clean", "r1", "--robots", full.lab.path).good().out
    assert full.run("rollback", "plates")["robots"][0]["ok"]
    assert full.run("rollback", "plates")["robots"][0]["ok"]


def test_a_push_leaves_three_releases_and_what_they_are_made_of(workplace):
    for number in range(1, 5):
        workplace.environment("plates", workplace.wheel("plates", f"{number}.0"), checks="- import: plates")
        row = workplace.push("plates")
    assert row["outcome"] == "pushed"
    assert releases(workplace) == 3
    wheels = sorted(path.name.split("-")[1] for path in (workplace.lab.base() / "wheels").glob("*/*"))
    assert wheels == ["2.0", "3.0", "4.0"]
    assert [line["op"] for line in workplace.run("history")["lines"]] == ["switch"] * 4 + ["clean"]
    assert workplace.run("rollback", "plates")["robots"][0]["ok"]


def test_a_number_says_how_many_stay_and_never_takes_the_previous_one(full):
    assert full.run_cli("robot", "clean", "r1", "--keep", "1", "--robots", full.lab.path).status == 2
    full.run("robot", "clean", "r1", "--keep", "2")
    assert releases(full) == 2
    assert full.run("rollback", "plates")["robots"][0]["ok"]


def test_a_robot_that_was_never_pushed_to_is_left_as_it_is(workplace):
    (row,) = workplace.run("robot", "clean", "r1")["robots"]
    assert (row["result"]["releases"], row["result"]["bytes"]) == ([], 0)
    assert not workplace.lab.base().exists()
