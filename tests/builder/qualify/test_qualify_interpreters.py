"""Which ARM interpreter is taken: Debian's, one that is given, and none where none fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import UsageFailure
from builder.profile import load
from builder.qualify import Emulated, find_interpreter

pytestmark = pytest.mark.emulated
DEBIAN, OT2 = load("debian-12-armhf"), load("ot2-py310")


def test_debians_is_run_as_the_profiles_cpu(emulated: Emulated) -> None:
    assert emulated.title == "CPython 3.11.2 of debian-12-armhf, QEMU cortex-a7"
    assert (emulated.glibc, emulated.minor) == ((2, 36), "3.11")
    assert any(name.startswith("libc6_2.36") for name in emulated.packages)


def test_a_prefix_uses_debians_libraries_and_a_root_its_own(emulated: Emulated) -> None:
    prefix = find_interpreter(DEBIAN, emulated.root / "usr")
    assert prefix == replace(emulated, origin=str(emulated.root / "usr"))
    root = find_interpreter(DEBIAN, emulated.root)
    assert root is not None
    assert (root.root, root.python, root.packages) == (emulated.root, emulated.python, ())


def test_what_will_not_do_is_refused_with_the_reason(emulated: Emulated, tmp_path: Path) -> None:
    with pytest.raises(UsageFailure, match=r"has no bin/python3\.10"):
        find_interpreter(OT2, emulated.root)
    with pytest.raises(UsageFailure, match=r"runs on glibc 2\.36, debian-12-armhf has 2\.40"):
        find_interpreter(replace(DEBIAN, glibc=(2, 40)), emulated.root)
    other = tmp_path / "bin" / "python3.10"
    other.parent.mkdir()
    other.symlink_to(emulated.python)
    with pytest.raises(UsageFailure, match=r"is no Python 3\.10 for 32-bit ARM"):
        find_interpreter(OT2, tmp_path)


def test_without_one_there_is_none(shared_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path))
    assert find_interpreter(OT2) is None
    assert find_interpreter(replace(DEBIAN, machine="aarch64")) is None


def test_uvs_is_taken_only_when_it_answers(emulated: Emulated, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """uv calls its prefixes after version and machine; one that is another version inside is passed over."""
    directory = tmp_path / "cpython-3.10.15-linux-armv7-gnueabihf" / "bin"
    directory.mkdir(parents=True)
    (directory / "python3.10").symlink_to(emulated.python)
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path))
    assert find_interpreter(OT2) is None
