"""What went into a wheel: its source, static libraries, Rust crates, the C++ runtime; read after the build."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from builder.build.cross import Toolchain
from builder.build.request import BuildRequest
from builder.fetch import public
from builder.source import IndexSdist
from builder.toolchain.compiler import Compiler
from builder.toolchain.library_sources import SOURCES
from builder.toolchain.sysroot import LIBRARIES
from builder.toolchain.zig import Zig
from builder.wheel import WheelFile
from builder.wheel.sbom import Part, pypi_url, sbom
from builder.wheel.writer import Entry

DEB = re.compile(r"(?P<name>[^_]+)_(?P<version>[^_]+)_(?P<architecture>[^_]+)\.deb")
VERSION = re.compile(r"(\d+(?:\.\d+)+)")
LIBCXX = b"libc++abi"  # stands in the text of its last words, which nothing strips
RUST_FILE = re.compile(r"\S+\.rs\b")
# What each library's own licence file says.
LICENCES = {
    "brotli": "MIT",
    "freetype": "FTL OR GPL-2.0-or-later",
    "libffi": "MIT",
    "libjpeg": "IJG AND BSD-3-Clause AND Zlib",
    "libpng": "libpng-2.0",
    "libsodium": "ISC",
    "libyaml": "MIT",
    "openssl": "Apache-2.0",
    "qhull": "Qhull",
    "yajl": "ISC",
    "zlib": "Zlib",
}


@dataclass(frozen=True, kw_only=True)
class Made:
    """Where and with what a build took place: source tree and work directory, with the compilers' files still there."""

    tree: Path
    work: Path
    toolchain: Toolchain


def bill_of(wheel: WheelFile, request: BuildRequest, made: Made) -> Entry:
    """The bill of materials of a wheel that was just made."""
    toolchain = made.toolchain
    parts = [source_part(request), *library_parts(toolchain.sysroot.packages if toolchain.sysroot else {})]
    if toolchain.rust:
        parts += crate_parts(made, toolchain.rust.target)
    tools = (toolchain.compiler.name, *((toolchain.rust.version,) if toolchain.rust else ()))
    named = (tool.partition(" ") for tool in tools)
    return sbom(
        wheel, [*parts, *runtime_part(wheel, toolchain.compiler)], tools={name: what for name, _, what in named}
    )


def source_part(request: BuildRequest) -> Part:
    """The source of a build. The index's sdist is named without the index: every mirror has the same one."""
    source = request.source
    url = public(source.url)
    if source.kind == IndexSdist.kind and url.startswith("http"):
        purl = pypi_url(request.name, request.version, source.path.name)
    elif url.startswith(("http", "git+http", "debian:")):
        purl = f"pkg:generic/{request.name}@{request.version}?download_url={quote(url, safe='')}"
    else:  # of this computer: its place says nothing to others
        purl = f"pkg:generic/{request.name}@{request.version}?file_name={quote(source.path.name)}"
    return Part(role="source", name=request.name, version=request.version, purl=purl, sha256=source.sha256)


def library_parts(packages: Mapping[str, str]) -> Iterator[Part]:
    """Static libraries by what each came from (a Debian package, or its own pinned source) and that file's sha256."""
    for origin, sha256 in packages.items():
        deb = DEB.fullmatch(origin)
        if deb:
            name, version = deb["name"], deb["version"].replace("%3a", ":")
            purl = f"pkg:deb/debian/{name}@{quote(version, safe='')}?arch={deb['architecture']}"
            library = next((known for known, library in LIBRARIES.items() if library.package == name), "")
        else:
            name = library = origin
            url = SOURCES[origin].url
            version = found[1] if (found := VERSION.search(url.rpartition("/")[2])) else ""
            purl = f"pkg:generic/{name}@{version}?download_url={quote(url, safe='')}"
        licence = LICENCES.get(library, "")
        yield Part(role="static library", name=name, version=version, purl=purl, sha256=sha256, licence=licence)


def crate_parts(made: Made, target: str) -> Iterator[Part]:
    """The crates compiled for the target: what cargo noted beside each, checked against Cargo.lock.

    The project's own crates are its source; those of build scripts and macros ran on the host and are not inside.
    """
    locked = {(crate["name"], crate["version"]): crate for crate in _locked(made.tree)}
    for directory in sorted(set(_crate_directories(made, target))):
        manifest = _read(directory / "Cargo.toml").get("package", {})
        name, version = str(manifest.get("name", "")), str(manifest.get("version", ""))
        crate = locked.get((name, version))
        if not crate or "source" not in crate:
            continue
        yield Part(
            role="crate",
            name=name,
            version=version,
            purl=f"pkg:cargo/{name}@{quote(version, safe='')}",
            sha256=crate.get("checksum", ""),
            licence=licence if isinstance(licence := manifest.get("license", ""), str) else "",
        )


def runtime_part(wheel: WheelFile, compiler: Compiler) -> Iterator[Part]:
    """The C++ runtime, where a file of the wheel has it inside."""
    if not any(data and LIBCXX in data for member, data in wheel.contents() if ".so" in member.name):
        return
    version = libcxx_version(compiler.path) if isinstance(compiler, Zig) else ""
    purl = "pkg:generic/libcxx" + (f"@{version}" if version else "")
    yield Part(role="runtime", name="libcxx", version=version, purl=purl, licence="Apache-2.0 WITH LLVM-exception")


def libcxx_version(zig: Path) -> str:
    """The version of the libc++ that a zig brings along; its configuration header has 220108 for 22.1.8."""
    header = zig.parent / "lib" / "libcxx" / "include" / "__config"
    found = re.search(r"# *define _LIBCPP_VERSION (\d+)(\d\d)(\d\d)$", header.read_text(errors="replace"), re.M)
    return ".".join(str(int(number)) for number in found.groups()) if found else ""


def _locked(tree: Path) -> Iterator[dict[str, Any]]:
    """The entries of every Cargo.lock of a tree; those of packages from elsewhere have a `source`."""
    for lock in sorted(tree.rglob("Cargo.lock")):
        yield from _read(lock).get("package", [])


def _crate_directories(made: Made, target: str) -> Iterator[Path]:
    """The directories of the crates that were compiled for the target: rustc's notes name their files."""
    for note in made.work.glob(f"**/{target}/*/deps/*.d"):
        found = RUST_FILE.search(note.read_text(errors="replace").partition(": ")[2])
        file = made.tree / found.group() if found else None  # the tree's own stand there as relative paths
        if file and (directory := next((at for at in file.parents if (at / "Cargo.toml").exists()), None)):
            yield directory


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # cargo has read it before us
        return {}
