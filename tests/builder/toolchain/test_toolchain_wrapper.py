"""The compiler wrapper, case by case, with a zig that prints what it was called with."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.profile import load
from builder.toolchain.wrapper import NAMES, wrapper_directory
from builder.toolchain.zig import Zig, find_zig, target

FRONT = ["cc", "-target", "arm-linux-gnueabihf.2.25", "-mcpu=cortex_a7", "-I/target/include"]
LINK = ["-O2", "-s", "-Wl,--gc-sections"]
MAP = "-ffile-prefix-map=/target/include=/python"
BACK = ["-g0", "-fno-sanitize=undefined", "-Wno-date-time", "-Wno-error=c++11-narrowing"]
Call = Callable[..., list[str]]


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """Calls one of the wrapper's names; the lines that the fake zig (or the wrapper itself) printed."""
    zig = tmp_path / "zig"
    zig.write_text('#!/bin/sh\nfor word in "$@"; do printf "%s\\n" "$word"; done\n')
    zig.chmod(0o755)

    def run(name: str, *words: str, profile: str = "ot2-py310", sysroot: Path | None = None) -> list[str]:
        variables = Zig(path=zig, version="0").variables(
            load(profile), include=Path("/target/include"), sysroot=sysroot
        )
        env = {"PATH": "/usr/bin:/bin", **variables}
        argv = [str(wrapper_directory("ot2-cc") / name), *words]
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout.splitlines()

    return run


def test_compiling(call: Call) -> None:
    assert call("ot2-cc", "-c", "a b.c", "-o", "a.o") == [*FRONT, "-c", "a b.c", "-o", "a.o", MAP, *BACK]


def test_linking_always_ends_alike_so_that_zig_builds_its_libraries_once(call: Call) -> None:
    assert call("ot2-cc", "-shared", "-Os", "a.o", "-o", "a.so") == [
        *FRONT, "-shared", "-Os", "a.o", "-o", "a.so", MAP, *LINK, *BACK,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "refused",
    [
        "--target=armv7-unknown-linux-gnueabihf", "-march=native", "-mtune=native", "-mcpu=native", "-mfpu=neon",
        "-mfloat-abi=soft", "-m32", "-m64", "-g", "-g3", "-ggdb", "-flto", "-flto=thin", "-fno-fat-lto-objects",
        "-Wl,-Bsymbolic-functions", "-Wl,-O1",
    ],
)  # fmt: skip
def test_dropped(call: Call, refused: str) -> None:
    assert call("ot2-cc", "-c", refused, "a.c") == [*FRONT, "-c", "a.c", MAP, *BACK]


@pytest.mark.parametrize("kept", ["-fPIC", "-DX=a b", "-O3", "-Wl,-z,now", "-I/host/include", '-DQ="\'$HOME`"'])
def test_kept_as_it_is(call: Call, kept: str) -> None:
    assert call("ot2-cc", "-c", kept, "a.c") == [*FRONT, "-c", kept, "a.c", MAP, *BACK]


@pytest.mark.parametrize("question", ["-Wl,--version", "-Wl,-v", "-Wl,--help"])
def test_which_linker(call: Call, question: str) -> None:
    assert call("ot2-cc", question)[0].startswith("LLD ")


def test_macros_are_asked_of_clang_in_its_own_words(call: Call) -> None:
    assert call("ot2-cc", "-dM", "-E", "-")[:3] == ["cc", "-target", "arm-linux-gnueabihf"]
    assert "-mcpu=cortex-a7" in call("ot2-cc", "-dM", "-E", "-")


@pytest.mark.parametrize("source", ["a.cpp", "a.cc", "a.cxx", "a.C", "a.c++"])
def test_cplusplus_by_the_c_compilers_name(call: Call, source: str) -> None:
    assert call("ot2-cc", "-c", source)[0] == "c++"


def test_names(call: Call) -> None:
    assert call("ot2-c++", "-c", "a.c")[0] == "c++"
    assert call("ot2-ar", "rcsD", "a.a", "a.o") == ["ar", "rcsD", "a.a", "a.o"]
    assert call("ot2-ranlib", "a.a") == ["ranlib", "a.a"]


def test_libraries_of_the_target_come_after_the_users_arguments(call: Call) -> None:
    words = call("ot2-cc", "-shared", "a.o", "-lffi", sysroot=Path("/sys root"))
    found = ["-I/sys root/include", "-L/sys root/lib"]
    assert words[words.index("-lffi") + 1 :] == [*found, MAP, *LINK, "-Wl,-Bsymbolic", *BACK]
    assert "-Wl,-Bsymbolic" not in call("ot2-cc", "-c", "a.c", sysroot=Path("/sys root"))


def test_a_target_without_cpu_takes_its_baseline(call: Call) -> None:
    from builder.profile import Profile

    profile = Profile(name="x", python="3.11", machine="x86_64", glibc=(2, 28), triple="x86_64-linux-gnu")
    assert target(profile) == "x86_64-linux-gnu.2.28"
    assert Zig(path=Path("zig"), version="0").variables(profile, include=Path())["OT2_CROSS_CPU"] == ""


def test_the_wrapper_is_made_once_and_can_be_started() -> None:
    first = wrapper_directory("ot2-cc")
    assert first == wrapper_directory("ot2-cc")
    assert all((first / name).stat().st_mode & 0o111 for name in NAMES)


def test_zig_is_found_with_its_version() -> None:
    zig = find_zig()
    assert zig.path.is_file()
    assert zig.version[0].isdigit()
