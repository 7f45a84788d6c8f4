"""Packs: the same files as the robots' pip makes, the same bytes every time, and a release that runs."""

from __future__ import annotations

import csv
import io
import sys
import tarfile
from pathlib import Path

import pytest
from elf_factory import elf
from index_wheels import published
from wheel_factory import make_wheel

from builder.errors import BuildFailure, HashFailure
from builder.pack import PACK_FORMAT, Packing, pack_all, pip_pin, write_tar
from builder.profile import Profile, load
from builder.run import run
from builder.store import Blob, Store

MINOR = "%d.%d" % sys.version_info[:2]
ROBOT = Profile(name="robot", python=MINOR, machine="armv7l", glibc=(2, 25), triple="arm-linux-gnueabihf")
INTERPRETER = Path(sys.executable)
SITE = f"lib/python{MINOR}/site-packages"
FILES = {
    "demo/__init__.py": b"def main():\n    print('hello from', __file__.rsplit('/site-packages/')[1])\n",
    "demo/broken_template.py": b"def {{ name }}():\n",
    "demo/data.bin": bytes(range(256)),
    "demo/tool.sh": b"#!/bin/sh\necho hi\n",
    "demo-paths.pth": b"# nothing\n",
    "demo-1.0.data/scripts/old-script": b"#!python\nimport demo; demo.main()\n",
    "demo-1.0.data/scripts/shell": b"#!/bin/sh\necho shell\n",
    "demo-1.0.data/data/share/demo/readme.txt": b"read me\n",
    "demo-1.0.data/headers/demo.h": b"int x;\n",
    "demo-1.0.data/platlib/demo_native.py": b"X = 1\n",
}
POINTS = {"entry_points.txt": b"[console_scripts]\ndemo-run = demo:main\n"}
EXECUTABLE = ("demo/tool.sh", "demo-1.0.data/scripts/shell", "demo-1.0.data/scripts/old-script")


@pytest.fixture
def packing(shared_cache: Path, tmp_path: Path) -> Packing:
    pin = pip_pin(ROBOT)
    pip = published(shared_cache, "pip", pin.filename, pin.sha256)
    return Packing(profile=ROBOT, interpreter=INTERPRETER, pip_wheel=pip, store=Store(tmp_path / "store"))


def demo(packing: Packing, where: Path) -> Blob:
    path = make_wheel(where, files=FILES, info=POINTS, executable=EXECUTABLE)
    return packing.store.add(path, how="test")


def pack(wheel: Blob, packing: Packing) -> Blob:
    return pack_all([wheel], packing)[0]


def unpack(blob: Blob) -> dict[str, tuple[int, bytes]]:
    with tarfile.open(blob.path) as tar:
        return {info.name: (info.mode, tar.extractfile(info).read()) for info in tar}  # type: ignore[union-attr]


@pytest.mark.network
def test_a_pack_is_what_pip_installs_into_a_virtual_environment(packing: Packing, tmp_path: Path) -> None:
    wheel = demo(packing, tmp_path)
    found = unpack(pack(wheel, packing))
    venv = tmp_path / "venv"
    run([INTERPRETER, "-m", "venv", "--without-pip", venv], timeout=60)
    before = {path.relative_to(venv).as_posix() for path in venv.rglob("*")}
    options = ["--no-index", "--no-deps", "--no-compile", "--ignore-installed", "--find-links", wheel.path.parent]
    python = venv / "bin" / "python"
    run([python, packing.pip_wheel / "pip", "install", "--quiet", *options, "demo==1.0"], timeout=120)
    installed = {
        name: (path.stat().st_mode & 0o777, path.read_bytes())
        for path in venv.rglob("*")
        if path.is_file() and (name := path.relative_to(venv).as_posix()) not in before
    }
    made = {name: content for name, content in found.items() if not name.endswith(".pyc")}
    assert sorted(made) == sorted(installed)
    assert {name: mode for name, (mode, _) in made.items()} == {name: mode for name, (mode, _) in installed.items()}
    shebang = f"#!{python}\n".encode()
    for name, (_, data) in made.items():
        if not name.endswith("RECORD"):
            assert data.replace(b"#!@OT2DEPLOY_PYTHON@\n", shebang) == installed[name][1], name
    rows = [row[0] for row in csv.reader(io.StringIO(made[f"{SITE}/demo-1.0.dist-info/RECORD"][1].decode()))]
    theirs = [row[0] for row in csv.reader(io.StringIO(installed[f"{SITE}/demo-1.0.dist-info/RECORD"][1].decode()))]
    assert rows == theirs


@pytest.mark.network
def test_a_pack_makes_a_release_that_runs(packing: Packing, tmp_path: Path) -> None:
    release = tmp_path / "release"
    (release / "bin").mkdir(parents=True)
    python = release / "bin" / "python3"
    python.symlink_to(INTERPRETER.resolve())
    (release / "pyvenv.cfg").write_text(f"home = {INTERPRETER.resolve().parent}\n")
    for name, (mode, data) in unpack(pack(demo(packing, tmp_path), packing)).items():
        path = release / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.replace(b"#!@OT2DEPLOY_PYTHON@", f"#!{python}".encode()))
        path.chmod(mode)
    tag = sys.implementation.cache_tag
    assert (release / SITE / "demo" / "__pycache__" / f"__init__.{tag}.pyc").read_bytes()[4] == 1  # unchecked-hash
    assert not (release / SITE / "demo" / "__pycache__" / f"broken_template.{tag}.pyc").exists()
    for script in ("demo-run", "old-script"):
        assert run([release / "bin" / script], timeout=60).stdout == "hello from demo/__init__.py\n"


@pytest.mark.network
def test_packs_are_the_same_bytes_and_made_once(packing: Packing, tmp_path: Path) -> None:
    native = make_wheel(
        tmp_path,
        "other-2.0-cp310-cp310-manylinux_2_17_armv7l.whl",
        {"other/__init__.py": b"NAMES = frozenset({'a', 'b', 'c', 'd'})\n", "other/_x.abi3.so": elf()},
    )
    wheels = [demo(packing, tmp_path), packing.store.add(native, how="test")]
    first = pack_all(wheels, packing)
    assert [blob.filename for blob in first] == [
        f"demo-1.0-py3-none-any.{ROBOT.abi}.tar.gz",
        f"other-2.0-cp310-cp310-manylinux_2_17_armv7l.{ROBOT.abi}.tar.gz",
    ]
    inodes = [blob.path.stat().st_ino for blob in first]
    assert pack_all([wheels[1], wheels[0]], packing) == (first[1], first[0])
    assert [blob.path.stat().st_ino for blob in first] == inodes
    elsewhere = Store(tmp_path / "elsewhere")
    copies = [elsewhere.add(wheel.path, how="test") for wheel in reversed(wheels)]
    fresh = Packing(profile=ROBOT, interpreter=INTERPRETER, pip_wheel=packing.pip_wheel, store=elsewhere, jobs=1)
    assert [blob.sha256 for blob in pack_all(copies, fresh)] == [first[1].sha256, first[0].sha256]
    assert PACK_FORMAT == 1


@pytest.mark.network
def test_what_pip_does_not_take_is_named(packing: Packing, tmp_path: Path) -> None:
    path = make_wheel(tmp_path, wheel="Wheel-Version: 2.0\nTag: py3-none-any\n")
    wheel = packing.store.add(path, how="test")
    with pytest.raises(BuildFailure) as caught:
        pack(wheel, packing)
    assert "demo-1.0-py3-none-any.whl" in "\n".join(caught.value.details)


def test_another_minor_is_refused(tmp_path: Path) -> None:
    other = next(profile for profile in map(load, ("ot2-py310", "ot2-py312")) if profile.python != MINOR)
    packing = Packing(profile=other, interpreter=INTERPRETER, pip_wheel=tmp_path, store=Store(tmp_path / "store"))
    with pytest.raises(BuildFailure, match=f"is Python {MINOR}"):
        pack_all([], packing)


def test_another_pip_is_refused(tmp_path: Path) -> None:
    pip = make_wheel(tmp_path, "pip-22.3.1-py3-none-any.whl")
    store = Store(tmp_path / "store")
    wheel = store.add(make_wheel(tmp_path), how="test")
    with pytest.raises(HashFailure, match="is not pip"):
        pack(wheel, Packing(profile=ROBOT, interpreter=INTERPRETER, pip_wheel=pip, store=store))


def test_tars_hold_no_time_owner_or_directory(tmp_path: Path) -> None:
    for number in (1, 2):
        root = tmp_path / str(number)
        (root / "empty").mkdir(parents=True)
        for name in ("b", "a")[:: 1 if number == 1 else -1]:
            (root / name).write_text(name)
        (root / "a").chmod(0o755)
        write_tar(root, tmp_path / f"{number}.tar.gz")
    assert (tmp_path / "1.tar.gz").read_bytes() == (tmp_path / "2.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "1.tar.gz") as tar:
        assert [(info.name, info.mode, info.mtime, info.uid) for info in tar] == [
            ("a", 0o755, 0, 0),
            ("b", 0o644, 0, 0),
        ]
