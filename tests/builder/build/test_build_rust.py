"""A Rust extension really built for a robot: the smallest that has a build script, twice in different surroundings."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from tiny_project import make_sdist, request_for

from builder.audit import audit
from builder.build import BuildOptions
from builder.files import sha256_file
from builder.profile import load
from builder.wheel import WheelFile

pytestmark = [
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("cargo"), reason="Rust is not installed"),
]
COMPILERS = ("cc", "c++", "gcc", "g++", "clang", "ld")
FILES = {
    "pyproject.toml": """\
[build-system]
requires = ["setuptools", "setuptools-rust"]
build-backend = "setuptools.build_meta"
[project]
name = "tiny"
version = "1.0"
[[tool.setuptools-rust.ext-modules]]
target = "tiny_fast"
path = "Cargo.toml"
binding = "NoBinding"
""",
    "Cargo.toml": """\
[package]
name = "tiny"
version = "1.0.0"
edition = "2021"
[lib]
crate-type = ["cdylib"]
""",
    "Cargo.lock": 'version = 3\n[[package]]\nname = "tiny"\nversion = "1.0.0"\n',
    # A toolchain that nobody has, and a script that must run here: both have stopped builds.
    "rust-toolchain.toml": '[toolchain]\nchannel = "nightly-1999-01-01"\n',
    "build.rs": 'fn main() { println!("cargo:rustc-env=TINY_TARGET={}", std::env::var("TARGET").unwrap()); }\n',
    "src/lib.rs": """\
use std::ffi::{c_char, c_void};
extern "C" { fn PyModule_New(name: *const c_char) -> *mut c_void; }
#[no_mangle]
pub extern "C" fn PyInit_tiny_fast() -> *mut c_void {
    if std::env::args().count() > 1000 { panic!("{} in {}", env!("TINY_TARGET"), file!()); }
    unsafe { PyModule_New(c"tiny_fast".as_ptr()) }
}
""",
}


@pytest.fixture
def no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Makes a computer without a C compiler of this one: a PATH of all its programs but those."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for directory in os.environ["PATH"].split(os.pathsep):
        for program in Path(directory).glob("*") if "shims" not in directory else ():
            link = programs / program.name
            if not program.name.rpartition("-linux-gnu-")[2].startswith(COMPILERS) and not link.exists():
                link.symlink_to(program)
    return lambda: monkeypatch.setenv("PATH", str(programs))


def test_an_extension_is_the_same_wherever_it_is_built(build, no_compiler, tmp_path: Path, monkeypatch) -> None:
    source = make_sdist(tmp_path, FILES)
    first = build(request_for(source))
    sha256 = sha256_file(first.path)
    found = audit(first.path, load("ot2-py310"))
    assert found.findings == ()
    (binary,) = found.binaries
    assert binary.file == "tiny_fast.cpython-310-arm-linux-gnueabihf.so"
    wheel = WheelFile.open(first.path)
    code = wheel.read(binary.file)
    assert b"armv7-unknown-linux-gnueabihf" in code
    assert b"src/lib.rs" in code
    told = json.loads(wheel.read(f"{wheel.dist_info}/sboms/ot2deploy.cdx.json"))
    assert [tool["name"] for tool in told["metadata"]["tools"]["components"]] == ["ot2deploy", "rustc", "zig"]
    assert first.provenance["toolchain"]["rust"].startswith("rustc ")

    shutil.rmtree(tmp_path / "wheels")
    no_compiler()
    assert shutil.which("cc") is None
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    before = os.umask(0o077)
    try:
        second = build(request_for(source), BuildOptions(timeout=600, jobs=3))
    finally:
        os.umask(before)
    assert sha256_file(second.path) == sha256
