"""What a build's files tell of the parts that went into a wheel, from trees as cargo and apt leave them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from wheel_factory import MODULE, NATIVE, make_wheel

from builder.build.cross import Toolchain
from builder.build.parts import LICENCES, Made, crate_parts, libcxx_version, library_parts, runtime_part, source_part
from builder.build.request import BuildRequest, Source
from builder.profile import load
from builder.source import Archive
from builder.toolchain.headers import Headers
from builder.toolchain.library_sources import SOURCES
from builder.toolchain.sysroot import LIBRARIES
from builder.toolchain.zig import find_zig
from builder.wheel import WheelFile

ARM = "armv7-unknown-linux-gnueabihf"
LOCK = """\
[[package]]
name = "inside"
version = "1.2.3"
source = "registry+https://registry.example/index"
checksum = "cafe"

[[package]]
name = "own"
version = "0.1.0"
"""


def made_in(work: Path) -> Made:
    headers = Headers(include=work, site=work, module="m", origin={})
    return Made(tree=work / "source", work=work, toolchain=Toolchain(compiler=find_zig(), headers=headers))


def crate(directory: Path, name: str, version: str) -> Path:
    (directory / "src").mkdir(parents=True)
    (directory / "Cargo.toml").write_text(
        f'[package]\nname = "{name}"\nversion = "{version}"\nlicense = "MIT"\n', encoding="utf-8"
    )
    return directory / "src" / "lib.rs"


def note(deps: Path, name: str, file: Path | str) -> None:
    deps.mkdir(parents=True, exist_ok=True)
    (deps / f"{name}-0123.d").write_text(f"{deps}/lib{name}-0123.rmeta: {file} {file}\n\n{file}:\n", encoding="utf-8")


def test_crates_compiled_for_the_target_are_parts_and_no_others(tmp_path: Path) -> None:
    made = made_in(tmp_path / "work")
    registry = tmp_path / "registry" / "src" / "index"
    crate(made.tree, "own", "0.1.0")
    (made.tree / "Cargo.lock").write_text(LOCK, encoding="utf-8")
    target = made.tree / "target"
    note(target / ARM / "release" / "deps", "inside", crate(registry / "inside-1.2.3", "inside", "1.2.3"))
    note(target / ARM / "release" / "deps", "own", "src/lib.rs")
    note(target / "release" / "deps", "macro", crate(registry / "macro-1.0.0", "macro", "1.0.0"))
    (part,) = crate_parts(made, ARM)
    assert (part.purl, part.sha256, part.licence) == ("pkg:cargo/inside@1.2.3", "cafe", "MIT")


@pytest.mark.parametrize(
    ("origin", "purl", "licence"),
    [
        (
            "libssl-dev_3.0.17-1~deb12u2_armhf.deb",
            "pkg:deb/debian/libssl-dev@3.0.17-1~deb12u2?arch=armhf",
            "Apache-2.0",
        ),
        ("zlib1g-dev_1%3a1.2.13_armhf.deb", "pkg:deb/debian/zlib1g-dev@1%3A1.2.13?arch=armhf", "Zlib"),
        ("libodd-dev_1_armhf.deb", "pkg:deb/debian/libodd-dev@1?arch=armhf", ""),
        ("libyaml", f"pkg:generic/libyaml@0.2.5?download_url={quote(SOURCES['libyaml'].url, safe='')}", "MIT"),
    ],
)
def test_libraries_are_named_by_where_they_come_from(origin: str, purl: str, licence: str) -> None:
    (part,) = library_parts({origin: "00"})
    assert (part.purl, part.sha256, part.role, part.licence) == (purl, "00", "static library", licence)


def test_every_library_has_its_licence() -> None:
    assert LICENCES.keys() == LIBRARIES.keys()


def test_a_source_of_the_index_is_named_without_the_index_and_one_of_this_computer_without_its_place() -> None:
    source = Source(path=Path("/store/demo-1.0.tar.gz"), sha256="00", url="https://mirror.example/demo-1.0.tar.gz")
    request = BuildRequest(name="demo", version="1.0", source=source, profile=load("ot2-py310"))
    assert source_part(request).purl == "pkg:pypi/demo@1.0?file_name=demo-1.0.tar.gz"
    local = replace(request, source=replace(source, url="file:///home/me/demo-1.0.tar.gz"))
    assert source_part(local).purl == "pkg:generic/demo@1.0?file_name=demo-1.0.tar.gz"
    named = replace(source, url="https://me:secret@host.example/demo.zip", kind=Archive.kind)
    purl = "pkg:generic/demo@1.0?download_url=https%3A%2F%2Fhost.example%2Fdemo.zip"
    assert source_part(replace(request, source=named)).purl == purl


def test_the_cplusplus_runtime_is_a_part_where_it_is_inside(tmp_path: Path) -> None:
    inside = make_wheel(tmp_path / "a", NATIVE, {MODULE: b"\x7fELF libc++abi: terminating"})
    without = make_wheel(tmp_path / "b", NATIVE, {MODULE: b"\x7fELF", "demo/notes.txt": b"libc++abi"})
    (part,) = runtime_part(WheelFile.open(inside), find_zig())
    assert part.purl == f"pkg:generic/libcxx@{libcxx_version(find_zig().path)}"
    assert part.version.count(".") == 2
    assert list(runtime_part(WheelFile.open(without), find_zig())) == []
