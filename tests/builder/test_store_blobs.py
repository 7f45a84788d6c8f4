"""The store keeps what it was given, and finds out what was damaged."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from wheel_factory import make_wheel

from builder.errors import AuditFailure, HashFailure
from builder.files import sha256_file, write_json
from builder.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_wheel_goes_in_with_its_measures_and_provenance(store: Store, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    blob = store.add(wheel, how="built", facts={"log": "x"})
    assert blob == store.blob(sha256_file(wheel))
    assert (blob.filename, blob.size) == (wheel.name, wheel.stat().st_size)
    assert blob.path.read_bytes() == wheel.read_bytes()
    record = store.record(blob.sha256)
    assert record is not None
    assert (record["how"], record["facts"], record["top_level"]) == ("built", {"log": "x"}, ["demo"])
    assert record["files"] == 4


def test_what_is_known_stays_as_it_was(store: Store, tmp_path: Path) -> None:
    blob = store.add(make_wheel(tmp_path), how="public")
    assert store.add(make_wheel(tmp_path), how="built") == blob
    assert (store.record(blob.sha256) or {})["how"] == "public"


def test_another_hash_than_promised_and_no_wheel_are_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(HashFailure):
        store.add(make_wheel(tmp_path), how="public", sha256="0" * 64)
    fake = tmp_path / "fake-1.0-py3-none-any.whl"
    fake.write_text("no zip")
    with pytest.raises(AuditFailure):
        store.add(fake, how="public")
    assert not list((store.root / "tmp").iterdir())


def test_a_damaged_file_is_found_and_removed(store: Store, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    blob = store.add(wheel, how="public")
    blob.path.write_bytes(b"cut off")
    assert store.blob(blob.sha256) is None
    assert not blob.path.exists()
    assert store.add(wheel, how="public").path.read_bytes() == wheel.read_bytes()


def test_damage_that_hides_its_time_is_found_by_verify(store: Store, tmp_path: Path) -> None:
    blob = store.add(make_wheel(tmp_path), how="public")
    before = blob.path.stat()
    data = bytearray(blob.path.read_bytes())
    data[60] ^= 1
    blob.path.write_bytes(data)
    os.utime(blob.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert store.blob(blob.sha256)
    assert store.blob(blob.sha256, verify=True) is None


def test_a_copied_store_is_hashed_once_and_believed(store: Store, tmp_path: Path) -> None:
    blob = store.add(make_wheel(tmp_path), how="public")
    os.utime(blob.path)
    assert store.blob(blob.sha256) == blob
    assert (store.record(blob.sha256) or {})["stamp"][1] == blob.path.stat().st_mtime_ns


def test_a_record_of_a_newer_ot2deploy_is_left_alone(store: Store, tmp_path: Path) -> None:
    blob = store.add(make_wheel(tmp_path), how="public")
    write_json(store.root / "records" / f"{blob.sha256}.json", {"schema": 2})
    assert store.blob(blob.sha256) is None
    assert blob.path.exists()


def test_answers_are_kept_and_a_torn_one_is_none(store: Store) -> None:
    assert store.answer("choice", "k") is None
    store.keep_answer("choice", "k", {"sha256": "x"})
    assert store.answer("choice", "k") == {"sha256": "x"}
    (store.root / "answers" / "choice" / "k.json").write_text("{")
    assert store.answer("choice", "k") is None


def test_many_threads_may_add_the_same_file(store: Store, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        blobs = set(pool.map(lambda _: store.add(wheel, how="public"), range(16)))
    assert len(blobs) == 1
    assert store.blob(blobs.pop().sha256, verify=True)
