"""Judging ELF files: what stops ld.so, what does not, and which tag it proves."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from elf_factory import AARCH64, ARM, HARD, V7, X86_64, elf
from wheel_factory import NATIVE, make_wheel

from builder.audit import audit
from builder.audit.auditor import binary_format
from builder.audit.elf import Binary, NotElf, read_binary
from builder.audit.policy import judge
from builder.audit.runtimes import glibc_version, limits, max_glibc, proven_platform
from builder.profile import Profile, load

OT2 = load("ot2-py310")
ROBOT_312 = load("ot2-py312")
X86 = Profile(name="x86", python="3.11", machine="x86_64", glibc=(2, 36), triple="x86_64-linux-gnu")
FLEX = Profile(name="flex", python="3.10", machine="aarch64", glibc=(2, 31), triple="aarch64-linux-gnu")
LIBC_28 = ("libc.so.6", "GLIBC_2.28")


def binary(**facts: object) -> Binary:
    found = read_binary("x.so", elf(**facts))
    assert found is not None
    return found


def ids(found: Binary, profile: Profile = OT2, inside: tuple[str, ...] = ()) -> list[str]:
    return [finding.id for finding in judge(found, profile, inside)]


def test_facts_are_read_from_both_classes_and_byte_orders() -> None:
    for bits, machine, big in ((32, ARM, False), (64, X86_64, False), (64, AARCH64, True), (32, ARM, True)):
        found = binary(
            bits=bits,
            machine=machine,
            big_endian=big,
            soname="libx.so.1",
            needed=("liba.so", "libb.so"),
            rpath="$ORIGIN:/opt/x",
            needs={LIBC_28: {"fcntl": False, "statx": True}, ("libm.so.6", "GLIBC_2.29"): {"pow": False}},
            flagged=("GLIBC_2.29",),
        )
        assert (found.bits, found.little_endian, found.soname) == (bits, not big, "libx.so.1")
        assert found.needed == ("liba.so", "libb.so")
        assert found.rpath == ("$ORIGIN", "/opt/x")
        first, second = found.needs
        assert (first.library, first.version, first.weak) == (*LIBC_28, False)
        assert (first.strong, first.optional) == (("fcntl",), ("statx",))
        assert (second.version, second.weak, second.strong) == ("GLIBC_2.29", True, ("pow",))
    assert binary().arm is not None
    assert binary(attributes=None).arm is None


def test_object_files_are_passed_over_and_broken_ones_refused() -> None:
    assert read_binary("x.o", elf(kind=1)) is None
    whole = elf(needs={LIBC_28: {"fcntl": False}})
    for length in (20, 60, len(whole) // 2, len(whole) - 10):
        with pytest.raises(NotElf):
            read_binary("x.so", whole[:length])


@pytest.mark.parametrize(
    ("flags", "attributes", "fits"),
    [
        (HARD, V7, True),
        (0x05000000, V7, True),  # older linkers leave the flag away on libraries
        (0x05000000, {**V7, 28: 3}, True),
        (0x05000000, {**V7, 28: 0}, False),
        (0x05000200, {6: 10}, False),
        (0x05000000, None, False),
        (0x04000400, V7, False),
    ],
)
def test_float_abi(flags: int, attributes: dict[int, int] | None, fits: bool) -> None:
    assert ("elf-float-abi" not in ids(binary(flags=flags, attributes=attributes))) == fits


@pytest.mark.parametrize(
    ("attributes", "fits"),
    [
        ({6: 10, 10: 6, 12: 2, 28: 1}, True),
        ({6: 9, 28: 1}, True),
        ({6: 13, 28: 1}, True),
        ({6: 14, 28: 1}, False),
        ({6: 22, 28: 1}, False),
        ({6: 10, 10: 7, 28: 1}, False),
        ({6: 10, 12: 3, 28: 1}, False),
    ],
)
def test_cpu_attributes(attributes: dict[int, int], fits: bool) -> None:
    assert ("elf-cpu-newer" not in ids(binary(attributes=attributes))) == fits
    assert "elf-cpu-newer" not in ids(binary(attributes=attributes), dataclasses.replace(OT2, cpu="cortex_a53")) or (
        attributes[6] == 22
    )


@pytest.mark.parametrize(
    ("uses", "flagged", "expected"),
    [
        ({"fcntl": False}, False, ["glibc-too-new"]),
        ({"statx": True}, False, ["glibc-too-new"]),  # ld.so refuses the version, whatever the symbol is
        ({"statx": True, "gettid": True}, True, ["glibc-weak", "glibc-weak"]),
        ({"fcntl": False, "statx": True}, True, ["glibc-too-new"]),  # loads, and dies at the first call of fcntl
        ({}, True, []),
        ({}, False, ["glibc-too-new"]),
    ],
)
def test_versions_above_the_profiles_glibc(uses: dict[str, bool], flagged: bool, expected: list[str]) -> None:
    found = binary(needs={LIBC_28: uses}, flagged=("GLIBC_2.28",) if flagged else ())
    assert ids(found) == expected
    assert ids(found, ROBOT_312) == []


def test_relr_relocations_need_their_glibc() -> None:
    found = binary(needs={("libc.so.6", "GLIBC_ABI_DT_RELR"): {}})
    assert ids(found) == ["glibc-too-new"]
    assert ids(found, ROBOT_312) == []


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("GLIBCXX_3.4.24", []),
        ("GLIBCXX_3.4.25", ["libstdcxx-too-new"]),
        ("CXXABI_1.3.11", []),
        ("CXXABI_1.3.12", ["libstdcxx-too-new"]),
        ("CXXABI_ARM_1.3.3", []),
        ("GCC_3.5", []),
        ("GCC_7.0.0", []),
        ("GCC_12.0.0", ["libstdcxx-too-new"]),
    ],
)
def test_versions_of_the_cxx_runtime(version: str, expected: list[str]) -> None:
    found = binary(needs={("libstdc++.so.6", version): {"_Zx": False}})
    assert ids(found) == expected
    assert ids(found, inside=("libstdc++.so.6",)) == []


def test_other_machines_are_judged_by_the_same_code() -> None:
    strong = {("libc.so.6", "GLIBC_2.34"): {"pthread_create": False}}
    assert ids(binary(machine=X86_64, bits=64, needs=strong), X86) == []
    assert ids(binary(machine=AARCH64, bits=64, needs=strong), FLEX) == ["glibc-too-new"]
    assert ids(binary(), FLEX) == ["elf-machine"]


@pytest.mark.parametrize(
    ("facts", "platform"),
    [
        ({}, "manylinux_2_17_armv7l"),
        ({"needs": {("libc.so.6", "GLIBC_2.25"): {"getrandom": False}}}, "manylinux_2_25_armv7l"),
        ({"needs": {LIBC_28: {"statx": True}}, "flagged": ("GLIBC_2.28",)}, "manylinux_2_17_armv7l"),
        ({"needs": {LIBC_28: {"fcntl": False}}}, "linux_armv7l"),
        ({"needed": ("libcrypt.so.1",)}, "linux_armv7l"),
        ({"needed": ("libstdc++.so.6",)}, "manylinux_2_17_armv7l"),
        (
            {"needed": ("libstdc++.so.6",), "needs": {("libstdc++.so.6", "GLIBCXX_3.4.22"): {"_Zx": False}}},
            "manylinux_2_24_armv7l",
        ),
        (
            {"needed": ("libstdc++.so.6",), "needs": {("libstdc++.so.6", "GLIBCXX_3.4.24"): {"_Zx": False}}},
            "linux_armv7l",  # the first policy with that libstdc++ is 2_27
        ),
    ],
)
def test_the_platform_tag_is_what_the_files_prove(facts: dict[str, object], platform: str) -> None:
    assert proven_platform([binary(**facts)], OT2) == platform


def test_version_names() -> None:
    assert glibc_version("GLIBC_2.2.5") == (2, 2, 5)
    assert glibc_version("GLIBC_PRIVATE") is None
    assert glibc_version("GLIBCXX_3.4") is None
    assert max_glibc([binary(needs={("libc.so.6", "GLIBC_2.4"): {"x": False}, LIBC_28: {"y": True}})]) == (2, 28)
    assert limits("3.4.25")["CXXABI"] == (1, 3, 11)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\x7fELF", "ELF"),
        (b"\xcf\xfa\xed\xfe", "Mach-O"),
        (b"\xca\xfe\xba\xbe\0\0\0\2", "Mach-O"),
        (b"\xca\xfe\xba\xbe\0\0\0\x34", None),  # a Java class
        (b"MZ is how this text begins", None),
        (b"#!/bin/sh", None),
        (b"!<arch>\n", None),
        (b"", None),
    ],
)
def test_formats_are_known_by_their_first_bytes(start: bytes, kind: str | None) -> None:
    assert binary_format(start) == kind


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("needs", [{}, {LIBC_28: {"statx": True}}])
def test_a_symbol_that_nothing_has_is_found(bits: int, needs: dict[tuple[str, str], dict[str, bool]]) -> None:
    profile = OT2 if bits == 32 else X86
    facts: dict[str, object] = {"bits": bits, "machine": ARM if bits == 32 else X86_64, "needs": needs}
    names = {"fcntl64": False, "weak": True, "PyList_New": False, "_Py_Dealloc": False, "dlsym": False}
    lost = binary(**facts, undefined=names, defines=("PyInit_x",))
    assert lost.undefined == ("fcntl64",)
    assert "elf-undefined" in ids(lost, profile)
    assert "elf-undefined" not in [found.id for found in judge(lost, profile, (), {"fcntl64"})]
    elsewhere = binary(**facts, undefined={"inflate": False}, needed=("libc.so.6", "libz.so.1"))
    assert "elf-undefined" not in ids(elsewhere, profile), "a library without versions may have it"


def test_the_files_of_a_wheel_may_need_each_other(tmp_path: Path) -> None:
    both = {"demo/a.so": elf(undefined={"shared": False}), "demo/b.so": elf(defines=("shared",))}
    assert audit(make_wheel(tmp_path, NATIVE, both), OT2).ok
    alone = {"demo/a.so": elf(undefined={"shared": False}), "demo/b.so": elf()}
    assert [found.id for found in audit(make_wheel(tmp_path, NATIVE, alone), OT2).errors] == ["elf-undefined"]
