"""One small real project for each language and back end, built from its sdist as a user would have it built."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.audit import audit
from builder.profile import load

pytestmark = [pytest.mark.network, pytest.mark.slow]
AS_OF = "2026-11-01"
SMALL = {
    "C": ("markupsafe==3.0.2", "markupsafe/_speedups"),
    "C++": ("kiwisolver==1.5.1", "kiwisolver/_cext"),
    "Cython": ("msgpack==1.2.4", "msgpack/_cmsgpack"),
    "meson": ("contourpy==1.3.2", "contourpy/_contourpy"),
    "CMake": ("levenshtein==0.27.4", "Levenshtein/levenshtein_cpp"),
    "maturin": ("rpds-py==0.24.0", "rpds/rpds"),
}
RUST = pytest.param("maturin", marks=pytest.mark.skipif(not shutil.which("cargo"), reason="Rust is not installed"))


@pytest.mark.parametrize("kind", [*(kind for kind in SMALL if kind != "maturin"), RUST])
def test_a_small_project_of_each_kind_is_built_for_the_robot(run_cli: Callable, shared_cache: Path, kind: str) -> None:
    requirement, module = SMALL[kind]
    found = run_cli("wheel", "build", "--from-source", requirement, "--as-of", AS_OF, "--json").good().document
    (made,) = found["result"]["wheels"]
    assert (made["how"], made["profile"]) == ("built", "ot2-py310")
    judged = audit(Path(made["path"]), load("ot2-py310"), expect_native=True)
    assert judged.ok
    assert [binary.file.partition(".")[0] for binary in judged.binaries] == [module]
    needed = {library for binary in judged.binaries for library in binary.needed}
    assert not [library for library in needed if library.startswith(("libstdc++", "libgcc_s", "libc++"))]


def test_pyzmq_is_not_compiled_side_by_side(run_cli: Callable, shared_cache: Path) -> None:
    """Its setup.py changes the one compiler object of all its extensions meanwhile; its recipe says so."""
    words = ["--from-source", "pyzmq==25.1.2", "--profile", "debian-12-armhf", "--as-of", AS_OF, "--json"]
    (made,) = run_cli("wheel", "build", *words).good().document["result"]["wheels"]
    judged = audit(Path(made["path"]), load("debian-12-armhf"), expect_native=True)
    assert "zmq/backend/cython/_poll" in {binary.file.partition(".")[0] for binary in judged.binaries}
