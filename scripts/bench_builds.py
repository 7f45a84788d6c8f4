"""The build engine, measured against pip in an emulated ARM userland and against itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benching import OT2DEPLOY, Figures, Ran, ours, ran, seconds

from builder.places import cache_root
from builder.toolchain import apt
from ot2deploy.sim.image import MERGED_USR, SUITE

PROFILE = "debian-12-armhf"
NATIVE = (
    "asyncpg", "cffi", "cryptography", "greenlet", "markupsafe", "pyyaml", "regex", "ruamel-yaml-clib", "ujson",
)  # fmt: skip
EMULATED = ("greenlet", "markupsafe", "ujson")  # all nine would take the better part of an hour
BACK_ENDS = ("setuptools>=77", "setuptools-scm>=8", "wheel")
# A Debian userland of the target with a compiler; unpacked only, since nothing of it needs to be configured.
USERLAND = (
    "coreutils",
    "dash",
    "gcc",
    "g++",
    "libc6-dev",
    "python3-dev",
    "python3-pip",
    "python3-setuptools",
    "python3-wheel",
)


class Builds:
    """Builds of Prefect's native packages, each in a store that is empty; compilers are warm but where it is said."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.figures = Figures()
        self.stores = 0

    def measure(self) -> None:
        """All figures."""
        self.requirements = self.locked()
        self.prepare()
        ours("toolchain", "prepare", "--profile", PROFILE, cwd=self.directory)  # this machine's own cache
        self.build(self.store(), *NATIVE, jobs=2)  # crates and build requirements are there from now on
        self.against_emulation()
        self.parallel()
        self.full_store()
        self.missing()

    def locked(self) -> dict[str, str]:
        """The versions that Prefect's lock has of the native packages."""
        packages = json.loads(ours("lock", "prefect", cwd=self.directory).out)["result"]["packages"]
        versions = {one["name"]: one["version"] for one in packages}
        return {name: f"{name}=={versions[name]}" for name in NATIVE}

    def store(self) -> Path:
        """A cache directory with an empty store, this machine's compilers and what uv keeps."""
        self.stores += 1
        place = self.directory / f"cache-{self.stores}"
        place.mkdir()
        for name in ("zig", "toolchain", "uv"):
            (place / name).symlink_to(cache_root() / name)
        return place

    def build(self, store: Path, *names: str, jobs: int, pinned: bool = False) -> Ran:
        """One `wheel build` of projects from source; `pinned` leaves it and its compilers one core."""
        words = [self.requirements[name] for name in names]
        argv = [
            *(["taskset", "--cpu-list", "0"] if pinned else []), str(OT2DEPLOY), "wheel", "build", *words,
            "--from-source", "--profile", PROFILE, "--jobs", str(jobs), "--dist-tree-root", str(store / "dist"),
            "--json",
        ]  # fmt: skip
        return ran(argv, self.directory, env={"OT2DEPLOY_CACHE": str(store)})

    def prepare(self) -> None:
        """Making the compiler's C and C++ libraries for a target, once a machine."""
        empty = {"OT2DEPLOY_CACHE": str(self.directory / "cold")}
        took = ours("toolchain", "prepare", "--profile", PROFILE, cwd=self.directory, env=empty).wall
        self.figures.tell("toolchain prepare, once", seconds(took), bar="its own step", held=True)

    def against_emulation(self) -> None:
        """Some of the packages by `pip wheel` in an emulated ARM userland, from the same sdists."""
        store = self.store()
        mine = sum(self.build(store, name, jobs=1).wall for name in EMULATED)
        sdists = [next((store / "store" / "blobs").glob(f"*/{self.sdist(name)}")) for name in EMULATED]
        reference = self.emulated(sdists)
        ratio = reference / mine
        self.figures.tell(
            f"{', '.join(EMULATED)}, one by one", seconds(mine), f"{seconds(reference)} (`pip wheel`, emulated ARM)",
            f"{ratio:.1f}", bar="at least 10 times as fast", held=ratio >= 10,
        )  # fmt: skip

    def sdist(self, name: str) -> str:
        """The file name of a project's sdist."""
        return f"{name.replace('-', '[-_.]')}-{self.requirements[name].partition('==')[2]}.tar.gz"

    def emulated(self, sdists: list[Path]) -> float:
        """Seconds of `pip wheel` of the sdists in a userland of the target, its build requirements at hand."""
        root = self.directory / "userland"
        make = ["mmdebstrap", "--quiet", "--variant=extract", "--architectures=armhf", f"--hook-dir={MERGED_USR}"]
        archive = filter(None, [apt.archive(SUITE)])
        subprocess.run([*make, f"--include={','.join(USERLAND)}", SUITE, str(root), *archive], check=True)
        place = root / "bench"
        place.mkdir()
        fetch = [sys.executable, "-m", "pip", "download", "-q", "--dest", str(place / "requirements"), *BACK_ENDS]
        subprocess.run(fetch, check=True)
        took = 0.0
        for sdist in sdists:
            shutil.copy(sdist, place)
            pip = ["python3", "-m", "pip", "wheel", "-q", "--no-deps", "--no-index", "--no-cache-dir", "--find-links"]
            words = [*pip, "/bench/requirements", "--wheel-dir", "/bench/wheels", f"/bench/{sdist.name}"]
            start = time.monotonic()
            subprocess.run(
                ["chroot", str(root), "/usr/bin/env", "-i", "PATH=/usr/bin:/bin", "HOME=/bench", "CC=gcc", *words],
                check=True,
            )
            took += time.monotonic() - start
        return took

    def parallel(self) -> None:
        """All nine, two at a time, the longest first, against one after the other.

        A build that runs alone is given all cores; truly one after the other is on one core.
        """
        together = self.build(self.store(), *NATIVE, jobs=2).wall
        self.last = self.store()
        alone = self.build(self.last, *NATIVE, jobs=1).wall
        serial = self.build(self.store(), *NATIVE, jobs=1, pinned=True).wall
        ratio = together / serial
        self.figures.tell(
            "nine packages, two at a time", seconds(together),
            f"{seconds(serial)} (one at a time, one core; {seconds(alone)} where each has both)",
            f"{ratio:.2f}", bar="at most 0.7", held=ratio <= 0.7,
        )  # fmt: skip

    def full_store(self) -> None:
        """The same command again: everything is in the store."""
        again = self.build(self.last, *NATIVE, jobs=2)
        self.figures.tell("nine packages, full store", seconds(again.wall), bar="under 2 s", held=again.wall < 2)

    def missing(self) -> None:
        """What a robot lacks of three large packages, metadata known."""
        ask = [sys.executable, "-m", "ot2deploy", "wheel", "missing", "numpy", "pandas", "opencv-python"]
        words = [*ask, "--profile", "ot2-py310", "--json"]
        variables = dict(os.environ)
        ran(words, self.directory, check=False, env=variables)
        took = ran(words, self.directory, check=False, env=variables).wall
        self.figures.tell("wheel missing numpy pandas opencv-python", seconds(took), bar="under 10 s", held=took < 10)
