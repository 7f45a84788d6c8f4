"""zig as the cross compiler: where it is, its version, the environment it is called in, and its warm cache."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from builder.errors import BuildFailure, MissingExtra
from builder.events import Event, Report, silent
from builder.files import locked, sha256_bytes, sha256_file, write_bytes
from builder.places import cache_root
from builder.profile import Profile
from builder.run import environment, run
from builder.toolchain.wrapper import DATA, wrapper_directory

WRAPPER = "ot2-cc"
PREPARE_TIMEOUT = 1200.0  # a cold C++ library takes 90 s on two cores; slow machines have been seen
# One program in each language makes zig build everything that later links need.
PROGRAMS = {
    "ot2-cc": ("warm.c", "#include <math.h>\ndouble warm(double x) { return sin(x); }\n"),
    "ot2-c++": (
        "warm.cpp",
        "#include <stdexcept>\n#include <string>\n"
        'extern "C" int warm(int x) { try { if (x) throw std::runtime_error("x"); }'
        " catch (const std::exception& e) { return std::string(e.what()).size(); } return 0; }\n",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Zig:
    """The zig program and its version: a Compiler that has every target's libc inside."""

    path: Path
    version: str

    @property
    def name(self) -> str:
        """What it is, for people."""
        return f"zig {self.version}"

    @property
    def identity(self) -> Mapping[str, Any]:
        """What decides its output."""
        return {"kind": "zig", "version": self.version, "wrapper": sha256_file(DATA / WRAPPER)[:12]}

    @property
    def advice(self) -> str:
        """Nothing: it links against the profile's own glibc."""
        return ""

    @property
    def directory(self) -> Path:
        """The directory of the wrapper's four names."""
        return wrapper_directory(WRAPPER)

    @property
    def files(self) -> tuple[Path, ...]:
        """Its own directory, with every target's libc."""
        return (self.path.parent,)

    def variables(self, profile: Profile, *, include: Path, sysroot: Path | None = None) -> dict[str, str]:
        """The variables that the wrapper reads, and zig's cache."""
        return {
            "OT2_CROSS_ZIG": str(self.path),
            "OT2_CROSS_TARGET": target(profile),
            "OT2_CROSS_CPU": profile.cpu,
            "OT2_CROSS_INCLUDE": str(include),
            "OT2_CROSS_SYSROOT": str(sysroot or ""),
            "ZIG_GLOBAL_CACHE_DIR": str(cache_root() / "zig"),
            "ZIG_LOCAL_CACHE_DIR": str(cache_root() / "zig"),
        }

    def prepare(self, profile: Profile, *, report: Report = silent) -> float:
        """Builds zig's C and C++ libraries for a profile's target, unless that was done; seconds it took.

        About 100 s of CPU, once for each (CPU, glibc, zig). Its own step, so that two builds do not do it twice.
        """
        wanted = f"{self.version} {target(profile)} {profile.cpu}"
        key = sha256_bytes(f"{wanted} {sha256_file(DATA / WRAPPER)}".encode())[:16]
        marker = cache_root() / "zig" / f"prepared-{key}"
        if marker.exists():
            return 0.0
        seconds = 0.0
        with locked(marker.with_suffix(".lock")), tempfile.TemporaryDirectory(prefix="ot2-prepare-") as name:
            if marker.exists():
                return 0.0
            report(Event(subject=profile.name, stage="toolchain", message="preparing zig's C and C++ libraries (once)"))
            for tool in PROGRAMS:
                seconds += self._link(tool, Path(name), profile)
            write_bytes(marker, f"{wanted}\n".encode())
        report(Event(subject=profile.name, stage="toolchain", message=f"prepared in {seconds:.0f} s", level="done"))
        return seconds

    def _link(self, tool: str, directory: Path, profile: Profile) -> float:
        started = monotonic()
        filename, text = PROGRAMS[tool]
        (directory / filename).write_text(text)
        run(
            [self.directory / tool, "-fPIC", "-shared", "-O2", filename, "-o", f"{filename}.so", "-lm"],
            cwd=directory,
            env=environment(self.variables(profile, include=directory)),
            timeout=PREPARE_TIMEOUT,
            subject=profile.name,
        )
        return monotonic() - started


def find_zig() -> Zig:
    """The zig of the `ziglang` distribution. Raises MissingExtra."""
    spec = importlib.util.find_spec("ziglang")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("build", "ziglang")
    return Zig(path=Path(spec.submodule_search_locations[0]) / "zig", version=importlib.metadata.version("ziglang"))


def target(profile: Profile) -> str:
    """zig's name of a profile's target, such as arm-linux-gnueabihf.2.25. Raises BuildFailure where there is none."""
    if profile.glibc is None or not profile.triple:
        raise BuildFailure(
            f"wheels cannot be built for {profile.name}",
            why="Wheels are built for glibc Linux only.",
            next="Take the wheels from an index that has them.",
        )
    return f"{profile.triple}.{profile.glibc[0]}.{profile.glibc[1]}"
