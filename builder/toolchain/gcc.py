"""GCC as the cross compiler: an SDK directory, its version, and the environment its wrapper is called in."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.errors import BuildFailure, ToolFailure, UsageFailure
from builder.events import Report, silent
from builder.files import digest_of, sha256_file
from builder.profile import Profile
from builder.run import run
from builder.toolchain.wrapper import DATA, wrapper_directory

WRAPPER = "ot2-gcc"
HARD_FLOAT_ARM = re.compile(r"arm.*-linux-gnueabihf")
FLAGS = {"cortex_a7": "-mcpu=cortex-a7 -mfpu=neon-vfpv4 -mfloat-abi=hard"}
# The programs and libraries that decide what comes out, by GCC's own ways to ask for them.
PARTS = ("prog-name=cc1", "prog-name=cc1plus", "prog-name=as", "prog-name=ld", "file-name=libc.so.6",
         "file-name=libstdc++.so", "file-name=libgcc.a")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Gcc:
    """One GCC with its own libc: a Compiler for 32-bit hard-float ARM. `prefix` is what its programs' paths begin
    with (/sdk/bin/arm-linux-gnueabihf-), `root` the directory that must be there for it to run."""

    root: Path
    prefix: str
    triple: str
    version: str

    @property
    def name(self) -> str:
        """What it is, for people."""
        return f"gcc {self.version} ({self.triple})"

    @property
    def identity(self) -> Mapping[str, Any]:
        """What decides its output: version, and one digest of compiler, assembler, linker and libraries."""
        wrapper = sha256_file(DATA / WRAPPER)[:12]
        return {"kind": "gcc", "version": self.version, "parts": _digest(f"{self.prefix}gcc")[:12], "wrapper": wrapper}

    @property
    def advice(self) -> str:
        """What to do when its libc or libstdc++ is newer than the profile's."""
        return f"Libraries of {self.name} are newer than the robot's: use --toolchain zig, or an SDK of its own system."

    @property
    def directory(self) -> Path:
        """The directory of the wrapper's four names."""
        return wrapper_directory(WRAPPER)

    @property
    def files(self) -> tuple[Path, ...]:
        """The SDK."""
        return (self.root,)

    def variables(self, profile: Profile, *, include: Path, sysroot: Path | None = None) -> dict[str, str]:
        """The variables that the wrapper reads. Raises BuildFailure for another machine's profile."""
        if profile.machine != "armv7l" or profile.cpu not in FLAGS:
            raise BuildFailure(
                f"{self.name} makes no code for {profile.name}",
                why=f"That is a {profile.machine}{f' ({profile.cpu})' if profile.cpu else ''}.",
                next="Use --toolchain zig.",
            )
        return {
            "OT2_CROSS_GCC": self.prefix,
            "OT2_CROSS_TARGET": self.triple,
            "OT2_CROSS_FLAGS": FLAGS[profile.cpu],
            "OT2_CROSS_INCLUDE": str(include),
            "OT2_CROSS_SYSROOT": str(sysroot or ""),
        }

    def prepare(self, profile: Profile, *, report: Report = silent) -> float:  # noqa: ARG002  # the Protocol's
        """Nothing: an SDK brings its libraries ready made."""
        return 0.0


def find_gcc(root: Path) -> Gcc:
    """The GCC for hard-float ARM in an SDK or any other prefix: bin/<triple>-gcc with its g++. Raises UsageFailure."""
    found = [
        path for path in sorted(root.glob("bin/*-gcc")) if HARD_FLOAT_ARM.fullmatch(path.name.removesuffix("-gcc"))
    ]
    complete = [path for path in found if path.with_name(path.name.removesuffix("gcc") + "g++").exists()]
    if not complete:
        raise UsageFailure(
            f"{root} has no GCC for hard-float ARM: there is no bin/arm...-linux-gnueabihf-gcc with its g++",
            next="Name the directory of the SDK itself (the one that has bin/), or use --toolchain zig.",
        )
    path = complete[0]
    try:
        version = run([path, "-dumpfullversion"], timeout=60).stdout.strip()
        triple = run([path, "-dumpmachine"], timeout=60).stdout.strip()
    except ToolFailure as failure:
        raise BuildFailure(
            f"{path} does not run on this computer",
            why="An SDK's programs are made for one system; this one may be for another.",
            details=failure.details or (failure.what,),
        ) from failure
    return Gcc(root=root, prefix=str(path).removesuffix("gcc"), triple=triple, version=version)


@functools.cache
def _digest(program: str) -> str:
    """Digest of the files that a GCC works with."""
    answers = [Path(run([program, f"-print-{part}"], timeout=60).stdout.strip()) for part in PARTS]
    return digest_of([sha256_file(path) if path.is_file() else path.name for path in answers])
