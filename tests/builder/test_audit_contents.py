"""Judging a wheel's papers: the cases that lie near a border."""

from __future__ import annotations

from pathlib import Path

import pytest
from elf_factory import elf
from wheel_factory import MODULE, NATIVE, add_member, make_wheel

from builder.audit import AUDIT_VERSION, Audit, audit
from builder.errors import AuditFailure
from builder.profile import load

OT2 = load("ot2-py310")
PE = b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0 PyInit__speed"
HEADERS = "Wheel-Version: 1.0\n"


def ids(path: Path) -> set[str]:
    return {finding.id for finding in audit(path, OT2).findings}


@pytest.mark.parametrize(("version", "fits"), [("1.0", True), ("1.9", True), ("2.0", False), ("1", False), ("", False)])
def test_wheel_version(tmp_path: Path, version: str, fits: bool) -> None:
    path = make_wheel(tmp_path, wheel=f"Wheel-Version: {version}\nTag: py3-none-any\n")
    assert ("wheel-version" not in ids(path)) == fits


def test_compressed_tags_in_wheel_are_the_same_tags(tmp_path: Path) -> None:
    name = "demo-1.0-cp310-cp310-manylinux_2_17_armv7l.manylinux2014_armv7l.whl"
    tag = "Tag: cp310-cp310-manylinux_2_17_armv7l.manylinux2014_armv7l\n"
    assert ids(make_wheel(tmp_path, name, {MODULE: elf()}, wheel=HEADERS + tag)) == set()


@pytest.mark.parametrize(
    ("files", "fits"),
    [
        (["demo/_x.cpython-310-arm-linux-gnueabihf.so"], True),
        (["demo/_x.abi3.so", "demo/_y.so", "demo.libs/libz-1.2.so"], True),
        (["demo/_x.cpython-310.so"], True),
        (["demo/_x.cpython-310-arm-linux-musleabihf.so"], False),
        (["demo/_x.cpython-310-x86_64-linux-gnu.so"], False),
        (["demo/_x.cpython-311-arm-linux-gnueabihf.so"], False),
        (["demo/_x.pypy310-pp73-arm-linux-gnueabihf.so"], False),
        (["demo/_x.cpython-311-arm-linux-gnueabihf.so", "demo/_x.cpython-310-arm-linux-gnueabihf.so"], True),
    ],
)
def test_extension_modules_must_be_importable(tmp_path: Path, files: list[str], fits: bool) -> None:
    path = make_wheel(tmp_path, NATIVE, dict.fromkeys(files, elf()))
    assert ("ext-suffix" not in ids(path)) == fits


def test_static_libraries_and_object_files_are_no_native_code(tmp_path: Path) -> None:
    assert ids(make_wheel(tmp_path, files={"demo/lib/libx.a": b"!<arch>\n", "demo/x.o": elf(kind=1)})) == set()


def test_a_pure_wheel_may_bring_programs_for_every_platform_but_no_module(tmp_path: Path) -> None:
    other, needs = {"machine": 62, "bits": 64}, {("libc.so.6", "GLIBC_2.34"): {"x": False}}
    helpers = {"demo/linux/driver": elf(**other, needs=needs), "demo/attach_amd64.so": elf(**other)}
    result = audit(
        make_wheel(tmp_path, files={**helpers, "demo/attach.dylib": b"\xcf\xfa\xed\xfe", "demo/_speed.pyd": PE}), OT2
    )
    assert result.ok
    assert {finding.id for finding in result.findings} == {"pure-with-program", "binary-unused"}
    assert (result.binaries, result.max_glibc) == ((), None)
    module = elf(**other, text=b"\0PyInit__speed\0")
    assert {"pure-with-native", "elf-machine"} <= ids(make_wheel(tmp_path, files={"demo/_speed.so": module}))
    assert "glibc-too-new" in ids(make_wheel(tmp_path, files={"demo/libx.so": elf(needs=needs)}))


def test_the_record_needs_no_row_for_its_signature(tmp_path: Path) -> None:
    path = add_member(make_wheel(tmp_path), "demo-1.0.dist-info/RECORD.jws", b"{}")
    assert ids(path) == set()


def test_a_refused_wheel_is_told_in_three_parts(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, NATIVE, {MODULE: elf(machine=62, bits=64), "b.so": elf(machine=62, bits=64)})
    with pytest.raises(AuditFailure) as caught:
        audit(path, OT2).require()
    first, *rest = caught.value.lines()
    assert "does not fit ot2-py310" in first
    assert "and 1 more" in first
    assert len(rest) == 2
    assert all("elf-machine" in line for line in rest)


def test_an_audit_of_another_version_is_none(tmp_path: Path) -> None:
    document = audit(make_wheel(tmp_path), OT2).as_dict()
    assert Audit.from_dict({**document, "version": AUDIT_VERSION + 1}) is None


def test_a_wheel_for_the_wrong_sha256_is_not_even_opened(tmp_path: Path) -> None:
    result = audit(make_wheel(tmp_path), OT2, sha256="0" * 64)
    assert [finding.id for finding in result.findings] == ["file-sha256"]
