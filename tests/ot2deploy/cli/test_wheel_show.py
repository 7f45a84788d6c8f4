"""`wheel show`: what a person and a program see of one wheel."""

from __future__ import annotations

from pathlib import Path

import pytest
from elf_factory import elf
from wheel_factory import MODULE, NATIVE, make_wheel

from builder.store import Store

PROVENANCE = {
    "source": {"sha256": "aa" * 32, "url": "https://host.example/demo-1.0.tar.gz"},
    "recipe": {"name": "demo/default", "digest": "bb" * 32},
    "backend": "maturin",
    "toolchain": {"compiler": {"name": "zig 0.17.0"}, "target": "arm-linux-gnueabihf.2.25", "cpu": "cortex_a7"},
    "flags": {"CFLAGS": "-Os"},
    "requirements": ["maturin==1.0"],
    "seconds": 4.2,
    "log": "/logs/demo.log",
}


@pytest.fixture
def kept(run_cli, tmp_path: Path) -> Path:  # type: ignore[no-untyped-def]
    """A wheel that the store says was built."""
    store = Store(Path(run_cli("store", "path", "--json").good().document["result"]["path"]))
    path = make_wheel(tmp_path, NATIVE, {MODULE: elf(needed=("libc.so.6", "libnowhere.so.1"))})
    store.add(path, how="built", facts=PROVENANCE)
    return path


def test_a_built_wheel_tells_how_it_was_built(run_cli, kept: Path) -> None:
    text = run_cli("wheel", "show", "demo").good().out
    for told in ("demo 1.0", "built", "demo/default (bbbbbbbbbbbb)", "zig 0.17.0 arm-linux-gnueabihf.2.25 cortex_a7",
                 "CFLAGS=-Os", "maturin==1.0", "4.2 s", "/logs/demo.log", "libc.so.6 libnowhere.so.1"):  # fmt: skip
        assert told in text
    told = run_cli("wheel", "show", kept, "--json").good().document["result"]
    assert told["provenance"] == PROVENANCE
    assert told["how"] == "built"


def test_with_a_profile_it_is_judged(run_cli, kept: Path) -> None:
    ran = run_cli("wheel", "show", kept, "--profile", "ot2-py310")
    assert ran.status == 1
    assert "does not fit ot2-py310" in ran.out
    assert "libnowhere.so.1 (elf-missing-lib)" in ran.out


def test_a_wheel_that_is_nowhere(run_cli) -> None:
    ran = run_cli("wheel", "show", "nothing-like-it", "--json")
    assert ran.status == 2
    assert ran.document["error"]["code"] == "usage"
