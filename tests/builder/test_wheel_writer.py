"""Writing wheels: the same bytes for the same content, and names that follow what is inside."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from wheel_factory import NATIVE, make_wheel

from builder.audit import audit
from builder.profile import load
from builder.wheel import WheelFile
from builder.wheel.writer import renamed, rewrite


def test_rewriting_is_deterministic_and_keeps_modes(tmp_path: Path) -> None:
    files = {"demo/z.py": b"", "demo/a.py": b"", "demo-1.0.data/scripts/run": b"#!python\n"}
    first = make_wheel(tmp_path / "1", files=files, executable=("demo-1.0.data/scripts/run",))
    second = make_wheel(tmp_path / "2", files=dict(reversed(files.items())), executable=("demo-1.0.data/scripts/run",))
    assert first.read_bytes() != second.read_bytes()
    copies = [rewrite(WheelFile.open(path), tmp_path / f"out{number}") for number, path in enumerate((first, second))]
    assert copies[0].read_bytes() == copies[1].read_bytes()
    with zipfile.ZipFile(copies[0]) as archive:
        infos = archive.infolist()
        assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
        assert infos[-1].filename == "demo-1.0.dist-info/RECORD"
        assert archive.getinfo("demo-1.0.data/scripts/run").external_attr >> 16 == 0o100755
        assert archive.getinfo("demo/a.py").external_attr >> 16 == 0o100644


def test_new_tags_stand_in_the_name_and_in_wheel(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "demo-1.0-cp39.cp310-abi3-manylinux_2_31_armv7l.whl", {"demo/__init__.py": b""})
    signed = WheelFile.open(path)
    copy = rewrite(signed, tmp_path / "out", platform="manylinux_2_25_armv7l", build="0repaired")
    assert copy.name == "demo-1.0-0repaired-cp39.cp310-abi3-manylinux_2_25_armv7l.whl"
    wheel = WheelFile.open(copy)
    assert wheel.tags == wheel.wheel_tags
    assert dict(wheel.wheel)["Build"] == "0repaired"
    assert "tag-mismatch" not in {finding.id for finding in audit(copy, load("ot2-py310")).findings}


def test_changed_members_get_their_new_record_and_signatures_go(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, info={"RECORD.jws": b"{}"})

    def change(name: str, data: bytes) -> bytes:
        return b"VALUE = 2\n" if name == "demo/__init__.py" else data

    copy = rewrite(WheelFile.open(path), tmp_path / "out", change=change)
    wheel = WheelFile.open(copy)
    assert wheel.read("demo/__init__.py") == b"VALUE = 2\n"
    assert "demo-1.0.dist-info/RECORD.jws" not in {member.name for member in wheel.members}
    assert audit(copy, load("ot2-py310")).findings == ()


@pytest.mark.parametrize(
    ("platform", "build", "name"),
    [
        (None, None, NATIVE),
        ("any", None, "demo-1.0-cp310-cp310-any.whl"),
        (None, "2", "demo-1.0-2-cp310-cp310-linux_armv7l.whl"),
        (None, "", NATIVE),
    ],
)
def test_renamed(platform: str | None, build: str | None, name: str) -> None:
    assert renamed(NATIVE, platform=platform, build=build) == name
