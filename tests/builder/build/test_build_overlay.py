"""C headers of other projects' target wheels, beside the target's Python.h, for one build."""

from __future__ import annotations

from pathlib import Path

import pytest
from wheel_factory import MODULE, NATIVE, make_wheel

from builder.build.overlay import with_headers_of
from builder.errors import BuildFailure
from builder.toolchain.headers import Headers
from builder.wheel import WheelFile


@pytest.fixture
def headers(tmp_path: Path) -> Headers:
    include = tmp_path / "shared" / "python3.10"
    include.mkdir(parents=True)
    (include / "Python.h").write_text("/* the target's */")
    return Headers(include=include, site=tmp_path / "site", module="_x", origin={"kind": "host"})


def test_headers_of_a_wheel_stand_beside_pythons_in_a_directory_of_the_builds_own(
    tmp_path: Path, headers: Headers
) -> None:
    inside = {MODULE: b"", "numpy/_core/include/numpy/config.h": b"long is 4\n", "numpy/src/private.h": b""}
    wheel = WheelFile.open(make_wheel(tmp_path, NATIVE, inside))
    laid = with_headers_of([wheel], headers, tmp_path / "own")
    assert (laid.include / "numpy" / "config.h").read_text() == "long is 4\n"
    assert (laid.include / "Python.h").exists()
    assert laid.origin == {"kind": "host", "headers_of": [NATIVE]}
    assert [path.name for path in headers.include.rglob("*")] == ["Python.h"], "what other builds use stays as it was"
    assert not list(laid.include.rglob("private.h"))


def test_without_any_the_shared_headers_will_do(tmp_path: Path, headers: Headers) -> None:
    assert with_headers_of([], headers, tmp_path / "own") is headers


def test_a_wheel_without_headers_is_refused(tmp_path: Path, headers: Headers) -> None:
    wheel = WheelFile.open(make_wheel(tmp_path, NATIVE, {MODULE: b""}))
    with pytest.raises(BuildFailure, match="has no C headers"):
        with_headers_of([wheel], headers, tmp_path / "own")
