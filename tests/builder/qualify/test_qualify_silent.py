"""Wheels that build, pass the audit and import, and do not work: only running them tells. All are really built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from index_wheels import published
from tiny_project import CPLUSPLUS
from wheel_factory import make_wheel

from builder.bundle import Bundle
from builder.engine import Engine
from builder.environment import Check, Environment
from builder.pipeline import make_bundle
from builder.places import shipped
from builder.profile import load
from builder.qualify import Emulated, Options, Row, qualify
from builder.repair import repair
from builder.run import environment, run
from builder.targets import Search
from builder.toolchain.headers import prepare_headers
from builder.toolchain.zig import find_zig, target
from builder.wheel import WheelFile
from builder.wheel.writer import rewrite

pytestmark = [pytest.mark.emulated, pytest.mark.slow]
Rows = Callable[[Bundle], dict[str, Row]]
Bundling = Callable[..., Bundle]
DEBIAN = load("debian-12-armhf")
SHIPPED = Search(environments=(), packages=(shipped("package"),))
AS_OF = "2025-04-20"
CATCHES = Check(
    kind="program", name="catches", timeout=60, source="import sys, fast\nassert fast.catches() == 'thrown'\n"
)
SWITCHES = shipped("environments") / "prefect" / "checks" / "greenlet_switch.py"
CRYPTOGRAPHY = (
    "cryptography",
    "cryptography-44.0.2-cp39-abi3-manylinux_2_28_armv7l.manylinux_2_31_armv7l.whl",
    "d1c3572526997b36f245a96a2b1713bf79ce99b271bbcf084beb6b9b075f29ea",
)
ENCRYPTS = """\
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
box = Fernet(Fernet.generate_key())
assert box.decrypt(box.encrypt(b"secret")) == b"secret"
key = Ed25519PrivateKey.generate()
key.public_key().verify(key.sign(b"signed"), b"signed")
"""


@pytest.fixture
def rows(emulated: Emulated, engine: Engine) -> Rows:
    """A bundle's rows by name, when it is qualified."""
    return lambda bundle: {row.name: row for row in qualify(bundle, emulated, Options(engine=engine)).rows}


@pytest.mark.parametrize("linked", ["as the wrapper links it", "with LTO"])
def test_exceptions_of_lto_builds_are_not_caught(
    rows: Rows,
    bundle_of: Bundling,
    shared_cache: Path,
    tmp_path: Path,
    linked: str,
) -> None:
    zig, include = find_zig(), prepare_headers(DEBIAN).include
    (tmp_path / "fast.cpp").write_text(CPLUSPLUS)
    lto = linked == "with LTO"
    compiler: list[str | Path] = [zig.directory / "ot2-c++"]
    if lto:  # the wrapper drops it
        compiler = [zig.path, "c++", "-target", target(DEBIAN), f"-mcpu={DEBIAN.cpu}", "-I", include, "-g0"]
    zig.prepare(DEBIAN)
    env = environment(zig.variables(DEBIAN, include=include))
    options = ["-O3", "-DNDEBUG", "-fPIC", "-flto", "-fno-sanitize=undefined"]
    run([*compiler, *options, "-c", "fast.cpp", "-o", "fast.o"], cwd=tmp_path, env=env, timeout=600)
    link = ["-shared", "-O2", "-s", "-Wl,--gc-sections"]
    run([*compiler, *options, *link, "fast.o", "-o", "fast.so"], cwd=tmp_path, env=env, timeout=600)
    module = {"fast.cpython-311-arm-linux-gnueabihf.so": (tmp_path / "fast.so").read_bytes()}
    wheel = make_wheel(tmp_path, "fast-1.0-cp311-cp311-linux_armv7l.whl", module)
    found = rows(bundle_of([wheel], [CATCHES]))
    assert found[f"audit {wheel.name}"].ok
    assert found["import fast"].ok
    assert found["catches"].ok is not lto
    if lto:
        assert found["catches"].why.startswith("ended by SIGABRT")


@pytest.mark.parametrize("search", [SHIPPED, Search(environments=(), packages=())], ids=["recipe", "no recipe"])
def test_greenlet_crashes_in_its_first_switch_without_its_recipe(rows: Rows, engine: Engine, search: Search) -> None:
    check = Check(kind="program", name="switches", timeout=120, source=SWITCHES.read_text())
    wanted = Environment(name="greenlet", requirements=("greenlet==3.1.1",), as_of=AS_OF, quick=(check,))
    found = rows(make_bundle(wanted, DEBIAN, replace(engine, search=search)))
    assert found["import greenlet._greenlet"].ok
    if search is SHIPPED:
        assert found["switches"].ok
    else:
        assert found["switches"].why.startswith("ended by SIGSEGV")


def test_a_repaired_wheel_works_where_what_was_repaired_is_not_there(
    rows: Rows,
    engine: Engine,
    bundle_of: Bundling,
    shared_cache: Path,
    tmp_path: Path,
) -> None:
    """The emulated glibc has the versions that were too new, so they are renamed to one that no glibc has."""
    original = published(shared_cache, *CRYPTOGRAPHY)
    repaired = repair(original, tmp_path / "repaired", load("ot2-py310"))
    rest = Environment(name="cffi", requirements=("cffi==1.17.1",), as_of=AS_OF)
    others = [blob.path for blob in make_bundle(rest, DEBIAN, replace(engine, search=SHIPPED)).blobs]
    check = Check(kind="program", name="encrypts", timeout=120, source=ENCRYPTS)
    before, after = (
        rows(bundle_of([without_2_28(path, tmp_path / place), *others], [check]))
        for path, place in ((original, "before"), (repaired.path, "after"))
    )
    module = "import cryptography.hazmat.bindings._rust"
    assert "version `GLIBC_2.78' not found" in before[module].why
    assert not before["encrypts"].ok
    assert after[module].ok, after[module]
    assert after["encrypts"].ok, after["encrypts"]


def without_2_28(path: Path, where: Path) -> Path:
    """A copy of a wheel whose needs of GLIBC_2.28 are needs of a version that does not exist."""

    def change(name: str, data: bytes) -> bytes:
        old, new = (b"GLIBC_2.28", b"GLIBC_2.78")
        hashes = (elf_hash(version).to_bytes(4, "little") for version in (old, new))
        return data.replace(old + b"\0", new + b"\0").replace(*hashes) if name.endswith(".so") else data

    return rewrite(WheelFile.open(path), where, change=change)


def elf_hash(name: bytes) -> int:
    """The hash of a version's name (System V ABI, "Hash Table")."""
    value = 0
    for byte in name:
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ (high >> 24)) & ~high & 0xFFFFFFFF
    return value
