"""The whole way to a wheel with the real tools: what must not reach a robot is refused by name of finding."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from elf_factory import SOFT, X86_64, elf
from engine_factory import OT2, make_engine, served
from wheel_factory import MODULE, NATIVE, PURE, add_member, make_wheel

from builder import uv as uvs
from builder.acquire import acquire
from builder.errors import BuildFailure
from builder.lock import Locked, LockedFile
from builder.selection import Wanted, choose
from builder.toolbox import Toolbox


def wanted(*wheels: LockedFile, sdist: LockedFile | None = None) -> Wanted:
    (one,) = choose([Locked(name="demo", version="1.0", wheels=wheels, sdist=sdist, parents=("",))], OT2)
    return one


def corrupted(where: Path) -> Path:
    path = make_wheel(where, NATIVE, {MODULE: elf(), "demo/data.bin": bytes(range(256)) * 64})
    data = bytearray(path.read_bytes())
    at = data.index(b"demo/data.bin") + len("demo/data.bin") + 4
    data[at] ^= 0xFF
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("make", "finding"),
    [
        (lambda where: make_wheel(where, NATIVE, {MODULE: elf(machine=X86_64, bits=64)}), "elf-machine"),
        (lambda where: make_wheel(where, NATIVE, {MODULE: elf(flags=SOFT, attributes={28: 0})}), "elf-float-abi"),
        (lambda where: make_wheel(where, NATIVE, {MODULE: elf(text=b"x"), "y.so": b"\x7fELF junk"}), "elf-malformed"),
        (lambda where: add_member(make_wheel(where, NATIVE, {MODULE: elf()}), "demo/extra.py"), "record-unlisted"),
        (corrupted, "member-damaged"),
    ],
)
def test_bad_wheels_are_passed_over_by_finding(tmp_path: Path, make, finding: str) -> None:  # type: ignore[no-untyped-def]
    public = tmp_path / "public"
    public.mkdir()
    bad, good = served(make(public)), served(make_wheel(public, PURE))
    engine = make_engine(tmp_path, tools=Toolbox())  # type: ignore[arg-type]
    found = acquire(wanted(bad, good), OT2, engine)
    assert found.blob.filename == PURE
    assert finding in found.passed_over[0].reason
    with pytest.raises(BuildFailure) as caught:
        acquire(wanted(bad), OT2, engine)
    assert finding in "\n".join(caught.value.lines())


@pytest.mark.network
@pytest.mark.slow
def test_a_build_that_silently_turned_pure_is_refused(
    tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(shared_cache / "uv"))
    setup = "from setuptools import Extension, setup\nsetup(name='demo', version='1.0', py_modules=['demo'],"
    setup += " ext_modules=[Extension('_demo', ['demo.c'], optional=True)])\n"
    path = tmp_path / "demo-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in {"setup.py": setup, "demo.py": "", "demo.c": "#error no compiler likes this\n"}.items():
            info = tarfile.TarInfo(f"demo-1.0/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    engine = make_engine(tmp_path, tools=Toolbox(), uv=uvs.find())  # type: ignore[arg-type]
    with pytest.raises(BuildFailure, match="no wheel for ot2-py310") as caught:
        acquire(wanted(sdist=served(path)), OT2, engine, as_of="2025-04-20")
    text = "\n".join(caught.value.lines())
    assert "silently turned pure" in text
    assert "no compiler likes this" in text


TWICE = """
import sys
from pathlib import Path
from builder.environment import Environment, Index
from builder.pipeline import make_bundle, open_engine
from builder.profile import load
root = Path(sys.argv[1])
index = Index(name="own", url=(root / "wheels").as_uri())
environment = Environment(name="lab", requirements=("demo", "other"), as_of="2025-04-20", indexes=(index,))
engine = open_engine(root / "locks", store_root=root / "store", offline=True)
print(make_bundle(environment, load("ot2-py310"), engine).digest)
"""


def test_two_processes_bundle_at_once_from_an_empty_store(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    make_wheel(wheels, NATIVE, {MODULE: elf()})
    make_wheel(wheels, "other-2.0-py3-none-any.whl")
    argv = [sys.executable, "-c", TWICE, str(tmp_path)]
    both = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert said[0][0] == said[1][0] != ""
