"""Where a push takes its bundles from: made once for each ABI, or out of a bundle file."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from wheel_factory import make_wheel

from builder.bundle import Bundle, assemble, write
from builder.environment import Environment
from builder.errors import BuildFailure, UsageFailure
from builder.files import sha256_file
from builder.profile import Profile, load
from builder.profile_host import host_profile
from builder.store import Blob
from ot2deploy.bundles import Once, from_file, is_bundle_file

OLD, NEW = load("ot2-py310"), load("ot2-py312")


def bundle(profile: Profile, directory: Path) -> Bundle:
    wheel = make_wheel(directory)
    blob = Blob(filename=wheel.name, sha256=sha256_file(wheel), size=wheel.stat().st_size, path=wheel)
    row = {
        "name": "demo", "version": "1.0", "filename": blob.filename, "sha256": blob.sha256, "size": blob.size,
        "unpacked": 10, "files": 1, "how": "local", "requested": True,
    }  # fmt: skip
    return assemble(Environment(name="demo"), profile, [row], [blob], quick=[], as_of="2025-01-01", lock="l" * 64)


def test_a_bundle_is_made_once_however_many_robots_ask_at_the_same_time(tmp_path: Path) -> None:
    made: list[str] = []
    all_here = threading.Barrier(8, timeout=20)

    def make(profile: Profile) -> Bundle:
        made.append(profile.name)
        return bundle(profile, tmp_path)

    source = Once("demo", "environment demo", make)

    def ask(number: int) -> Bundle:
        all_here.wait()
        return source.for_profile(OLD if number % 2 else NEW)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert sorted(made) == [OLD.name, NEW.name]
    assert len({id(one) for one in found}) == 2


def test_a_failure_is_remembered_names_the_profile_and_leaves_the_others(tmp_path: Path) -> None:
    tried: list[str] = []

    def make(profile: Profile) -> Bundle:
        tried.append(profile.name)
        if profile is OLD:
            raise BuildFailure("no wheel fits")
        return bundle(profile, tmp_path)

    source = Once("demo", "environment demo", make)
    for _ in range(2):
        with pytest.raises(BuildFailure, match="no wheel fits") as caught:
            source.for_profile(OLD)
        assert caught.value.subject == OLD.name
    assert source.for_profile(NEW).profile == NEW.name
    assert tried == [OLD.name, NEW.name]


def test_a_file_gives_what_it_holds_and_says_what_it_does_not(tmp_path: Path) -> None:
    path = tmp_path / "demo.ot2bundle"
    write([bundle(OLD, tmp_path)], path)
    source = from_file(path)
    assert (source.environment, source.origin) == ("demo", "bundle file demo.ot2bundle")
    assert source.for_profile(OLD).digest == bundle(OLD, tmp_path).digest
    with pytest.raises(UsageFailure, match=r"demo\.ot2bundle holds nothing for ot2-py312") as caught:
        source.for_profile(NEW)
    assert "ot2-py310" in caught.value.why
    # The name of an environment may be no target, and the file is to go on holding what it holds.
    assert "bundle TARGET -o demo.ot2bundle --profile ot2-py310 --profile ot2-py312" in caught.value.next
    own = host_profile()
    with pytest.raises(UsageFailure) as caught:
        source.for_profile(own)
    assert caught.value.next.endswith("--profile host")
    with pytest.raises(UsageFailure) as caught:
        source.for_profile(replace(own, name="linux-s390x-cp311-glibc2.1", machine="s390x"))
    assert caught.value.next.endswith("--profile host   (on a computer that is linux-s390x-cp311-glibc2.1)")


def test_a_file_that_is_none_is_a_failure_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "bad.ot2bundle").write_bytes(b"no zip")
    with pytest.raises(BuildFailure) as caught:
        from_file(tmp_path / "bad.ot2bundle")
    assert caught.value.subject == "bad.ot2bundle"


def test_a_file_that_is_missing_is_a_wrong_command_line(tmp_path: Path) -> None:
    with pytest.raises(UsageFailure, match=r"missing\.ot2bundle does not exist") as caught:
        from_file(tmp_path / "missing.ot2bundle")
    assert caught.value.next.startswith("Run: ot2deploy bundle TARGET")


def test_a_bundle_file_is_known_by_its_name() -> None:
    assert is_bundle_file("dir/prefect.ot2bundle")
    assert not is_bundle_file("prefect")
