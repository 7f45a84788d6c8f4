"""Two computers and one fleet: what a robot keeps is enough for both, without store, project or index."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def bob(workplace, monkeypatch, tmp_path_factory):
    """A function that runs a command as somebody else, on a computer that has only ot2deploy and the inventory."""
    home = tmp_path_factory.mktemp("bob")

    def run(*words, status=0):
        with monkeypatch.context() as patch:
            patch.setenv("LOGNAME", "bob")
            patch.setenv("OT2DEPLOY_CACHE", str(home / "cache"))
            return workplace.run(*words, "--project", home, status=status)

    return run


@pytest.fixture
def pushed(workplace, monkeypatch):
    """A workplace whose robot got two releases from ada; their digests."""
    monkeypatch.setenv("LOGNAME", "ada")
    digests = []
    for version in ("1.0", "2.0"):
        workplace.environment("plates", workplace.wheel("plates", version), checks="- import: plates")
        digests.append(workplace.push("plates")["plan"]["digest"])
    return digests


def test_both_see_one_history(workplace, pushed, bob):
    mine, theirs = workplace.run("history")["lines"], bob("history")["lines"]
    assert mine == theirs
    assert [line["who"].split("@")[0] for line in mine] == ["ada", "ada"]
    assert bob("history", "--runs")["runs"] == []
    assert len(workplace.run("history", "--runs")["runs"]) == 2


def test_both_can_roll_back_without_store_or_index(workplace, pushed, bob, monkeypatch):
    shutil.rmtree(os.environ["OT2DEPLOY_CACHE"])
    assert bob("rollback", "plates")["robots"][0]["result"]["current"] == pushed[0]
    assert workplace.lab.current("plates") == pushed[0]
    assert bob("verify", "plates")["robots"][0]["ok"]
    assert workplace.run("rollback", "plates", "--to", pushed[1][:12])["robots"][0]["result"]["current"] == pushed[1]
    lines = workplace.run("history")["lines"]
    assert [(line["op"], line["who"].split("@")[0]) for line in lines][2:] == [("rollback", "bob"), ("rollback", "ada")]
    assert bob("history")["lines"] == lines
    assert not Path(os.environ["OT2DEPLOY_CACHE"]).exists()


def test_what_one_cleaned_the_other_still_rolls_back_over(workplace, pushed, bob):
    bob("robot", "clean", "r1", "--keep", "2")
    assert workplace.run("rollback", "plates")["robots"][0]["result"]["current"] == pushed[0]
    assert bob("history")["lines"][-1]["op"] == "rollback"


def test_what_one_removed_is_told_to_the_other(workplace, pushed, bob):
    bob("remove", "plates")
    error = workplace.run("rollback", "plates", status=1)["robots"][0]["error"]
    assert error["code"] == "not-installed"
    assert workplace.run("history")["lines"][-1]["who"].startswith("bob@")
    assert workplace.push("plates")["outcome"] == "pushed"
