"""Repairing wheels that are a little too new: planned on facts, done on real machine code, proven by ld.so."""

from __future__ import annotations

import io
import os
import platform
import struct
import sys
from pathlib import Path

import pytest
from elf_factory import V8, elf
from elftools.elf.elffile import ELFFile
from wheel_factory import MODULE, NATIVE, make_wheel

from builder.audit import audit
from builder.audit.elf import read_binary
from builder.audit.versions import read_entries, read_uses
from builder.errors import AuditFailure
from builder.files import sha256_file
from builder.profile import Profile, load
from builder.repair import TWINS, RepairRefused, apply, plan, repair
from builder.run import environment, run
from builder.wheel import WheelFile
from builder.wheel.sbom import components

OT2 = load("ot2-py310")
TOO_NEW = NATIVE.replace("linux_armv7l", "manylinux_2_31_armv7l")
LIBC_4, LIBC_28, LIBM_4, LIBM_29 = (
    ("libc.so.6", "GLIBC_2.4"),
    ("libc.so.6", "GLIBC_2.28"),
    ("libm.so.6", "GLIBC_2.4"),
    ("libm.so.6", "GLIBC_2.29"),
)
BASE = {LIBC_4: {"malloc": False}, LIBM_4: {"sqrt": False}}


def needs_of(data: bytes) -> dict[str, tuple[bool, tuple[str, ...], tuple[str, ...]]]:
    binary = read_binary("x.so", data)
    assert binary is not None
    return {f"{need.library} {need.version}": (need.weak, need.strong, need.optional) for need in binary.needs}


def patched(profile: Profile = OT2, **facts: object) -> tuple[bytes, tuple[str, ...]]:
    data = elf(**facts)
    parsed = ELFFile(io.BytesIO(data))
    patch = plan(tuple(read_entries(parsed, data)), tuple(read_uses(parsed, data)), profile)
    return apply(patch, data), patch.refused


def test_weak_symbols_let_their_version_be_flagged() -> None:
    data, refused = patched(needs={**BASE, LIBC_28: {"statx": True, "gettid": True}})
    assert refused == ()
    assert needs_of(data)["libc.so.6 GLIBC_2.28"] == (True, (), ("gettid", "statx"))
    assert needs_of(data)["libc.so.6 GLIBC_2.4"] == (False, ("malloc",), ())


def test_strong_symbols_of_the_table_go_to_their_first_version() -> None:
    data, refused = patched(needs={**BASE, LIBC_28: {"fcntl": False, "statx": True}, LIBM_29: {"pow": False}})
    assert refused == ()
    assert needs_of(data) == {
        "libc.so.6 GLIBC_2.4": (False, ("fcntl", "malloc"), ()),
        "libm.so.6 GLIBC_2.4": (False, ("pow", "sqrt"), ()),
        "libc.so.6 GLIBC_2.28": (True, (), ("statx",)),
        "libm.so.6 GLIBC_2.29": (True, (), ()),
    }


@pytest.mark.parametrize(
    ("needs", "refused"),
    [
        ({**BASE, LIBC_28: {"thrd_create": False}}, ("thrd_create@GLIBC_2.28 (libc.so.6)",)),
        ({**BASE, LIBC_28: {"fcntl": False, "fcntl64": False}}, ("fcntl64@GLIBC_2.28 (libc.so.6)",)),
        ({LIBC_28: {"fcntl": False}}, ("fcntl@GLIBC_2.28 (libc.so.6)",)),  # no entry of the old version to point at
        ({**BASE, ("libc.so.6", "GLIBC_2.33"): {"fcntl": False}}, ("fcntl@GLIBC_2.33 (libc.so.6)",)),
    ],
)
def test_other_strong_symbols_are_refused_and_nothing_is_flagged(needs: object, refused: tuple[str, ...]) -> None:
    data, found = patched(needs=needs)
    assert found == refused
    assert not any(weak for weak, _, _ in needs_of(data).values())


def test_every_twin_says_why() -> None:
    assert all(len(reason) > 40 for reason in TWINS.values())
    assert len(TWINS) < 20


def test_a_repaired_wheel_has_its_proven_tag_and_a_clean_audit(tmp_path: Path) -> None:
    needs = {LIBC_4: {"malloc": False}, ("libc.so.6", "GLIBC_2.25"): {"getrandom": False}, LIBC_28: {"fcntl": False}}
    vendored = elf(soname="libown-1.so", needs={LIBC_28: {"statx": True}})
    files = {MODULE: elf(needs=needs, needed=("libown-1.so", "libc.so.6")), "demo.libs/libown-1.so": vendored}
    original = make_wheel(tmp_path, TOO_NEW, files)
    result = repair(original, tmp_path / "out", OT2)
    assert result.path.name == NATIVE.replace("linux_armv7l", "manylinux_2_25_armv7l")
    assert result.audit.ok
    assert {finding.id for finding in result.audit.findings} == {"glibc-weak"}
    assert [change.split(":")[0] for change in result.changes[:2]] == [MODULE, "demo.libs/libown-1.so"]
    assert result.changes[-1] == "platform tag manylinux_2_31_armv7l -> manylinux_2_25_armv7l"
    (part,) = components(WheelFile.open(result.path))
    assert part["hashes"] == [{"alg": "SHA-256", "content": sha256_file(original)}]
    assert part["properties"] == [{"name": "ot2deploy:role", "value": "original"}]
    again = repair(original, tmp_path / "again", OT2)
    assert again.path.read_bytes() == result.path.read_bytes()


def test_a_wheel_that_is_only_tagged_too_new_gets_the_tag_it_deserves(tmp_path: Path) -> None:
    result = repair(make_wheel(tmp_path, TOO_NEW, {MODULE: elf()}), tmp_path / "out", OT2)
    assert result.path.name == NATIVE.replace("linux_armv7l", "manylinux_2_17_armv7l")
    assert WheelFile.open(result.path).read(MODULE) == elf()


def test_other_bytes_never_keep_the_name(tmp_path: Path) -> None:
    lying = NATIVE.replace("linux_armv7l", "manylinux_2_17_armv7l")
    result = repair(make_wheel(tmp_path, lying, {MODULE: elf(needs={LIBC_28: {"statx": True}})}), tmp_path / "out", OT2)
    assert result.path.name == lying.replace("1.0-", "1.0-0repaired-")


def test_a_wheel_that_fits_is_left_alone(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, NATIVE, {MODULE: elf()})
    result = repair(path, tmp_path / "out", OT2)
    assert (result.path, result.changes) == (path, ())
    assert not (tmp_path / "out").exists()


def test_what_is_wrong_otherwise_is_refused_with_all_reasons(tmp_path: Path) -> None:
    module = elf(attributes=V8, needs={LIBC_28: {"thrd_create": False}})
    with pytest.raises(RepairRefused) as caught:
        repair(make_wheel(tmp_path, TOO_NEW, {MODULE: module}), tmp_path / "out", OT2)
    assert isinstance(caught.value, AuditFailure)
    assert "elf-cpu-newer" in caught.value.details[0]
    assert "thrd_create@GLIBC_2.28" in caught.value.details[1]
    assert not (tmp_path / "out").exists()


# --- real machine code, by the compiler that also builds wheels

STUB = """
int newest(void) { return 1; }
int first_fcntl(int a, int b) { return 2; }
int later_fcntl(int a, int b) { return 3; }
int getpid(void) { return 4; }
__asm__(".symver first_fcntl, fcntl@FIRST");
__asm__(".symver later_fcntl, fcntl@@GLIBC_2.28");
__asm__(".symver newest, newest@@GLIBC_2.99");
__asm__(".symver getpid, getpid@@FIRST");
"""
VERSIONS = "FIRST { global: getpid; local: *; }; GLIBC_2.28 {} FIRST; GLIBC_2.99 {} GLIBC_2.28;"
MODULE_SOURCE = """
extern int newest(void) __attribute__((weak));
extern int fcntl(int, int), getpid(void);
int answer(void) { return newest ? newest() : 42; }
int others(void) { return fcntl(0, 1) >= 0 && getpid() > 1; }
"""


def compiled(where: Path, target: str, cpu: str, first: str) -> bytes:
    """A library that needs a glibc which is newer than any, linked to a stand-in for it."""
    where.mkdir()
    for name, text in (("stub.c", STUB), ("module.c", MODULE_SOURCE), ("stub.map", VERSIONS)):
        (where / name).write_text(text.replace("FIRST", first))
    env = environment({"ZIG_GLOBAL_CACHE_DIR": str(where / "zig"), "ZIG_LOCAL_CACHE_DIR": str(where / "zig")})
    cc = [sys.executable, "-m", "ziglang", "cc", "-target", target, f"-mcpu={cpu}", "-nostdlib", "-shared", "-fPIC"]
    cc.append("-fno-unwind-tables")  # its tables name a function of the runtime that is left out here
    link = ["-Wl,-soname,libc.so.6", f"-Wl,--version-script={where / 'stub.map'}"]
    run([*cc, "-O2", where / "stub.c", *link, "-o", where / "libstub.so"], timeout=120, env=env)
    run([*cc, "-O2", where / "module.c", where / "libstub.so", "-o", where / "module.so"], timeout=120, env=env)
    return (where / "module.so").read_bytes()


def test_real_arm_code_is_read_and_repaired(tmp_path: Path) -> None:
    data = compiled(tmp_path / "a7", "arm-linux-gnueabihf", "cortex_a7", "GLIBC_2.4")
    path = make_wheel(tmp_path, TOO_NEW, {MODULE: data})
    assert sorted(finding.id for finding in audit(path, OT2).errors) == ["glibc-too-new", "glibc-too-new", "tag-unfit"]
    result = repair(path, tmp_path / "out", OT2)
    fixed = WheelFile.open(result.path).read(MODULE)
    assert needs_of(fixed)["libc.so.6 GLIBC_2.4"] == (False, ("fcntl", "getpid"), ())
    assert needs_of(fixed)["libc.so.6 GLIBC_2.99"] == (True, (), ("newest",))
    assert len(fixed) == len(data)
    assert (
        sum(a != b for a, b in zip(struct.iter_unpack("<H", data), struct.iter_unpack("<H", fixed), strict=True)) == 3
    )


def test_real_armv8_code_is_told_from_armv7(tmp_path: Path) -> None:
    data = compiled(tmp_path / "a53", "arm-linux-gnueabihf", "cortex_a53", "GLIBC_2.4")
    ids = {finding.id for finding in audit(make_wheel(tmp_path, NATIVE, {MODULE: data}), OT2).findings}
    assert "elf-cpu-newer" in ids


@pytest.mark.skipif(
    platform.machine() != "x86_64" or "glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""),
    reason="the host's ld.so is the judge",
)
def test_the_dynamic_linker_refuses_the_original_and_loads_the_repaired_one(tmp_path: Path) -> None:
    here = Profile(name="here", python="3.10", machine="x86_64", glibc=(2, 27), triple="x86_64-linux-gnu")
    data = compiled(tmp_path / "x86", "x86_64-linux-gnu", "baseline", "GLIBC_2.2.5")
    module = "demo/_speed.cpython-310-x86_64-linux-gnu.so"
    path = make_wheel(tmp_path, "demo-1.0-cp310-cp310-manylinux_2_31_x86_64.whl", {module: data})
    fixed = WheelFile.open(repair(path, tmp_path / "out", here).path).read(module)
    program = "import ctypes, sys; lib = ctypes.CDLL(sys.argv[1]); print(lib.answer(), lib.others())"
    outcomes = []
    for name, content in (("before.so", data), ("after.so", fixed)):
        (tmp_path / name).write_bytes(content)
        outcomes.append(run([sys.executable, "-c", program, tmp_path / name], timeout=60, check=False))
    before, after = outcomes
    assert before.status != 0
    assert "GLIBC_2.99' not found" in before.stderr
    assert after.stdout.split() == ["42", "1"]
