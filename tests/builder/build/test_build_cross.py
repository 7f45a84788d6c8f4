"""The environment of a hook's process: what it holds, and what must not reach it."""

from __future__ import annotations

import configparser
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from builder.build.cross import Toolchain, config_settings, hook_variables, write_files
from builder.build.durations import UNKNOWN, expected_seconds, remember_seconds
from builder.profile import load
from builder.recipe import Recipe
from builder.run import run
from builder.toolchain.headers import Headers
from builder.toolchain.rust import Rust
from builder.toolchain.zig import Zig

PROFILE = load("ot2-py310")
RUST = Rust(
    target="armv7-unknown-linux-gnueabihf",
    version="rustc 1",
    compiler=Path("/rustc"),
    host="x86_64-unknown-linux-gnu",
    commit="abc",
    sysroot=Path("/toolchains/stable"),
    channel="stable",
)


def variables(tmp_path: Path, *, rust: Rust | None = None, recipe: Recipe | None = None) -> dict[str, str]:
    headers = Headers(include=tmp_path / "include", site=tmp_path / "site", module="_sysconfigdata_x", origin={})
    toolchain = Toolchain(compiler=Zig(path=Path("/zig"), version="0"), headers=headers, rust=rust)
    files = write_files(tmp_path / "files", PROFILE, jobs=2)
    venv, tree = tmp_path / "venv", tmp_path / "tree"
    return hook_variables(PROFILE, toolchain, files, venv=venv, tree=tree, jobs=2, recipe=recipe, search="/usr/bin")


def test_python_answers_as_the_target_and_tools_come_from_the_environment(tmp_path: Path) -> None:
    found = variables(tmp_path)
    assert found["_PYTHON_HOST_PLATFORM"] == "linux-armv7l"
    assert found["PATH"].split(":")[0] == str(tmp_path / "venv" / "bin")
    assert (found["CC"], found["SOURCE_DATE_EPOCH"], found["PYTHONHASHSEED"]) == ("ot2-cc", "315532800", "0")


def test_no_library_of_the_host_is_found_by_pkg_config(tmp_path: Path) -> None:
    found = variables(tmp_path)
    assert found["PKG_CONFIG_LIBDIR"].startswith(str(tmp_path))
    assert found["PKG_CONFIG_PATH"] == ""


def test_rust_builds_leave_cc_to_the_host(tmp_path: Path) -> None:
    found = variables(tmp_path, rust=RUST)
    assert not {"CC", "CXX", "AR"} & set(found)
    assert found["CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_LINKER"] == "ot2-cc"
    assert f"{tmp_path / 'tree'}=/src" in found["RUSTFLAGS"]


def test_a_recipe_says_the_last_word(tmp_path: Path) -> None:
    recipe = Recipe(name="x", version=None, directory=tmp_path, digest="0", cflags=("-Os",), env={"WITH_X": "1"})
    found = variables(tmp_path, recipe=replace(recipe, ldflags=("-Wl,-z,now", "-lx")))
    assert (found["CFLAGS"], found["CXXFLAGS"], found["WITH_X"]) == ("-Os", "-Os", "1")
    assert found["LDFLAGS"] == "-Wl,-z,now -lx"


def test_build_systems_files(tmp_path: Path) -> None:
    files = write_files(tmp_path, PROFILE, jobs=3)
    meson = configparser.ConfigParser()
    meson.read(files.meson)
    assert meson["host_machine"]["cpu_family"] == "'arm'"
    assert "parallel = 3" in files.setup_cfg.read_text()
    assert '"$ENV{OT2_CROSS_SYSROOT}"' in files.cmake.read_text()
    assert config_settings("mesonpy", files, None) == {
        "build-dir": ".mesonpy",
        "setup-args": [f"--cross-file={files.meson}"],
    }
    assert config_settings("setuptools.build_meta", files, None) == {}
    own = {"setup-args": "-Dblas=none -Dlapack=none", "compile-args": "-v"}
    recipe = Recipe(name="x", version=None, directory=tmp_path, digest="0", config_settings=own)
    told = [f"--cross-file={files.meson}", "-Dblas=none", "-Dlapack=none"]
    assert config_settings("mesonpy", files, recipe) == {
        "build-dir": ".mesonpy",
        "setup-args": told,
        "compile-args": "-v",
    }


def test_configure_scripts_are_told_of_the_cross_build(tmp_path: Path) -> None:
    site = write_files(tmp_path, PROFILE, jobs=1).site
    asked = ["sh", "-c", f". {site}; echo $host_alias $cross_compiling"]
    assert run(asked, timeout=10).stdout == "arm-linux-gnueabihf yes\n"
    given = ["sh", "-c", f"host_alias=arm-none-eabi; . {site}; echo $host_alias"]
    assert run(given, timeout=10).stdout == "arm-none-eabi\n"


def test_cmake_runs_the_interpreter_and_nothing_else_as_the_target(tmp_path: Path) -> None:
    runner = tmp_path / "ot2-run"
    assert f'set(CMAKE_CROSSCOMPILING_EMULATOR "{runner}")' in write_files(tmp_path, PROFILE, jobs=1).cmake.read_text()
    assert run([runner, sys.executable, "-c", "print(3)"], timeout=30).stdout == "3\n"
    refused = run([runner, "/bin/true"], timeout=10, check=False)
    assert (refused.status, refused.stderr) == (126, "ot2-run: /bin/true is a program for another machine\n")


def test_seconds_are_remembered(clean_environment: None) -> None:
    assert expected_seconds("asyncpg", PROFILE) > expected_seconds("MarkupSafe", PROFILE)
    assert expected_seconds("nobody-knows", PROFILE) == UNKNOWN
    remember_seconds("Nobody_Knows", PROFILE, 3.14)
    assert expected_seconds("nobody-knows", PROFILE) == pytest.approx(3.1)
