"""GCC SDKs: found by looking, got by URL and sha256, called through the wrapper; with a GCC that prints its argv."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from builder.errors import BuildFailure, HashFailure, UsageFailure
from builder.files import sha256_file
from builder.profile import load
from builder.toolchain.compiler import find_compiler
from builder.toolchain.gcc import Gcc, find_gcc
from builder.toolchain.wrapper import NAMES

TRIPLE = "arm-buildroot-linux-gnueabihf"
PROGRAM = """#!/bin/sh
case $1 in
-dumpfullversion) echo 13.4.0 ;;
-dumpmachine) echo arm-buildroot-linux-gnueabihf ;;
-print-*) echo "${1##*=}" ;;
*) for word in "${0##*-}" "$@"; do printf "%s\\n" "$word"; done ;;
esac
"""
FLAGS = ["-mcpu=cortex-a7", "-mfpu=neon-vfpv4", "-mfloat-abi=hard", "-I/target/include"]
MAP = "-ffile-prefix-map=/target/include=/python"
BACK = ["-g0", "-Wno-date-time"]


def make_sdk(root: Path, names: tuple[str, ...] = ("gcc", "g++", "ar", "ranlib")) -> Path:
    """An SDK directory with programs that print what they were called as and with."""
    (root / "bin").mkdir(parents=True)
    for name in names:
        path = root / "bin" / f"{TRIPLE}-{name}"
        path.write_text(PROGRAM)
        path.chmod(0o755)
    return root


def call(gcc: Gcc, name: str, *words: str, sysroot: Path | None = None, **extra: str) -> list[str]:
    variables = gcc.variables(load("ot2-py310"), include=Path("/target/include"), sysroot=sysroot)
    env = {"PATH": "/usr/bin:/bin", **variables, **extra}
    argv = [str(gcc.directory / name), *words]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout.splitlines()


def test_an_sdk_is_found_by_looking(tmp_path: Path) -> None:
    for other in ("c99-gcc", "x86_64-linux-gnu-gcc", f"{TRIPLE}.br_real-gcc"):
        (make_sdk(tmp_path / other) / "bin" / other).write_text("")
    gcc = find_compiler(f"gcc:{tmp_path / 'c99-gcc'}")
    assert (gcc.name, gcc.identity["kind"]) == (f"gcc 13.4.0 ({TRIPLE})", "gcc")
    assert gcc.variables(load("ot2-py310"), include=tmp_path)["OT2_CROSS_TARGET"] == TRIPLE


@pytest.mark.parametrize("names", [(), ("gcc",), ("g++",)])
def test_a_directory_without_gcc_and_its_cplusplus_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(UsageFailure, match="no GCC for hard-float ARM"):
        find_gcc(make_sdk(tmp_path / "sdk", names))


def test_an_sdk_for_another_system_says_so(tmp_path: Path) -> None:
    sdk = make_sdk(tmp_path / "sdk")
    (sdk / "bin" / f"{TRIPLE}-gcc").write_bytes(b"\x7fELF of another machine")
    with pytest.raises(BuildFailure, match="does not run on this computer"):
        find_gcc(sdk)


def test_it_makes_no_code_for_other_machines(tmp_path: Path) -> None:
    from builder.profile_host import host_profile

    with pytest.raises(BuildFailure, match="makes no code for"):
        find_gcc(make_sdk(tmp_path / "sdk")).variables(host_profile(), include=tmp_path)


def test_the_identity_changes_with_the_compilers_files(tmp_path: Path) -> None:
    first, second = make_sdk(tmp_path / "a"), make_sdk(tmp_path / "b")
    cc1 = tmp_path / "cc1"
    cc1.write_text("one")
    path = second / "bin" / f"{TRIPLE}-gcc"
    path.write_text(PROGRAM.replace("${1##*=}", str(cc1)))
    assert find_gcc(first).identity["parts"] != find_gcc(second).identity["parts"]


def test_compiling_and_linking(tmp_path: Path) -> None:
    gcc = find_gcc(make_sdk(tmp_path / "sdk"))
    assert call(gcc, "ot2-cc", "-c", "a b.c") == ["gcc", *FLAGS, "-c", "a b.c", MAP, *BACK]
    assert call(gcc, "ot2-c++", "-shared", "a.o") == [
        "g++",
        *FLAGS,
        "-shared",
        "a.o",
        MAP,
        "-s",
        "-Wl,--gc-sections",
        *BACK,
    ]
    assert call(gcc, "ot2-cc", "-c", "a.cpp")[0] == "g++"
    assert call(gcc, "ot2-ar", "rcsD", "a.a", "a.o") == ["ar", "rcsD", "a.a", "a.o"]
    assert call(gcc, "ot2-ranlib", "a.a") == ["ranlib", "a.a"]


@pytest.mark.parametrize("refused", ["-march=native", "-mfloat-abi=soft", "-m64", "-g", "-ggdb3", "-flto=auto"])
def test_dropped(tmp_path: Path, refused: str) -> None:
    assert call(find_gcc(make_sdk(tmp_path / "sdk")), "ot2-cc", "-c", refused, "a.c") == [
        "gcc",
        *FLAGS,
        "-c",
        "a.c",
        MAP,
        *BACK,
    ]


def test_libraries_of_the_target_and_the_name_of_the_work_directory(tmp_path: Path) -> None:
    gcc = find_gcc(make_sdk(tmp_path / "sdk"))
    words = call(gcc, "ot2-cc", "-c", "a.c", sysroot=Path("/sys root"), OT2_CROSS_WORK="/tmp/ot2-build-x")
    assert words[-6:] == [
        "-I/sys root/include",
        "-L/sys root/lib",
        "-ffile-prefix-map=/tmp/ot2-build-x=/build",
        MAP,
        *BACK,
    ]


def pack_sdk(tmp_path: Path) -> Path:
    """An archive as Buildroot makes it: one directory, with its relocation script and a link out of the sysroot."""
    sdk = make_sdk(tmp_path / "plain" / "arm-sdk")
    (sdk / "relocate-sdk.sh").write_text('pwd > "$(dirname "$0")/location"\n')
    archive = tmp_path / "arm-sdk.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(sdk, "arm-sdk")
        link = tarfile.TarInfo("arm-sdk/sysroot/etc/mtab")
        link.type, link.linkname = tarfile.SYMTYPE, "/proc/mounts"
        tar.addfile(link, io.BytesIO())
    return archive


def test_an_sdk_is_downloaded_verified_and_relocated_once(tmp_path: Path) -> None:
    archive = pack_sdk(tmp_path)
    name = f"gcc:{archive.as_uri()}#sha256={sha256_file(archive)}"
    gcc = find_compiler(name)
    assert isinstance(gcc, Gcc)
    assert (gcc.root / "location").read_text().strip() == str(gcc.root)
    assert not (gcc.root / "sysroot/etc/mtab").is_symlink()
    archive.unlink()
    assert find_compiler(name) == gcc


def test_a_changed_archive_is_not_unpacked(tmp_path: Path) -> None:
    archive = pack_sdk(tmp_path)
    with pytest.raises(HashFailure):
        find_compiler(f"gcc:{archive.as_uri()}#sha256={'0' * 64}")


@pytest.mark.parametrize("member", ["../outside", None])
def test_an_archive_that_leaves_its_directory_or_is_none_is_refused(tmp_path: Path, member: str | None) -> None:
    archive = tmp_path / "sdk.tar.gz"
    archive.write_bytes(b"no archive")
    if member:
        with tarfile.open(archive, "w:gz") as tar:
            tar.addfile(tarfile.TarInfo(member), io.BytesIO())
    with pytest.raises(UsageFailure, match="cannot be unpacked"):
        find_compiler(f"gcc:{archive.as_uri()}#sha256={sha256_file(archive)}")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gcc:https://example.org/sdk.tar.gz", "must say which bytes"),
        ("gcc:/no/such/place", "there is no directory"),
        ("gcc:", "no toolchain is named"),
        ("clang", "no toolchain is named clang"),
    ],
)
def test_names_that_mean_nothing(name: str, said: str) -> None:
    with pytest.raises(UsageFailure, match=said):
        find_compiler(name)


def test_four_names(tmp_path: Path) -> None:
    directory = find_gcc(make_sdk(tmp_path / "sdk")).directory
    assert all((directory / name).stat().st_mode & 0o111 for name in NAMES)
