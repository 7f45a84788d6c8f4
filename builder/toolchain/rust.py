"""cargo with the target's standard library, and zig as its linker."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from builder.errors import BuildFailure
from builder.files import locked, write_bytes
from builder.places import cache_root
from builder.profile import Profile
from builder.run import run
from builder.toolchain import apt
from builder.toolchain.headers import Headers

TARGETS = {
    "armv7l": "armv7-unknown-linux-gnueabihf",
    "aarch64": "aarch64-unknown-linux-gnu",
    "x86_64": "x86_64-unknown-linux-gnu",
}


class NoRust(BuildFailure):
    """A Rust extension is to be built, and cargo or the target's standard library is missing."""

    code = "no-rust"


@dataclass(frozen=True, kw_only=True)
class Rust:
    """A Rust compiler that can build for `target`, driven by the host's cargo."""

    target: str
    version: str
    compiler: Path

    def variables(self, profile: Profile, headers: Headers, sysroot: Path | None, tree: Path) -> dict[str, str]:
        """What cargo, the cc crate, pyo3 and maturin read, for the sources in `tree`.

        CC, CXX and AR stay unset: with them, build scripts for the host would be compiled for the target.
        """
        home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
        upper = self.target.upper().replace("-", "_")
        variables = {
            "RUSTC": str(self.compiler),
            "CARGO_BUILD_TARGET": self.target,
            f"CARGO_TARGET_{upper}_LINKER": "ot2-cc",
            "PYO3_CROSS_LIB_DIR": str(headers.site),
            "PYO3_CROSS_PYTHON_VERSION": profile.python,
            "TARGET_CC": "ot2-cc",
            "TARGET_CXX": "ot2-c++",
            "TARGET_AR": "ot2-ar",
            "HOST_CC": "cc",
            # No path of this host in the machine code, so that the same sources give the same bytes.
            "RUSTFLAGS": f"--remap-path-prefix={home / 'registry/src'}=/cargo --remap-path-prefix={tree}=/src",
        }
        if sysroot:  # openssl-sys
            variables |= {
                "OPENSSL_STATIC": "1",
                "OPENSSL_LIB_DIR": str(sysroot / "lib"),
                "OPENSSL_INCLUDE_DIR": str(sysroot / "include"),
            }
        return variables


def find_rust(profile: Profile, *, offline: bool = False) -> Rust:
    """A Rust toolchain for a profile's machine: the host's own, else Debian's compiler under the host's cargo.

    Raises NoRust with the command that adds what is missing.
    """
    rust_target = TARGETS[profile.machine]
    if not shutil.which("cargo"):
        raise NoRust(
            "cargo is not on this computer",
            why="The project is a Rust extension.",
            next=f"Install Rust (rustup), then run: rustup target add {rust_target}",
        )
    own = shutil.which("rustc")
    for compiler in (Path(own) if own else None, _debian_compiler(profile, build=False)):
        if compiler and _has_library(compiler, rust_target):
            return _rust(compiler, rust_target)
    fetched = None if offline else _debian_compiler(profile, build=True)
    if fetched and _has_library(fetched, rust_target):
        return _rust(fetched, rust_target)
    raise NoRust(
        f"Rust's standard library for {rust_target} is not installed",
        why="The project is a Rust extension.",
        next=f"Run: rustup target add {rust_target}",
    )


def _rust(compiler: Path, rust_target: str) -> Rust:
    version = run([compiler, "--version"], timeout=60).stdout.strip()
    return Rust(target=rust_target, version=version, compiler=compiler)


def _has_library(compiler: Path, rust_target: str) -> bool:
    asked = run([compiler, "--print", "target-libdir", "--target", rust_target], timeout=60, check=False)
    return asked.status == 0 and bool(list(Path(asked.stdout.strip()).glob("libstd-*.rlib")))


def _debian_compiler(profile: Profile, *, build: bool) -> Path | None:
    """A launcher of Debian's rustc with the standard libraries of host and target unpacked beside it; None without."""
    directory = cache_root() / "toolchain" / f"rust-{profile.machine}"
    launcher = directory / "rustc"
    if launcher.exists() or not build:
        return launcher if launcher.exists() else None
    if not apt.available():
        return None
    with locked(directory.with_suffix(".lock")):
        if not launcher.exists():
            try:
                _unpack_debian(directory, profile.machine)
            except apt.NoApt:
                return None
    return launcher


def _unpack_debian(directory: Path, machine: str) -> None:
    host = platform.machine()
    shutil.rmtree(directory, ignore_errors=True)
    # Compiler and libraries must be of one version, and an archive's architectures are not always in step.
    (target_library,) = apt.fetch(["libstd-rust-web-dev"], machine)
    version = apt.version(target_library)
    own = [f"rustc-web={version}", f"libstd-rust-web-dev={version}"]
    runtime = [name for name in apt.depends(apt.fetch(own, host)[1]) if name.startswith("libstd-rust-web-")]
    exact = [f"{name}={version}" for name in runtime]
    llvm = [name for deb in apt.fetch(exact, host) for name in apt.depends(deb) if name.lower().startswith("libllvm")]
    apt.unpack([*own, *exact, *llvm], host, directory)
    apt.unpack(["libstd-rust-web-dev"], machine, directory)
    usr = directory / "usr"
    text = f"""#!/bin/sh
LD_LIBRARY_PATH="{usr}/lib/{host}-linux-gnu:{usr}/lib" exec "{usr}/bin/rustc" "$@"
"""
    write_bytes(directory / "rustc", text.encode(), mode=0o755)
