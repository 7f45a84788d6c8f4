"""Rust for a target: places that must not show, crates fetched before the build, a host without a compiler."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from builder.errors import BuildFailure, NetworkFailure, OfflineFailure, ToolFailure
from builder.profile import load
from builder.toolchain import rust as rusts
from builder.toolchain.crates import fetch_crates, lock_of, manifests
from builder.toolchain.headers import Headers
from builder.toolchain.rust import NoRust, Rust, find_rust

ARM, HOST = "armv7-unknown-linux-gnueabihf", "x86_64-unknown-linux-gnu"
PROFILE = load("ot2-py310")


RUST = Rust(
    target=ARM,
    version="rustc 1.85.0 (abc)",
    compiler=Path("/rust/bin/rustc"),
    host=HOST,
    commit="abc",
    sysroot=Path("/rust"),
    channel="stable-x86_64",
)


def variables(tmp_path: Path) -> dict[str, str]:
    headers = Headers(include=tmp_path, site=tmp_path, module="m", origin={})
    return RUST.variables(PROFILE, headers, None, tmp_path / "tree")


def manifest(directory: Path, *, locked: bool = True) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    if locked:
        (directory / "Cargo.lock").touch()
    (directory / "Cargo.toml").touch()
    return directory / "Cargo.toml"


@pytest.fixture
def cargo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Puts a cargo on PATH that notes its arguments, says something and ends with a status."""
    programs = tmp_path / "programs"
    programs.mkdir()

    def made(says: str = "", status: int = 0, runs: str = ":") -> Path:
        script = f'#!/bin/sh\necho "$@" >> {tmp_path}/argv\necho "{says}" >&2\n{runs}\nexit {status}\n'
        (programs / "cargo").write_text(script, encoding="utf-8")
        (programs / "cargo").chmod(0o755)
        return tmp_path / "argv"

    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return made


def fetch(tree: Path, *, offline: bool = False) -> tuple[str, ...]:
    log = tree.parent / "log"
    return fetch_crates(tree, variables={}, log=log, timeout=20, offline=offline)


def test_every_place_of_this_host_has_another_name_in_the_code(tmp_path: Path, monkeypatch) -> None:
    index = tmp_path / "cargo" / "registry" / "src" / "registry.example-0123"
    index.mkdir(parents=True)
    monkeypatch.setenv("CARGO_HOME", str(tmp_path / "cargo"))
    said = variables(tmp_path)["RUSTFLAGS"].split()
    places = [flag.removeprefix("--remap-path-prefix=").split("=") for flag in said]
    assert places == [
        [str(tmp_path / "cargo"), "/cargo"],
        [str(index), "/cargo"],  # after what it lies in: rustc takes the last one that fits
        ["/rust/lib/rustlib/src/rust", "/rustc/abc"],
        [str(tmp_path / "tree"), "/src"],
    ]


def test_of_a_projects_own_flags_only_conditions_stay(tmp_path: Path) -> None:
    (tmp_path / "tree" / ".cargo").mkdir(parents=True)
    (tmp_path / "tree" / ".cargo" / "config.toml").write_text(
        '[build]\nrustflags = ["-C", "target-cpu=native", "--cfg", "tokio_unstable"]\n'
        '[target."cfg(all())"]\nrustflags = "--cfg uuid_unstable"\n'
        f'[target.{ARM}]\nrustflags = ["--cfg=of_arm", "-Clinker=mine"]\n'
        f'[target.{HOST}]\nrustflags = ["--cfg=of_others"]\n',
        encoding="utf-8",
    )
    said = variables(tmp_path)["RUSTFLAGS"].split()
    others = [flag for flag in said if not flag.startswith("--remap")]
    assert others == ["--cfg=tokio_unstable", "--cfg=uuid_unstable", "--cfg=of_arm"]


def test_the_build_uses_our_compiler_and_no_network(tmp_path: Path) -> None:
    found = variables(tmp_path)
    assert found["CARGO_NET_OFFLINE"] == "true"
    assert (found["RUSTC"], found["RUSTUP_TOOLCHAIN"]) == ("/rust/bin/rustc", "stable-x86_64")


def test_zig_compiles_and_links_for_a_host_without_a_compiler(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(rusts.shutil, "which", lambda name: None if name == "cc" else f"/bin/{name}")
    found = variables(tmp_path)
    assert found["HOST_CC"] == found["CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER"]
    assert "OT2_HOST_ZIG" in Path(found["HOST_CC"]).read_text(encoding="utf-8")
    assert found["OT2_HOST_ZIG"].endswith("/zig")


def test_the_outermost_manifests_are_the_projects(tmp_path: Path) -> None:
    own = manifest(tmp_path / "src" / "rust")
    manifest(tmp_path / "src" / "rust" / "member")
    manifest(tmp_path / "vendor" / "libc")
    manifest(tmp_path / "examples" / "small")
    assert manifests(tmp_path) == (own,)


@pytest.mark.parametrize(
    "said",
    [
        '[tool.maturin]\nmanifest-path = "bindings/python/Cargo.toml"\n',
        '[[tool.setuptools-rust.ext-modules]]\ntarget = "x"\npath = "bindings/python/Cargo.toml"\n',
    ],
)
def test_what_pyproject_names_is_built_and_may_have_its_workspaces_lock(tmp_path: Path, said: str) -> None:
    manifest(tmp_path / "core", locked=False)
    own = manifest(tmp_path / "bindings" / "python", locked=False)
    (tmp_path / "pyproject.toml").write_text(said, encoding="utf-8")
    assert manifests(tmp_path) == (own,)
    assert lock_of(own, tmp_path) is None
    (tmp_path / "bindings" / "Cargo.lock").touch()
    assert lock_of(own, tmp_path) == tmp_path / "bindings" / "Cargo.lock"


OLD = '[[package]]\nname = "libc"\nversion = "0.2.1"\nsource = "registry"\n[[package]]\nname = "own"\nversion = "1"\n'
NEW = OLD + '[[package]]\nname = "rand"\nversion = "0.9.1"\nsource = "registry"\n'


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (OLD, OLD, ()),
        (NEW, OLD, ()),  # cut, as for a workspace that is not whole
        (OLD, NEW, ("Cargo.toml: no Cargo.lock chose rand 0.9.1; the newest of today go in",)),
        (None, NEW, ("Cargo.toml: no Cargo.lock chose any crate; the newest of today go in",)),
        (None, None, ()),  # nothing to choose
    ],
)
def test_crates_that_no_lock_chose_are_told(
    tmp_path: Path, cargo, before: str | None, after: str | None, told: tuple[str, ...]
) -> None:
    tree = tmp_path / "tree"
    own = manifest(tree, locked=False)
    for name, text in (("Cargo.lock", before), ("after", after)):
        if text is not None:
            (tree / name).write_text(text, encoding="utf-8")
    argv = cargo(runs="[ ! -e after ] || mv after Cargo.lock")
    assert fetch(tree) == told
    assert argv.read_text() == f"fetch --manifest-path {own}\n"


@pytest.mark.parametrize(
    ("says", "offline", "kind", "what"),
    [
        ("error: no matching package named libc found", True, OfflineFailure, "not in cargo's cache"),
        ("[7] Could not connect to server", False, NetworkFailure, "cannot be fetched"),
        ("error: expected a value in Cargo.toml", False, ToolFailure, "ended with status 101"),
    ],
)
def test_what_cargo_says_becomes_a_failure_of_its_kind(
    tmp_path: Path, cargo, says: str, offline: bool, kind: type[BuildFailure], what: str
) -> None:
    cargo(says, 101)
    manifest(tmp_path / "tree")
    with pytest.raises(kind, match=what) as raised:
        fetch(tmp_path / "tree", offline=offline)
    assert says in raised.value.details


def test_a_compiler_that_is_too_old_is_told_with_the_one_that_is_needed() -> None:
    said = "  a@1 requires rustc 1.86\n  b@2 requires rustc 1.88.1\n  c@3 requires rustc 1.9"
    assert RUST.advice(said).startswith(
        "Its crates need rustc 1.88.1, and the one here that can build for robots is 1.85.0."
    )
    assert f"rustup target add {ARM}" in RUST.advice(said)
    assert "need rustc of a later version" in RUST.advice(
        "error[E0658]: `let` expressions in this position are unstable"
    )
    assert RUST.advice("error: could not compile") == ""


def test_without_cargo_one_line_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setattr(rusts.shutil, "which", lambda _: None)
    with pytest.raises(NoRust) as raised:
        find_rust(PROFILE)
    assert raised.value.next == f"Install Rust (rustup), then run: rustup target add {ARM}"


@pytest.mark.skipif(not shutil.which("rustc"), reason="no rustc on this computer")
def test_the_compilers_own_facts_are_read() -> None:
    found = rusts.rust_of(Path(shutil.which("rustc") or ""), ARM)
    assert found.version.startswith("rustc ")
    assert (found.sysroot / "lib").is_dir()
    assert "-" in found.host
