"""What goes from the store, and what stays whoever uses it meanwhile."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from wheel_factory import make_wheel

from builder.errors import UsageFailure
from builder.store import Blob, Store
from builder.store_sweep import DAY, Kept, Policy, in_bundles, judge, parse_size, sizes, sweep

NOW = 1_000_000_000.0


def files(**days: float) -> tuple[Kept, ...]:
    """Files of 10 bytes by name, each last used so many days ago."""
    return tuple(
        Kept(sha256=name, filename=name, how="built", size=10, used=NOW - ago * DAY) for name, ago in days.items()
    )


def stay(found: tuple[Kept, ...], named: dict[str, str] | None = None, **policy: Any) -> set[str]:
    """The names of the files that stay."""
    return {one.sha256 for one in judge(found, named or {}, Policy(now=NOW, **policy)) if one.why}


def test_what_was_used_lately_or_is_named_stays() -> None:
    found = files(a=0.5, b=29, c=31, d=400)
    assert stay(found) == {"a", "b"}
    assert stay(found, {"d": "environment x"}, keep_days=1) == {"a", "d"}
    assert [one.why for one in judge(found, {"d": "environment x"}, Policy(now=NOW)) if one.sha256 == "d"] == [
        "environment x"
    ]


def test_a_size_keeps_the_last_used_and_never_takes_what_is_named_or_in_use() -> None:
    found = files(a=0.5, b=2, c=3, d=400)
    assert stay(found, max_size=20) == {"a", "b"}
    assert stay(found, {"d": "lock"}, max_size=20) == {"a", "d"}
    assert stay(found, {"d": "lock"}, max_size=0) == {"a", "d"}
    assert stay(found, max_size=100) == {"a", "b", "c", "d"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def add(store: Store, tmp_path: Path, version: str, days: float = 0) -> Blob:
    """A wheel in the store, last used so many days ago."""
    blob = store.add(make_wheel(tmp_path, f"demo-{version}-py3-none-any.whl"), how="public")
    aged(store, blob.sha256, days)
    return blob


def aged(store: Store, sha256: str, days: float) -> None:
    """Moves the last use of a blob back."""
    at = time.time() - days * DAY
    os.utime(store.root / "records" / f"{sha256}.json", (at, at))


def test_old_files_go_with_the_answers_about_them(store: Store, tmp_path: Path) -> None:
    old, new = add(store, tmp_path, "1.0", 40), add(store, tmp_path, "2.0")
    for key, blob in (("o", old), ("n", new)):
        store.keep_answer("build", key, blob.sha256)
        store.keep_answer("choice", key, {"sha256": blob.sha256, "compiler": None})
        store.keep_answer("bundle", key, {"lock": "l", "wheels": [{"sha256": blob.sha256}]})
    store.keep_answer("audit", "o", {"ok": True})
    seen = sweep(store, {}, Policy(now=time.time()), dry_run=True)
    assert store.record(old.sha256)
    done = sweep(store, {}, Policy(now=time.time()))
    assert [one.filename for one in done.gone] == [old.filename]
    assert (done.freed, done.answers) == (old.size, 3)
    assert done.as_dict() == seen.as_dict()
    assert (store.blob(old.sha256), store.blob(new.sha256)) == (None, new)
    assert not old.path.parent.exists()
    assert (store.answer("build", "o"), store.answer("bundle", "o")) == (None, None)
    assert store.answer("build", "n") == new.sha256
    assert store.answer("audit", "o") == {"ok": True}
    assert add(store, tmp_path, "1.0").path.is_file()


def test_giving_out_a_blob_marks_it_as_used(store: Store, tmp_path: Path) -> None:
    blob = add(store, tmp_path, "1.0", 40)
    before = store.used(blob.sha256)
    assert store.blob(blob.sha256) == blob
    assert store.used(blob.sha256) > before + 39 * DAY
    assert sweep(store, {}, Policy(now=time.time())).gone == ()


def test_what_is_used_between_judging_and_removing_stays(store: Store, tmp_path: Path) -> None:
    blob = add(store, tmp_path, "1.0", 40)
    judged = store.used(blob.sha256)
    assert store.blob(blob.sha256) == blob
    assert not store.retire(blob.sha256, judged)
    assert store.blob(blob.sha256) == blob
    aged(store, blob.sha256, 40)
    assert store.retire(blob.sha256, store.used(blob.sha256))
    assert not store.retire(blob.sha256, time.time())
    assert store.blob(blob.sha256) is None


def test_leftovers_of_killed_commands_go_when_they_are_old(store: Store, tmp_path: Path) -> None:
    kept = add(store, tmp_path, "1.0")
    places = [store.root / "tmp/old", store.root / "blobs" / ("1" * 64), store.root / "tmp/new"]
    for path in places:
        path.mkdir(parents=True)
        (path / "file").write_bytes(b"x" * 10)
    half = store.root / "records" / f"{'2' * 64}.retired"
    half.write_text("{}")
    for path in (*places[:2], half):
        os.utime(path, (1, 1))
    swept = sweep(store, {}, Policy(now=time.time()))
    assert (swept.leftovers, swept.leftover_bytes) == (3, 22)
    assert [path.exists() for path in (*places, half)] == [False, False, True, False]
    assert store.blob(kept.sha256) == kept


def test_wheels_of_a_locks_bundles_are_known_by_the_lock(store: Store) -> None:
    store.keep_answer("bundle", "a", {"lock": "l1", "wheels": [{"sha256": "w1"}, {"sha256": "w2"}]})
    store.keep_answer("bundle", "b", {"lock": "l2", "wheels": [{"sha256": "w3"}]})
    (store.root / "answers/bundle/c.json").write_text("{")
    assert in_bundles(store, {"l1": "environment x"}) == {"w1": "environment x", "w2": "environment x"}


def test_sizes_are_read_and_told(tmp_path: Path) -> None:
    assert [parse_size(text) for text in ("0", "800MB", "20G", "3 kB")] == [0, 800_000_000, 20_000_000_000, 3000]
    for wrong in ("", "20 pounds", "-1", "1.5GB"):
        with pytest.raises(UsageFailure, match="no size"):
            parse_size(wrong)
    (tmp_path / "zig/deep").mkdir(parents=True)
    (tmp_path / "zig/deep/a").write_bytes(b"x" * 7)
    (tmp_path / "store").mkdir()
    (tmp_path / "store/b").write_bytes(b"x")
    assert sizes(tmp_path) == {"zig": 7}
