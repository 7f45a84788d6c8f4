"""Static libraries built with zig from their own pinned sources, for hosts that cannot fetch the target's packages."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from builder.errors import BuildFailure
from builder.fetch import Fetcher
from builder.places import cache_root
from builder.profile import Profile
from builder.run import environment, run
from builder.source.unpack import unpack
from builder.toolchain.zig import find_zig

TIMEOUT = 900.0


@dataclass(frozen=True, kw_only=True)
class Sources:
    """A library's source archive, and the function that builds its tree into a prefix (include/ and lib/)."""

    url: str
    sha256: str
    build: Callable[[Path, Path, Profile, dict[str, str]], None]


def build_library(name: str, profile: Profile, prefix: Path, *, offline: bool = False) -> str:
    """Builds a library for a profile into `prefix`; the sha256 of its source. Raises BuildFailure, NetworkFailure."""
    if name not in SOURCES:
        raise BuildFailure(f"{name} for {profile.machine} cannot be built from source here")
    sources = SOURCES[name]
    archive = cache_root() / "toolchain" / "sources" / f"{name}-{sources.sha256[:12]}.tar.gz"
    if not archive.exists():
        Fetcher(offline=offline).download(sources.url, archive, sha256=sources.sha256)
    zig = find_zig()
    zig.prepare(profile)
    with tempfile.TemporaryDirectory(prefix="ot2-library-") as directory:
        tree = unpack(archive, Path(directory) / "source")
        none = Path(directory) / "no-headers"
        variables = zig.variables(profile, include=none)
        path = os.pathsep.join([str(zig.directory), os.environ.get("PATH", os.defpath)])
        sources.build(tree, prefix, profile, environment({**variables, "PATH": path, "LC_ALL": "C.UTF-8"}))
    return sources.sha256


def _libffi(tree: Path, prefix: Path, profile: Profile, env: dict[str, str]) -> None:
    # tramp.c of 3.4.4 calls a function of closures.c (it returns int) without having declared it.
    flags = "CFLAGS=-O2 -fPIC -Wno-error=implicit-function-declaration"
    tools = ["CC=ot2-cc", "CXX=ot2-c++", "AR=ot2-ar", "RANLIB=ot2-ranlib", flags]
    options = ["--disable-shared", "--disable-docs", "--disable-multi-os-directory", f"--prefix={prefix}"]
    run(["./configure", f"--host={profile.triple}", *options, *tools], cwd=tree, env=env, timeout=TIMEOUT)
    run(["make", "-s", "install"], cwd=tree, env=env, timeout=TIMEOUT)


def _libyaml(tree: Path, prefix: Path, _profile: Profile, env: dict[str, str]) -> None:
    """Its files need no configuration but the version; the tag's archive has no configure script."""
    major, minor, patch = tree.name.rpartition("-")[2].split(".")
    numbers = {"MAJOR": major, "MINOR": minor, "PATCH": patch, "STRING": f'"{major}.{minor}.{patch}"'}
    defines = [f"-DYAML_VERSION_{name}={value}" for name, value in numbers.items()]
    (prefix / "include").mkdir(parents=True)
    (prefix / "lib").mkdir()
    files = sorted((tree / "src").glob("*.c"))
    for file in files:
        run(["ot2-cc", "-O2", "-fPIC", "-Iinclude", *defines, "-c", file], cwd=tree, env=env, timeout=TIMEOUT)
    objects = [f"{file.stem}.o" for file in files]
    run(["ot2-ar", "rcsD", prefix / "lib" / "libyaml.a", *objects], cwd=tree, env=env, timeout=TIMEOUT)
    (tree / "include" / "yaml.h").rename(prefix / "include" / "yaml.h")


SOURCES = {
    "libffi": Sources(
        url="https://github.com/libffi/libffi/releases/download/v3.4.4/libffi-3.4.4.tar.gz",
        sha256="d66c56ad259a82cf2a9dfc408b32bf5da52371500b84745f7fb8b645712df676",
        build=_libffi,
    ),
    "libyaml": Sources(
        url="https://github.com/yaml/libyaml/archive/refs/tags/0.2.5.tar.gz",
        sha256="fa240dbf262be053f3898006d502d514936c818e422afdcf33921c63bed9bf2e",
        build=_libyaml,
    ),
}
