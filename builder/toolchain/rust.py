"""cargo with the target's standard library, and zig as its linker."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.errors import BuildFailure
from builder.files import locked, write_bytes
from builder.places import cache_root
from builder.profile import Profile
from builder.run import run
from builder.toolchain import apt
from builder.toolchain.crates import conditions, fetch_crates
from builder.toolchain.headers import Headers
from builder.toolchain.wrapper import wrapper_directory
from builder.toolchain.zig import find_zig

TARGETS = {
    "armv7l": "armv7-unknown-linux-gnueabihf",
    "aarch64": "aarch64-unknown-linux-gnu",
    "x86_64": "x86_64-unknown-linux-gnu",
}
# The words of cargo and rustc about a crate that is too new for the compiler.
YOUNGER = re.compile(r"requires rustc (\d+\.\d+(?:\.\d+)?)")
UNSTABLE = "error[E0658]"


class NoRust(BuildFailure):
    """A Rust extension is to be built, and cargo or the target's standard library is missing."""

    code = "no-rust"


@dataclass(frozen=True, kw_only=True)
class Rust:
    """A Rust compiler that can build for `target`, driven by the host's cargo.

    `host` is what it runs on, `commit` what it was built from; `channel` is rustup's name of the host's own toolchain,
    "" without rustup.
    """

    target: str
    version: str
    compiler: Path
    host: str
    commit: str
    sysroot: Path
    channel: str = ""

    def variables(self, profile: Profile, headers: Headers, sysroot: Path | None, tree: Path) -> dict[str, str]:
        """What cargo, the cc crate, pyo3 and maturin read, for the sources in `tree` whose crates were fetched.

        CC, CXX and AR stay unset: with them, build scripts for the host would be compiled for the target.
        """
        variables = {
            **self._cargo_variables(),
            "CARGO_BUILD_TARGET": self.target,
            "CARGO_NET_OFFLINE": "true",
            _linker(self.target): "ot2-cc",
            "PYO3_CROSS_LIB_DIR": str(headers.site),
            "PYO3_CROSS_PYTHON_VERSION": profile.python,
            "TARGET_CC": "ot2-cc",
            "TARGET_CXX": "ot2-c++",
            "TARGET_AR": "ot2-ar",
            **_host_compiler(self.host),
            # It stands instead of the project's own flags: of those, what its code asks for goes along, no CPU and no
            # linker of its authors.
            "RUSTFLAGS": " ".join(
                [
                    *(f"--remap-path-prefix={path}={name}" for path, name in self._places(tree)),
                    *(f"--cfg={name}" for name in conditions(tree, self.target)),
                ]
            ),
        }
        if sysroot:  # openssl-sys
            variables |= {
                "OPENSSL_STATIC": "1",
                "OPENSSL_LIB_DIR": str(sysroot / "lib"),
                "OPENSSL_INCLUDE_DIR": str(sysroot / "include"),
            }
        return variables

    def fetch(self, tree: Path, *, log: Path, timeout: float, offline: bool) -> tuple[str, ...]:
        """Fetches the crates of a tree; see `crates.fetch_crates`."""
        return fetch_crates(tree, variables=self._cargo_variables(), log=log, timeout=timeout, offline=offline)

    def advice(self, said: str) -> str:
        """What to run when cargo said that crates need a younger compiler; "" when it did not."""
        asked = [tuple(map(int, number.split("."))) for number in YOUNGER.findall(said)]
        if not asked and UNSTABLE not in said:
            return ""
        needed = ".".join(map(str, max(asked))) if asked else "of a later version"
        return (
            f"Its crates need rustc {needed}, and the one here that can build for robots is {self.version.split()[1]}. "
            f"Run: rustup update && rustup target add {self.target}   (or constrain it to an older version)."
        )

    def _cargo_variables(self) -> dict[str, str]:
        """What every call of cargo reads: a toolchain file of the sources must not choose another compiler, and crates
        that no lock holds are to be old enough for ours."""
        channel = {"RUSTUP_TOOLCHAIN": self.channel} if self.channel else {}
        return {"RUSTC": str(self.compiler), "CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS": "fallback", **channel}

    def _places(self, tree: Path) -> Iterator[tuple[Path, str]]:
        """Directories of this host and what they are called in the machine code, so that the same sources give the
        same bytes. Of several that fit rustc takes the last one."""
        home = cargo_home()
        yield home, "/cargo"
        for directory in ("registry/src", "git/checkouts"):  # below them, names that depend on registry and cargo
            yield from ((place, "/cargo") for place in sorted((home / directory).glob("*")))
        yield self.sysroot / "lib/rustlib/src/rust", f"/rustc/{self.commit}"
        yield tree, "/src"


def cargo_home() -> Path:
    """Where cargo keeps what it downloaded, for all builds."""
    return Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")


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
            return rust_of(compiler, rust_target)
    fetched = None if offline else _debian_compiler(profile, build=True)
    if fetched and _has_library(fetched, rust_target):
        return rust_of(fetched, rust_target)
    raise NoRust(
        f"Rust's standard library for {rust_target} is not installed",
        why="The project is a Rust extension.",
        next=f"Run: rustup target add {rust_target}",
    )


def rust_of(compiler: Path, rust_target: str) -> Rust:
    """The facts of a compiler that can build for `rust_target`."""
    told = run([compiler, "-vV"], cwd=compiler.parent, timeout=60).stdout.strip().splitlines()
    facts = dict(line.split(": ", 1) for line in told if ": " in line)
    return Rust(
        target=rust_target,
        version=told[0],
        compiler=compiler,
        host=facts.get("host", ""),
        commit=facts.get("commit-hash", "unknown"),
        sysroot=Path(run([compiler, "--print", "sysroot"], cwd=compiler.parent, timeout=60).stdout.strip()),
        channel=_channel(),
    )


def _channel() -> str:
    """rustup's name of the toolchain that the host uses by itself, asked where no project's file chooses another."""
    if not shutil.which("rustup") or not shutil.which("rustc"):
        return ""
    asked = run(["rustc", "--print", "sysroot"], cwd=Path("/"), timeout=60, check=False)  # rustup may have no default
    own = Path(asked.stdout.strip())
    return own.name if own.parent.name == "toolchains" else ""


def _host_compiler(host: str) -> dict[str, str]:
    """What compiles and links build scripts and macros, which run here: the host's own compiler, else zig."""
    if shutil.which("cc"):
        return {"HOST_CC": "cc"}
    directory = wrapper_directory("ot2-host-cc")
    cc, cxx = (str(directory / name) for name in ("ot2-cc", "ot2-c++"))
    return {"OT2_HOST_ZIG": str(find_zig().path), "HOST_CC": cc, "HOST_CXX": cxx, _linker(host): cc}


def _linker(rust_target: str) -> str:
    return f"CARGO_TARGET_{rust_target.upper().replace('-', '_')}_LINKER"


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
