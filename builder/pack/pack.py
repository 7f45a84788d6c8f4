"""Packs: the tree that a robot's pip would make of one wheel, with .pyc, as a tar that the agent only has to unpack.

Nothing here imitates pip: the pip that the robots have, pinned by sha256, installs the wheel on the host into a
directory that looks like a release. The .pyc are those of the profile's minor, unchecked-hash, and the same on every
machine. Members are relative to the release; times, owners and order are fixed.
"""

from __future__ import annotations

import gzip
import json
import os
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from builder.errors import BuildFailure, HashFailure
from builder.files import digest_of, sha256_file
from builder.profile import Profile
from builder.run import environment, run
from builder.store import Blob, Store
from builder.wheel import WheelFile

PACK_FORMAT = 1
DRIVER = Path(__file__).with_name("driver.py")
INSTALL_TIMEOUT, COMPILE_TIMEOUT = 600.0, 300.0  # seconds; all wheels, one wheel
DESCRIBE = "import sys, importlib.util as u; print('%d.%d' % sys.version_info[:2], u.MAGIC_NUMBER.hex())"
# As the agent compiles a release, but in a fresh process per wheel: what it compiled before shows in a .pyc's bytes.
# Files that are no valid Python (templates, old tests) are passed over.
COMPILE = (
    "import sys, compileall, py_compile; mode = py_compile.PycInvalidationMode.UNCHECKED_HASH; "
    "compileall.compile_dir(sys.argv[1], maxlevels=100, quiet=2, stripdir=sys.argv[2], invalidation_mode=mode)"
)


@dataclass(frozen=True, kw_only=True)
class PipPin:
    """A release of pip as a wheel: the one whose code makes the trees."""

    version: str
    sha256: str

    @property
    def filename(self) -> str:
        """The wheel's file name."""
        return f"pip-{self.version}-py3-none-any.whl"


# The OT-2's own pip, and for Pythons on which it no longer runs (no pkgutil.ImpImporter since 3.12) the next that does.
ROBOT_PIP = PipPin(version="22.3.1", sha256="908c78e6bc29b676ede1c4d57981d490cb892eb45cd8c214ab6298125119e077")
NEWER_PIP = PipPin(version="24.0", sha256="ba0d021a166865d2265246961bec0152ff124de910c5cc39f1156ce3fa7c69dc")


def pip_pin(profile: Profile) -> PipPin:
    """The pip that makes the trees of a profile."""
    return ROBOT_PIP if profile.minor < (3, 12) else NEWER_PIP


@dataclass(frozen=True, kw_only=True)
class Packing:
    """What packs are made with: a host interpreter of the profile's minor, the wheel of `pip_pin`, the store."""

    profile: Profile
    interpreter: Path
    pip_wheel: Path
    store: Store
    jobs: int = os.cpu_count() or 1


def pack_all(wheels: Sequence[Blob], packing: Packing) -> tuple[Blob, ...]:
    """The packs of wheels, in their order; those that the store has are not made again.

    Raises BuildFailure for an interpreter of another minor, HashFailure for another pip, ToolFailure with pip's words.
    """
    magic = _magic(packing)
    pin = pip_pin(packing.profile)
    if wheels and (found := sha256_file(packing.pip_wheel)) != pin.sha256:
        raise HashFailure(f"{packing.pip_wheel.name} is not pip {pin.version}", why=f"Its sha256 is {found}.")
    keys = {wheel.sha256: digest_of([PACK_FORMAT, wheel.sha256, magic, pin.sha256]) for wheel in wheels}
    made = {sha256: _stored(packing.store, key) for sha256, key in keys.items()}
    missing = {wheel.sha256: wheel for wheel in wheels if made[wheel.sha256] is None}
    if missing:
        made |= _make(tuple(missing.values()), keys, packing)
    return tuple(blob for wheel in wheels if (blob := made[wheel.sha256]))


def _stored(store: Store, key: str) -> Blob | None:
    sha256 = store.answer("pack", key)
    return store.blob(sha256) if sha256 else None


def _make(wheels: Sequence[Blob], keys: dict[str, str], packing: Packing) -> dict[str, Blob]:
    """Installs all wheels in one run of pip's code; then compiles and packs them, several at once."""
    with packing.store.scratch() as scratch:
        trees = {wheel.sha256: scratch / "trees" / str(number) for number, wheel in enumerate(wheels)}
        _install(wheels, trees, _fake_release(scratch / "release", packing.interpreter), packing)

        def finish(wheel: Blob) -> Blob:
            root = trees[wheel.sha256]
            _compile(root, wheel.filename, scratch, packing)
            path = scratch / f"{wheel.filename.removesuffix('.whl')}.{packing.profile.abi}.tar.gz"
            write_tar(root, path)
            blob = packing.store.adopt(path, how="packed", facts={"wheel": wheel.sha256})
            packing.store.keep_answer("pack", keys[wheel.sha256], blob.sha256)
            return blob

        with ThreadPoolExecutor(packing.jobs) as pool:
            return {wheel.sha256: blob for wheel, blob in zip(wheels, pool.map(finish, wheels), strict=True)}


def _fake_release(release: Path, interpreter: Path) -> Path:
    """An empty release as the agent writes it, a virtual environment to the interpreter; the path of its python3."""
    real = interpreter.resolve()
    python = release / "bin" / "python3"
    python.parent.mkdir(parents=True)
    python.symlink_to(real)
    config = f"home = {real.parent}\ninclude-system-site-packages = false\n"
    (release / "pyvenv.cfg").write_text(config, encoding="utf-8")
    return python


def _install(wheels: Sequence[Blob], trees: dict[str, Path], python: Path, packing: Packing) -> None:
    request = [
        {"name": WheelFile.open(wheel.path).name, "wheel": str(wheel.path), "root": str(trees[wheel.sha256])}
        for wheel in wheels
    ]
    run(
        [python, "-I", "-B", DRIVER, packing.pip_wheel],
        timeout=INSTALL_TIMEOUT,
        input=json.dumps(request).encode(),
        subject="packs",
    )


def _compile(root: Path, subject: str, scratch: Path, packing: Packing) -> None:
    site_packages = root / "lib" / f"python{packing.profile.python}" / "site-packages"
    # -I would hide PYTHONHASHSEED, and the order of constant sets in 3.10's .pyc hangs on it.
    argv: list[str | Path] = [packing.interpreter, "-s", "-S", "-B", "-c", COMPILE, site_packages, root]
    env = environment({"PYTHONHASHSEED": "0"})
    run(argv, timeout=COMPILE_TIMEOUT, cwd=scratch / "release", env=env, subject=subject)


def write_tar(root: Path, destination: Path) -> None:
    """Writes all files below `root` as a gzip'd tar: sorted, without times, owners and directories."""
    files = sorted((path.relative_to(root).as_posix(), path) for path in root.rglob("*") if path.is_file())
    with (
        destination.open("wb") as out,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=out, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for name, path in files:
            info = tarfile.TarInfo(name)
            facts = path.stat()
            info.size, info.mode = facts.st_size, facts.st_mode & 0o777
            with path.open("rb") as file:
                tar.addfile(info, file)


def _magic(packing: Packing) -> str:
    described = run([packing.interpreter, "-I", "-S", "-c", DESCRIBE], timeout=30).stdout.split()
    if len(described) != 2 or described[0] != packing.profile.python:
        raise BuildFailure(
            f"{packing.interpreter} is Python {described[0] if described else 'of an unknown version'}",
            why=f"The .pyc of {packing.profile.name} are those of Python {packing.profile.python}.",
            next=f"Run: uv python install {packing.profile.python}",
        )
    return described[1]
