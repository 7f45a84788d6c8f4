"""What is known of a wheel: from its file alone, and with what the store kept of how it came."""

from __future__ import annotations

from pathlib import Path

import pytest
from elf_factory import elf
from wheel_factory import MODULE, NATIVE, make_wheel

from builder.errors import AuditFailure, UsageFailure
from builder.profile import load
from builder.store import Blob, Store
from builder.wheel import WheelFile
from builder.wheel.papers import find_wheel, read_papers
from builder.wheel.sbom import Part, sbom
from builder.wheel.writer import rewrite

FFI = Part(role="static library", name="libffi", version="3.4.4", purl="pkg:generic/libffi@3.4.4")
CODE = elf(needs={("libc.so.6", "GLIBC_2.4"): {"memcpy": False}})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def add(store: Store, directory: Path, filename: str = NATIVE, **facts: object) -> Blob:
    wheel = WheelFile.open(make_wheel(directory, filename, {MODULE: CODE}, metadata="Requires-Dist: numpy>=1\n"))
    return store.add(rewrite(wheel, directory / "out", added=[sbom(wheel, [FFI])]), how="built", facts=facts)


def test_a_wheel_of_the_store_tells_all(tmp_path: Path, store: Store) -> None:
    blob = add(store, tmp_path, source={"sha256": "00"})
    told = read_papers(find_wheel("demo", store), store, load("ot2-py310")).as_dict()
    assert (told["name"], told["sha256"], told["size"]) == ("demo", blob.sha256, blob.size)
    assert told["requires"] == ["numpy>=1"]
    assert told["binaries"] == [
        {
            "file": MODULE,
            "machine": "EM_ARM",
            "cpu": "ARMv7 VFPv4 NEON",
            "glibc": "2.4",
            "needed": ["libc.so.6"],
        }
    ]
    assert (told["how"], told["provenance"]) == ("built", {"source": {"sha256": "00"}})
    assert [(one["name"], one["sbom"]) for one in told["components"]] == [("libffi", "ot2deploy.cdx.json")]
    assert told["audit"]["ok"]


def test_a_file_that_never_was_in_the_store_has_no_provenance(tmp_path: Path, store: Store) -> None:
    path = make_wheel(tmp_path, NATIVE, {MODULE: b"\x7fELF but no more"})
    told = read_papers(find_wheel(str(path), store), store).as_dict()
    assert (told["how"], told["provenance"], told["audit"]) == (None, None, None)
    assert (told["binaries"], told["components"]) == ([], [])


def test_what_is_no_wheel_is_refused(tmp_path: Path, store: Store) -> None:
    (tmp_path / NATIVE).write_bytes(b"")
    with pytest.raises(AuditFailure):
        read_papers(find_wheel(str(tmp_path / NATIVE), store), store)


def test_wheels_are_found_by_hash_name_version_and_profile(tmp_path: Path, store: Store) -> None:
    first = add(store, tmp_path / "a")
    second = add(store, tmp_path / "b", "demo-2.0-cp312-cp312-linux_armv7l.whl")
    assert find_wheel(first.sha256, store) == find_wheel(first.sha256[:8], store) == first.path
    assert find_wheel("Demo==2.0", store) == find_wheel("demo>1", store) == second.path
    assert find_wheel("demo", store, load("ot2-py312")) == second.path
    with pytest.raises(UsageFailure, match="2 wheels in the store are demo") as raised:
        find_wheel("demo", store)
    assert sorted(raised.value.details) == sorted(f"{one.sha256[:12]}  {one.filename}" for one in (first, second))


@pytest.mark.parametrize("text", ["other", "demo>=3", "0" * 64, "not a name", "./gone.whl"])
def test_what_is_not_there_is_told(tmp_path: Path, store: Store, text: str) -> None:
    add(store, tmp_path)
    with pytest.raises(UsageFailure):
        find_wheel(text, store)
