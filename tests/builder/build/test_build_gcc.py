"""Wheels really built with Debian's GCC for hard-float ARM, fetched and unpacked without installing it."""

from __future__ import annotations

import platform
import tomllib
from pathlib import Path

import pytest
from tiny_project import AS_OF, CPLUSPLUS, C, request_for, tiny

from builder import uv as uvs
from builder.audit import audit
from builder.build import BuildOptions, BuildRequest, Source
from builder.errors import AuditFailure
from builder.fetch import Fetcher
from builder.profile import load
from builder.toolchain import apt

pytestmark = [
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.skipif(
        not apt.available() or platform.machine() != "x86_64", reason="Debian's cross compiler runs on x86_64 Debian"
    ),
]
GCC = BuildOptions(timeout=600, toolchain="gcc:debian")
DEBIAN = "debian-12-armhf"
# Since glibc 2.33 stat is a symbol of libc, and no more an inline call of __xstat.
TOO_NEW = C.replace("#include <Python.h>", "#include <Python.h>\n#include <sys/stat.h>").replace(
    "{ return", '{ struct stat root; if (stat("/", &root)) return NULL; return'
)


def test_c(build, tmp_path: Path) -> None:
    built = build(request_for(tiny(tmp_path), DEBIAN), GCC)
    (binary,) = audit(built.path, load(DEBIAN)).binaries
    assert binary.arm
    assert (binary.arm.cpu, binary.arm.vfp_args) == (10, 1)
    assert built.path.name.endswith("armv7l.whl")
    compiler = built.provenance["toolchain"]["compiler"]
    assert (compiler["kind"], compiler["version"].partition(".")[0]) == ("gcc", "12")


def test_cplusplus_needs_the_robots_own_runtime(build, tmp_path: Path) -> None:
    built = build(request_for(tiny(tmp_path, CPLUSPLUS, "fast.cpp"), DEBIAN), GCC)
    found = audit(built.path, load(DEBIAN))
    assert found.ok
    assert "libstdc++.so.6" in found.binaries[0].needed


def test_what_needs_a_newer_libc_than_the_robots_is_refused_with_advice(build, tmp_path: Path) -> None:
    with pytest.raises(AuditFailure, match=r"libc\.so\.6 GLIBC_2\.33 for stat") as raised:
        build(request_for(tiny(tmp_path, TOO_NEW)), GCC)
    assert "use --toolchain zig" in raised.value.next
    assert build(request_for(tiny(tmp_path, TOO_NEW), DEBIAN), GCC).path.exists()


def test_a_real_cplusplus_package(build, tmp_path: Path) -> None:
    question = uvs.Question(requirements=["ujson==5.10.0"], constraints=(), python="3.11", as_of=AS_OF)
    uvs.find().compile_lock(question, tmp_path / "pylock.toml")
    sdist = tomllib.loads((tmp_path / "pylock.toml").read_text())["packages"][0]["sdist"]
    path, sha256 = tmp_path / "ujson-5.10.0.tar.gz", sdist["hashes"]["sha256"]
    Fetcher().download(sdist["url"], path, sha256=sha256)
    source = Source(path=path, sha256=sha256, url=sdist["url"])
    request = BuildRequest(name="ujson", version="5.10.0", source=source, profile=load(DEBIAN), as_of=AS_OF)
    assert audit(build(request, GCC).path, load(DEBIAN)).ok
