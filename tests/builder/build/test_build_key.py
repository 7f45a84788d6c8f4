"""The key of a build: the same for the same things, another for everything that decides a wheel's bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from engine_factory import OT2
from wheel_factory import make_wheel

from builder.build import BuildRequest, Source, key
from builder.build.key import build_key
from builder.errors import BuildFailure
from builder.profile import load
from builder.recipe import Recipe
from builder.source import Archive
from builder.toolchain import sysroot
from builder.toolchain.rust import Rust
from builder.toolchain.sysroot import Sysroot
from builder.wheel import WheelFile

RECIPE = Recipe(name="demo", version=None, directory=Path("demo"), digest="1", libraries=("zlib",))
SOURCE = Source(path=Path("demo-1.0.tar.gz"), sha256="a" * 64, url="https://example.org/demo-1.0.tar.gz")
REQUEST = BuildRequest(name="demo", version="1.0", source=SOURCE, profile=OT2, recipe=RECIPE, as_of="2025-04-20")


def rust(version: str) -> Rust:
    place = Path("/rust")
    return Rust(target="armv7", version=version, compiler=place, host="x86_64", commit="c", sysroot=place)


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a build would find on this host; a test changes it."""
    found: dict[str, Any] = {"libraries": {"zlib1g-dev_1.deb": "0"}, "compiler": {"kind": "zig"}, "rust": "rustc 1.80"}
    found |= {"python": "3.10.8", "image": "sha256:1"}

    def prepare(_profile: Any, libraries: tuple[str, ...], *, offline: bool) -> Sysroot | None:
        return Sysroot(path=Path(), packages=found["libraries"]) if libraries else None

    monkeypatch.setattr(sysroot, "prepare_sysroot", prepare)
    monkeypatch.setattr(key, "identity_of", lambda _name, **_: found["compiler"])
    monkeypatch.setattr(key, "find_rust", lambda _profile, **_: rust(found["rust"]))
    monkeypatch.setattr(key, "find_interpreter", lambda _minor: SimpleNamespace(version=found["python"]))
    docker = SimpleNamespace(identity=lambda _name: found["image"])
    monkeypatch.setattr(key.engine, "connect", lambda: docker)
    monkeypatch.setattr(key, "ensure_image", lambda *_, **__: "ot2deploy-build")
    return found


def test_where_the_source_lies_here_and_which_index_had_it_do_not_matter(tmp_path: Path) -> None:
    other = replace(SOURCE, path=tmp_path / SOURCE.path.name, url="https://mirror.example.org/demo-1.0.tar.gz")
    assert build_key(replace(REQUEST, source=other), "zig", rust=False) == build_key(REQUEST, "zig", rust=False)


@pytest.mark.parametrize(
    "change",
    [
        {"version": "1.1"},
        {"source": replace(SOURCE, sha256="b" * 64)},
        {"source": replace(SOURCE, subdirectory="python")},
        {"source": replace(SOURCE, kind=Archive.kind)},
        {"recipe": replace(RECIPE, digest="2")},
        {"recipe": None},
        {"profile": load("ot2-py312")},
        {"as_of": "2025-04-21"},
    ],
)
def test_everything_that_is_asked_for_matters(change: dict[str, Any]) -> None:
    assert build_key(replace(REQUEST, **change), "zig", rust=False) != build_key(REQUEST, "zig", rust=False)


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("libraries", {"zlib1g-dev_2.deb": "1"}),
        ("compiler", {"kind": "gcc"}),
        ("rust", "rustc 1.81"),
        ("python", "3.10.9"),
        ("image", "sha256:2"),
    ],
)
def test_everything_that_is_used_matters(parts: dict[str, Any], part: str, other: Any) -> None:
    first = build_key(REQUEST, "container", rust=True)
    parts[part] = other
    assert build_key(REQUEST, "container", rust=True) != first


def test_a_build_on_this_computer_asks_no_docker(parts: dict[str, Any]) -> None:
    first = build_key(REQUEST, "zig", rust=False)
    parts["image"] = "sha256:2"
    assert build_key(REQUEST, "zig", rust=False) == first


def test_without_an_interpreter_it_is_the_build_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_minor: str) -> None:
        raise BuildFailure("building needs a CPython 3.10")

    first = build_key(REQUEST, "zig", rust=False)
    monkeypatch.setattr(key, "find_interpreter", none)
    assert build_key(REQUEST, "zig", rust=False) != first


def test_the_bytes_of_the_wheels_whose_headers_are_used_matter(tmp_path: Path) -> None:
    keys = set()
    for content in (b"1", b"2"):
        wheel = make_wheel(tmp_path, "numpy-2.2.6-cp310-cp310-linux_armv7l.whl", {"numpy/include/x.h": content})
        keys.add(build_key(replace(REQUEST, headers_of=(WheelFile.open(wheel),)), "zig", rust=False))
    assert len(keys) == 2


def test_our_own_part_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    first = build_key(REQUEST, "zig", rust=False)
    monkeypatch.setattr(key, "FORMAT", key.FORMAT + 1)
    key.own.cache_clear()
    try:
        assert build_key(REQUEST, "zig", rust=False) != first
    finally:
        key.own.cache_clear()
