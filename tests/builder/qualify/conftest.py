"""Bundles of hand-made wheels, with machine code for 32-bit ARM, and the interpreter that runs them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.bundle import Bundle, assemble
from builder.engine import Engine, open_engine
from builder.environment import Check, Environment
from builder.profile import load
from builder.qualify import Emulated, find_interpreter
from builder.run import environment, run
from builder.targets import Search
from builder.toolchain.headers import prepare_headers

DEBIAN = load("debian-12-armhf")
CC = [
    sys.executable,
    "-m",
    "ziglang",
    "cc",
    "-target",
    "arm-linux-gnueabihf",
    "-fPIC",
    "-O2",
    "-fno-sanitize=undefined",
]


@pytest.fixture
def emulated(shared_cache: Path) -> Emulated:
    """Debian's interpreter."""
    found = find_interpreter(DEBIAN)
    assert found is not None
    return found


@pytest.fixture
def engine(shared_cache: Path, tmp_path: Path) -> Engine:
    """An engine that knows no recipes."""
    return open_engine(tmp_path / "locks", search=Search(environments=(), packages=()), jobs=2)


@pytest.fixture
def compile_module(shared_cache: Path, tmp_path: Path) -> Callable[..., bytes]:
    """Compiles C source for a CPU; an extension module when it is one."""

    def compiled(source: str, cpu: str = "cortex_a7") -> bytes:
        (tmp_path / "module.c").write_text(source)
        cache = str(shared_cache / "zig")
        env = environment({"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache})
        include = prepare_headers(DEBIAN).include
        argv = [*CC, f"-mcpu={cpu}", "-I", include]
        run([*argv, "-c", tmp_path / "module.c", "-o", tmp_path / "module.o"], timeout=120, env=env)
        # Without a libc, which zig would build for this CPU first.
        run([*argv, "-nostdlib", "-shared", tmp_path / "module.o", "-o", tmp_path / "module.so"], timeout=120, env=env)
        return (tmp_path / "module.so").read_bytes()

    return compiled


@pytest.fixture
def bundle_of(engine: Engine) -> Callable[..., Bundle]:
    """The bundle of wheel files for Debian, with quick checks."""

    def bundled(wheels: Iterable[Path], checks: Iterable[Check] = (), **options: Any) -> Bundle:
        blobs = [engine.store.add(path, how="built") for path in wheels]
        records: list[Mapping[str, Any]] = [engine.store.record(blob.sha256) or {} for blob in blobs]
        rows = [
            {**{key: record[key] for key in ("name", "version", "filename", "sha256", "size", "unpacked", "files")},
             "how": "built", "requested": True}
            for record in records
        ]  # fmt: skip
        wanted = Environment(name="lab", requirements=tuple(row["name"] for row in rows), **options)
        return assemble(wanted, DEBIAN, rows, blobs, quick=checks, as_of="2025-04-20", lock="0" * 64)

    return bundled
