"""`ot2deploy store gc`, as a person types it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from builder.places import cache_root
from builder.store import Store


@pytest.fixture
def store():
    return Store(cache_root() / "store")


def aged(store, days=100):
    """Moves the last use of every blob back."""
    at = time.time() - days * 86400
    for record in (store.root / "records").glob("*.json"):
        os.utime(record, (at, at))


def names(store):
    """The file names of all blobs."""
    return sorted(store.record(sha256)["filename"] for sha256 in store.hashes())


def test_what_a_projects_locks_and_robots_name_stays_and_the_rest_goes(workplace, store, tmp_path):
    workplace.environment("plates", workplace.wheel("plates"), checks="- import: plates")
    workplace.push("plates")
    (tmp_path / "lone.txt").write_text("x" * 100)
    store.add(tmp_path / "lone.txt", how="local")
    aged(store)
    here = names(store)
    shown = workplace.run_cli("store", "gc", "--dry-run").good().out
    assert "lone.txt" in shown
    assert names(store) == here
    told = workplace.run_cli("store", "gc", "--json").good().document["result"]
    assert [one["filename"] for one in told["removed"]] == ["lone.txt"]
    assert (told["freed"], told["path"]) == (100, str(store.root))
    assert "plates-1.0-py3-none-any.whl" in names(store)
    workplace.lab.stop("r1")
    workplace.lab.start("r1")
    assert workplace.push("plates")["outcome"] == "no change"


def test_a_size_is_kept_to_and_said_when_it_cannot_be(run_cli, store, tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name * 100)
        store.add(tmp_path / name, how="local")
    assert "used in the last day" in run_cli("store", "gc", "--max-size", "0").good().out
    assert names(store) == ["a.txt", "b.txt"]
    aged(store)
    told = run_cli("store", "gc", "--max-size", "600", "--json").good().document["result"]
    assert (len(told["removed"]), told["kept"]) == (1, 1)


@pytest.mark.parametrize(
    "words", [("--keep-days", "0"), ("--max-size", "much"), ("--keep-days", "3", "--max-size", "1GB")]
)
def test_what_cannot_be_is_refused(run_cli, store, tmp_path, words):
    (tmp_path / "a.txt").write_text("a")
    store.add(tmp_path / "a.txt", how="local")
    aged(store)
    assert run_cli("store", "gc", *words).status == 2
    assert names(store) == ["a.txt"]
    assert Path(store.root).is_dir()
