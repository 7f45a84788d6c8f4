"""Each finding is made by a wheel that deserves it, and by no good wheel."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from elf_factory import SOFT, V8, X86_64, elf
from wheel_factory import MODULE, NATIVE, PURE, add_member, edit_zip, make_wheel

from builder.audit import Audit, audit, findings
from builder.profile import Profile, load

OT2 = load("ot2-py310")
MAC = Profile(name="mac", python="3.10", machine="arm64", system="Darwin", glibc=None, platforms=("macosx_14_0_arm64",))
MACH_O = b"\xcf\xfa\xed\xfe" + b"\0" * 60
PE = b"MZ" + b"\0" * 58 + b"\x40\0\0\0" + b"PE\0\0"
Case = Callable[[Path], Audit]


def native(**facts: object) -> Case:
    """A wheel with one extension module of these facts."""
    return lambda where: audit(make_wheel(where, NATIVE, {MODULE: elf(**facts)}), OT2)


def holding(file: str, data: bytes, filename: str = NATIVE, profile: Profile = OT2) -> Case:
    """A wheel with one file, beside a module where the name says that there is one."""
    return lambda where: audit(make_wheel(where, filename, {file: data}), profile)


def with_papers(filename: str = PURE, **changes: str) -> Case:
    """A wheel with other METADATA lines or another WHEEL."""
    return lambda where: audit(make_wheel(where, filename, **changes), OT2)  # type: ignore[arg-type]


def with_record(edit: Callable[[str], str]) -> Case:
    """A wheel whose RECORD was changed."""

    def change(name: str, data: bytes) -> list[tuple[str, bytes]]:
        return [(name, edit(data.decode()).encode() if name.endswith("RECORD") else data)]

    return lambda where: audit(edit_zip(make_wheel(where), change), OT2)  # type: ignore[arg-type]


def not_a_wheel(where: Path) -> Audit:
    path = where / PURE
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    return audit(path, OT2)


def damaged(where: Path) -> Audit:
    path = make_wheel(where, files={"demo.py": b"VALUE = 1\n" * 50})
    data = bytearray(path.read_bytes())
    data[data.index(b"demo.py") + len(b"demo.py") + 4] ^= 0xFF
    path.write_bytes(data)
    return audit(path, OT2)


def unknown_libstdcxx(where: Path) -> Audit:
    module = elf(needs={("libstdc++.so.6", "GLIBCXX_3.4.29"): {"_Zx": False}})
    return audit(make_wheel(where, NATIVE, {MODULE: module}), dataclasses.replace(OT2, glibcxx=""))


GLIBC_28 = ("libc.so.6", "GLIBC_2.28")
CASES: dict[str, Case] = {
    "not-a-wheel": not_a_wheel,
    "file-sha256": lambda where: audit(make_wheel(where), OT2, sha256="0" * 64),
    "member-unsafe": lambda where: audit(add_member(make_wheel(where), "../evil.py"), OT2),
    "member-damaged": damaged,
    "record-hash": with_record(lambda text: text.replace("__init__.py,sha256=", "__init__.py,sha256=A")),
    "record-size": with_record(lambda text: text.replace("=,10", "=,11").replace(",10\n", ",11\n")),
    "record-weak": with_record(lambda text: text.replace("__init__.py,sha256=", "__init__.py,md5=")),
    "record-unlisted": lambda where: audit(add_member(make_wheel(where), "extra.py"), OT2),
    "record-absent": with_record(lambda text: text + "demo/gone.py,sha256=x,1\n"),
    "wheel-version": with_papers(wheel="Wheel-Version: 2.0\nTag: py3-none-any\n"),
    "name-mismatch": lambda where: audit(make_wheel(where).rename(where / PURE.replace("demo", "other")), OT2),
    "tag-unfit": holding(MODULE, elf(), NATIVE.replace("linux_armv7l", "manylinux_2_31_armv7l")),
    "python-unfit": with_papers(metadata="Requires-Python: >=3.11\n"),
    "no-native-code": lambda where: audit(make_wheel(where), OT2, expect_native=True),
    "pure-with-native": holding("demo/_speed.so", elf(text=b"\0PyInit__speed\0"), PURE),
    "pure-with-program": holding("demo/driver", elf(machine=X86_64, bits=64), PURE),
    "binary-foreign": holding("demo/_speed.so", MACH_O),
    "elf-malformed": holding(MODULE, b"\x7fELF and then nothing of the kind"),
    "elf-machine": native(machine=X86_64, bits=64),
    "elf-class": native(bits=64),
    "elf-float-abi": native(flags=SOFT, attributes={6: 10, 28: 0}),
    "elf-cpu-newer": native(attributes=V8),
    "elf-undefined": native(undefined={"fcntl64": False}),
    "elf-missing-lib": native(needed=("libc.so.6", "libffi.so.8")),
    "ext-suffix": holding("demo/_speed.cpython-312-arm-linux-gnueabihf.so", elf()),
    "glibc-too-new": native(needs={GLIBC_28: {"fcntl": False}}),
    "glibc-private": native(needs={("libc.so.6", "GLIBC_PRIVATE"): {"__libc_secret": False}}),
    "libstdcxx-too-new": native(needs={("libstdc++.so.6", "GLIBCXX_3.4.29"): {"_Zx": False}}),
    "tag-mismatch": with_papers(wheel="Wheel-Version: 1.0\nTag: py2-none-any\n"),
    "tag-needless": with_papers(NATIVE),
    "glibc-weak": native(needs={GLIBC_28: {"statx": True}}, flagged=("GLIBC_2.28",)),
    "elf-rpath-absolute": native(rpath="$ORIGIN/../demo.libs:/opt/build/lib"),
    "build-path": native(text=b"\0/home/runner/work/demo/speed.c\0"),
    "binary-unused": holding("demo/launcher.exe", PE, PURE),
    "binaries-unread": holding("demo/_speed.so", MACH_O, "demo-1.0-cp310-cp310-macosx_14_0_arm64.whl", MAC),
    "libstdcxx-unknown": unknown_libstdcxx,
}


def test_every_finding_has_its_case() -> None:
    assert set(CASES) == set(findings.KINDS)


@pytest.mark.parametrize("known", CASES)
def test_the_case_makes_the_finding(known: str, tmp_path: Path) -> None:
    result = CASES[known](tmp_path)
    found = {finding.id: finding for finding in result.findings}
    assert known in found
    assert found[known].severity == findings.KINDS[known].severity
    assert result.ok == all(finding.severity != "error" for finding in result.findings)
    assert Audit.from_dict(result.as_dict()) == result


@pytest.mark.parametrize("known", [known for known, kind in findings.KINDS.items() if kind.severity != "error"])
def test_what_is_no_error_refuses_nothing(known: str, tmp_path: Path) -> None:
    assert CASES[known](tmp_path).ok


def test_good_wheels_have_no_finding(tmp_path: Path) -> None:
    needs = {("libc.so.6", "GLIBC_2.4"): {"malloc": False}, ("libstdc++.so.6", "GLIBCXX_3.4.24"): {"_Zx": False}}
    module = elf(needs=needs, needed=("libc.so.6", "libstdc++.so.6", "libown-1.so"), rpath="$ORIGIN/../demo.libs")
    own = elf(soname="libown-1.so")
    result = audit(make_wheel(tmp_path, NATIVE, {MODULE: module, "demo.libs/libown-1.so": own}), OT2)
    assert result.findings == ()
    assert result.max_glibc == (2, 4)
    assert len(result.binaries) == 2
    assert audit(make_wheel(tmp_path), OT2).findings == ()


def test_the_reference_lists_them_all() -> None:
    table = findings.reference()
    assert all(f"| `{known}` | {kind.severity} |" in table for known, kind in findings.KINDS.items())
