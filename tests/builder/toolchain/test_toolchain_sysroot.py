"""Static libraries of the target: from its packages, from source, or a clear word."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import ConfigFailure, OfflineFailure
from builder.places import cache_root
from builder.profile import load
from builder.toolchain import apt
from builder.toolchain.library_sources import SOURCES
from builder.toolchain.rust import NoRust, find_rust
from builder.toolchain.sysroot import LIBRARIES, for_glibc, prepare_sysroot

PROFILE = load("ot2-py310")


@pytest.fixture
def bare_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without apt, cargo or anything else on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))


def test_offline_packages_that_were_fetched_before_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("apt-get", "dpkg-deb"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    kept = cache_root() / "toolchain" / "apt-armhf" / "debs" / "libx-dev" / "libx-dev_1_armhf.deb"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"")
    assert apt.fetch(["libx-dev"], "armv7l", offline=True) == [kept]
    with pytest.raises(OfflineFailure, match=r"^liby-dev for armv7l") as caught:
        apt.fetch(["libx-dev", "liby-dev"], "armv7l", offline=True)
    assert "without --offline" in caught.value.next
    with pytest.raises(apt.NoApt):
        apt.fetch(["liby-dev"], "armv7l")
    assert not (kept.parent.parent / "liby-dev").exists(), "what a cut download leaves must not be taken for a package"


def test_no_libraries_no_sysroot() -> None:
    assert prepare_sysroot(PROFILE, ()) is None


def test_an_unknown_library_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigFailure, match="unknown library libfoo") as raised:
        prepare_sysroot(PROFILE, ("libffi", "libfoo"))
    assert "libffi, libjpeg, libpng, libsodium, libyaml, openssl" in raised.value.next


def test_a_host_without_packages_says_what_cannot_be_had(bare_host: None) -> None:
    with pytest.raises(apt.NoApt, match="libssl-dev for armv7l"):
        prepare_sysroot(PROFILE, ("openssl",))


def test_a_host_without_packages_turns_to_the_sources(bare_host: None) -> None:
    with pytest.raises(OfflineFailure, match="libyaml"):
        prepare_sysroot(PROFILE, ("libyaml",), offline=True)
    assert set(SOURCES) < set(LIBRARIES)


def test_names_of_a_newer_glibc_are_those_of_an_older_one_where_it_is_older() -> None:
    archive = b"!<arch>\0fcntl\0fcntl64\0my_fcntl64\0"
    assert for_glibc(archive, (2, 25)) == b"!<arch>\0fcntl\0fcntl\0\0\0my_fcntl64\0"
    assert for_glibc(archive, (2, 36)) == archive


def test_a_host_without_cargo_says_what_to_install(bare_host: None) -> None:
    with pytest.raises(NoRust) as raised:
        find_rust(PROFILE)
    assert "rustup target add armv7-unknown-linux-gnueabihf" in raised.value.next


@pytest.mark.network
@pytest.mark.skipif(not apt.available(), reason="no apt-get and dpkg-deb")
def test_debians_libraries(shared_cache: Path) -> None:
    try:
        sysroot = prepare_sysroot(PROFILE, ("libyaml", "libffi"))
    except apt.NoApt:
        pytest.skip("this host's apt sources have no armhf packages")
    assert sysroot is not None
    assert {path.name for path in (sysroot.path / "lib").glob("*.a")} == {"libyaml.a", "libffi.a"}
    assert {"yaml.h", "ffi.h", "ffitarget.h"} <= {path.name for path in (sysroot.path / "include").iterdir()}
    assert prepare_sysroot(PROFILE, ("libffi", "libyaml"), offline=True) == sysroot
