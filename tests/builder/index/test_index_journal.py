"""The journal of an index: whole lines whoever is killed, private, the last ones first asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import builder
from builder.errors import DiskFailure
from builder.index.journal import Act, Journal

ROOT = str(Path(builder.__file__).parents[1])


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "state" / "journal.jsonl")


def test_acts_come_back_as_they_were_told_with_their_time(journal):
    act = Act(op="upload", who="ci", branches=("ot2-py310/dev",), name="demo", files={"demo-1.whl": "ab"}, detail="é\n")
    journal.add(act)
    (read,) = journal.lines()
    assert read.as_dict() == {**act.as_dict(), "at": read.at}
    assert read.at.endswith("Z")
    assert len(journal.path.read_bytes().splitlines()) == 1


def test_only_its_owner_may_read_it(journal):
    journal.add(Act(op="gc", who="me"))
    assert journal.path.stat().st_mode & 0o777 == 0o600
    assert journal.path.parent.stat().st_mode & 0o777 == 0o700


def test_the_last_ones_in_the_order_in_which_they_were(journal):
    assert journal.lines() == ()
    journal.add(*(Act(op="yank", who="me", name=f"n{number}") for number in range(5)))
    assert [act.name for act in journal.lines(2)] == ["n3", "n4"]
    assert journal.lines(0) == ()


def test_a_line_that_was_cut_harms_no_other(journal):
    journal.add(Act(op="upload", who="me", name="before"))
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole + whole[:40])
    journal.add(Act(op="upload", who="me", name="after"))
    assert [act.name for act in journal.lines()] == ["before", "after"]
    journal.path.write_bytes(journal.path.read_bytes() + b'[]\n{"op": 1}\n\xff\n\n')
    assert [act.name for act in journal.lines()] == ["before", "after"]


def test_writers_do_not_mix_their_lines(journal):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: journal.add(Act(op="upload", who="w" * 2000, name=str(n))), range(200)))
    assert sorted(int(json.loads(line)["name"]) for line in journal.path.read_bytes().splitlines()) == list(range(200))


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskFailure, match="file"):
        Journal(tmp_path / "file" / "journal.jsonl").add(Act(op="gc", who="me"))


def test_no_act_leaves_no_file(journal):
    journal.add()
    assert not journal.path.exists()


FULL = """
import resource, sys
from pathlib import Path
from builder.errors import DiskFailure
from builder.index.journal import Act, Journal

resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.RLIM_INFINITY))
try:
    Journal(Path(sys.argv[1])).add(Act(op="upload", who="me", name="n" * 400))
except DiskFailure:
    sys.exit(7)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of files there")
def test_a_line_for_which_there_is_room_in_part_only_is_told(journal):
    """What is not recorded whole must not be done: the system takes the part that fits, and says so."""
    journal.add(Act(op="upload", who="me", name="before"))
    done = subprocess.run([sys.executable, "-c", FULL, journal.path], env={**os.environ, "PYTHONPATH": ROOT})
    assert done.returncode == 7
    assert [act.name for act in journal.lines()] == ["before"]
