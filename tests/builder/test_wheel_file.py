"""Reading wheels: what a good one says, and how a bad one is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from packaging.tags import Tag
from wheel_factory import NATIVE, add_member, edit_zip, make_wheel

from builder.errors import AuditFailure
from builder.wheel import NotAWheel, UnsafeWheel, WheelFile


def test_a_wheel_says_who_it_is(tmp_path: Path) -> None:
    path = make_wheel(
        tmp_path,
        "Demo_Pkg-1.0.0-3-cp310-cp310-linux_armv7l.whl",
        {"demo_pkg/__init__.py": b"x = 1\n"},
        metadata="Requires-Python: >=3.8\nRequires-Dist: idna>=2; python_version < '4'\nRequires-Dist: six\n",
    )
    wheel = WheelFile.open(path)
    assert (wheel.name, wheel.version, wheel.build) == ("demo-pkg", "1.0.0", "3")
    assert wheel.tags == wheel.wheel_tags == {Tag("cp310", "cp310", "linux_armv7l")}
    assert [requirement.name for requirement in wheel.requires_dist] == ["idna", "six"]
    assert wheel.requires_python == ">=3.8"
    assert wheel.wheel_version == "1.0"
    assert not wheel.is_pure
    assert wheel.file_count == 4
    assert wheel.unpacked_size == sum(member.size for member in wheel.members)
    assert {row.path for row in wheel.record} == {member.name for member in wheel.members}


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["demo/__init__.py", "demo/deep/x.py"], ("demo",)),
        (["single.py", "_speed.cpython-310-arm-linux-gnueabihf.so", "_abi.abi3.so"], ("_abi", "_speed", "single")),
        (["ruamel/yaml/clib/__init__.py"], ("ruamel",)),
        (["demo-1.0.data/purelib/moved/__init__.py", "demo-1.0.data/data/share/x.py"], ("moved",)),
        (["demo.libs/libx.so.1", "not-a-name/x.py", "demo/data.json", "demo.libs/liby.so"], ()),
    ],
)
def test_import_names_come_from_the_files(tmp_path: Path, files: list[str], names: tuple[str, ...]) -> None:
    assert WheelFile.open(make_wheel(tmp_path, NATIVE, dict.fromkeys(files, b""))).top_level == names


def test_scripts_are_entry_points_and_shipped_ones(tmp_path: Path) -> None:
    points = b"[console_scripts]\nDemo = demo:main\n[gui_scripts]\nwindow=demo:gui\n[other]\nno = demo:x\n"
    files = {"demo/__init__.py": b"", "demo-1.0.data/scripts/old.sh": b"#!/bin/sh\n"}
    wheel = WheelFile.open(make_wheel(tmp_path, files=files, info={"entry_points.txt": points}))
    assert wheel.scripts == ("Demo", "old.sh", "window")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "version https://git-lfs"),
        (b"<!DOCTYPE html><title>Not found</title>", "DOCTYPE"),
        (b"", "empty"),
        (b"PK\x03\x04 and then nothing", "cut off"),
    ],
)
def test_what_is_no_zip_is_refused_by_what_it_begins_with(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(content)
    with pytest.raises(NotAWheel) as caught:
        WheelFile.open(path)
    assert words in caught.value.why
    assert isinstance(caught.value, AuditFailure)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAWheel, match="No such file"):
        WheelFile.open(tmp_path / "demo-1.0-py3-none-any.whl")


def test_a_name_that_is_no_wheels_is_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path)
    with pytest.raises(NotAWheel, match="its name"):
        WheelFile.open(path.rename(tmp_path / "demo.whl"))


@pytest.mark.parametrize("part", ["METADATA", "WHEEL", "RECORD"])
def test_papers_must_be_there(tmp_path: Path, part: str) -> None:
    path = edit_zip(make_wheel(tmp_path), lambda name, data: [] if name.endswith(part) else [(name, data)])
    with pytest.raises(NotAWheel, match=part):
        WheelFile.open(path)


def test_two_dist_infos_are_refused(tmp_path: Path) -> None:
    path = add_member(make_wheel(tmp_path), "other-1.dist-info/METADATA")
    with pytest.raises(NotAWheel, match=r"demo-1\.0\.dist-info and other-1\.dist-info"):
        WheelFile.open(path)


def _link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("demo/link")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return info


@pytest.mark.parametrize(
    ("member", "why"),
    [
        ("/etc/passwd", "absolute"),
        ("C:/windows/x", "absolute"),
        ("demo/../../x", ".."),
        ("demo//x", "not normal"),
        ("demo/./x", "not normal"),
        ("demo\\x", "backslash"),
        ("demo/__init__.py", "2 times"),
        (_link(), "symbolic link"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_unsafe_members_are_refused_with_the_reason(tmp_path: Path, member: str | zipfile.ZipInfo, why: str) -> None:
    path = add_member(make_wheel(tmp_path), member, b"x")
    with pytest.raises(UnsafeWheel) as caught:
        WheelFile.open(path)
    assert why in caught.value.details[0]


def test_a_damaged_member_is_named_when_it_is_read(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, files={"demo.py": b"VALUE = 'found by its bytes'\n" * 40})
    data = bytearray(path.read_bytes())
    at = data.index(b"demo.py") + len(b"demo.py") + 4
    data[at] ^= 0xFF
    path.write_bytes(data)
    wheel = WheelFile.open(path)
    with pytest.raises(NotAWheel, match=r"demo\.py is damaged"):
        wheel.read("demo.py")
    assert [member.name for member, content in wheel.contents() if content is None] == ["demo.py"]
