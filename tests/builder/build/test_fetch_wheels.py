"""Build requirements for another Linux: chosen for it, verified, refused where there is no wheel."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from engine_factory import FakeUv, served
from wheel_factory import make_wheel

from builder.build.fetch_wheels import fetch_wheels
from builder.build.zig_for import zig_for
from builder.errors import BuildFailure
from builder.lock import Locked
from builder.profile import Profile

ARM64 = Profile(name="the image x", python="3.10", machine="aarch64", glibc=(2, 36), triple="aarch64-linux-gnu")
TAGS = ("manylinux_2_17_x86_64", "manylinux_2_17_aarch64", "manylinux_2_39_aarch64")


def resolver(tmp_path: Path, name: str, *tags: str) -> FakeUv:
    wheels = [make_wheel(tmp_path / tag, f"{name}-1.0-{tag}.whl", {f"{name}.py": b""}) for tag in tags]
    return FakeUv(packages=[Locked(name=name, version="1.0", wheels=tuple(map(served, wheels)), parents=("",))])


def test_the_wheel_of_the_other_machine_is_taken(tmp_path: Path) -> None:
    uv = resolver(tmp_path, "tool", *(f"py3-none-{tag}" for tag in TAGS))
    (path,) = fetch_wheels(["tool"], ARM64, uv, constraints=["tool<2"], as_of="2025-04-20")
    assert path.name == "tool-1.0-py3-none-manylinux_2_17_aarch64.whl"
    question = uv.questions[0]
    assert (question.python, question.as_of, question.constraints) == ("3.10", "2025-04-20", ["tool<2"])


def test_what_has_no_wheel_for_it_is_told(tmp_path: Path) -> None:
    uv = resolver(tmp_path, "tool", f"py3-none-{TAGS[0]}")
    with pytest.raises(BuildFailure, match=r"no wheel for the image x: tool 1\.0"):
        fetch_wheels(["tool"], ARM64, uv)


def test_zig_for_another_system_is_unpacked_once_as_a_program(tmp_path: Path) -> None:
    wheel = tmp_path / "ziglang-1.0-py3-none-manylinux_2_17_aarch64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("ziglang/zig", b"\x7fELF")
    uv = FakeUv(packages=[Locked(name="ziglang", version="1.0", wheels=(served(wheel),), parents=("",))])
    zig = zig_for("1.0", ARM64, uv)
    assert zig.path.stat().st_mode & 0o111
    assert zig_for("1.0", ARM64, uv) == zig
