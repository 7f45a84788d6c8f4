"""ARM interpreters that this computer can run: Debian's, one that was given, or one that uv manages."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.errors import UsageFailure
from builder.files import digest_of
from builder.profile import Profile
from builder.qualify import system
from builder.run import environment, run

LOADER = "lib/ld-linux-armhf.so.3"  # a directory that has it is a whole system
CPU = "cortex-a7"  # the least that a robot of 32 bits has; QEMU's own choice runs code of newer ones as well
QUESTION = (
    "import json, os, struct, sys; print(json.dumps({"
    "'minor': '%d.%d' % sys.version_info[:2], 'version': '%d.%d.%d' % sys.version_info[:3], "
    "'arm': struct.calcsize('P') == 4 and os.uname().machine.startswith('armv7'), "
    "'glibc': os.confstr('CS_GNU_LIBC_VERSION').split()[1]}))"
)
# Without core files of what crashes. argv[0] is kept, so that sys.executable is this script.
LAUNCHER = '#!/bin/sh\nulimit -c 0\nexec {qemu} -cpu {cpu} -0 "$0" -L {root} {python} "$@"\n'


@dataclass(frozen=True, kw_only=True)
class Emulated:
    """An interpreter of `version` ("3.11.2"), run by QEMU as a CPU of kind `cpu` on the libraries below `root`.

    `glibc` is that system's; `origin` says in words where the interpreter is from, `packages` what `root` is made of.
    """

    qemu: Path
    cpu: str
    root: Path
    python: Path
    version: str
    glibc: tuple[int, int]
    origin: str
    packages: tuple[str, ...] = ()

    @property
    def minor(self) -> str:
        """The Python version as "3.11"."""
        return self.version.rpartition(".")[0]

    @property
    def title(self) -> str:
        """The interpreter in a report."""
        return f"CPython {self.version} of {self.origin}, QEMU {self.cpu}"

    @property
    def identity(self) -> str:
        """Digest of what results depend on, on any computer."""
        return digest_of([self.version, self.origin, self.cpu, list(self.glibc), list(self.packages)])

    @property
    def launcher(self) -> str:
        """A script that is this interpreter: needs no binfmt, and is what programs find as `sys.executable`."""
        words = {"qemu": self.qemu, "root": self.root, "python": self.python}
        return LAUNCHER.format(cpu=self.cpu, **{name: shlex.quote(str(path)) for name, path in words.items()})


def find_interpreter(profile: Profile, directory: Path | None = None, *, offline: bool = False) -> Emulated | None:
    """An interpreter of the profile's minor, with a glibc that is not older, or None where there is none at hand.

    `directory` is a prefix or a root with `bin/python3.X`; else Debian's is taken where its minor is the profile's,
    else one that uv manages. Raises UsageFailure for a directory that will not do, NoEmulation, NoApt or OfflineFailure
    where even Debian's cannot be run here.
    """
    if (profile.system, profile.machine) != ("Linux", system.MACHINE):
        return None
    if directory is not None:
        return _given(profile, directory, offline=offline)
    if profile.python == system.MINOR:
        return debian_interpreter(profile, offline=offline)
    for prefix in _managed(profile.python):
        found = _ask(prefix / "bin" / f"python{profile.python}", profile, f"uv ({prefix.name})", offline=offline)
        if found and found.minor == profile.python and found.glibc >= (profile.glibc or (0, 0)):
            return found
    return None


def debian_interpreter(profile: Profile, *, offline: bool = False) -> Emulated:
    """Debian's interpreter with the profile's CPU, whatever the profile's minor."""
    base = system.prepare(offline=offline)
    found = _ask(base.root / "usr/bin" / f"python{system.MINOR}", profile, system.NAME, offline=offline)
    if found is None:
        raise system.NoEmulation(
            f"{system.NAME} does not run here", next=f"Look at: {base.root}   (remove it to have it unpacked again)"
        )
    return found


def _given(profile: Profile, directory: Path, *, offline: bool) -> Emulated:
    name = f"python{profile.python}"
    places = [directory.absolute() / place / name for place in ("bin", "usr/bin", "usr/local/bin")]
    python = next((path for path in places if path.exists()), None)
    if python is None:
        raise UsageFailure(
            f"{directory} has no bin/{name}",
            why=f"{profile.name} needs an interpreter of Python {profile.python} for 32-bit ARM.",
        )
    root = directory.absolute() if (directory / LOADER).exists() else None
    found = _ask(python, profile, str(directory), offline=offline, root=root)
    if found is None or found.minor != profile.python:
        raise UsageFailure(f"{python} is no Python {profile.python} for 32-bit ARM, or cannot be run")
    if profile.glibc and found.glibc < profile.glibc:
        raise UsageFailure(
            f"{python} runs on glibc {'%d.%d' % found.glibc}, {profile.name} has {'%d.%d' % profile.glibc}",
            why="Wheels may need what it does not have.",
            next="Give a root directory with its own libraries (lib/ld-linux-armhf.so.3).",
        )
    return found


def _managed(minor: str) -> Iterator[Path]:
    """Prefixes of uv's own 32-bit ARM interpreters of a minor, the newest first."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    place = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    yield from sorted(place.glob(f"cpython-{minor}.*-linux-armv7-gnueabihf"), reverse=True)


def _ask(python: Path, profile: Profile, origin: str, *, offline: bool, root: Path | None = None) -> Emulated | None:
    """The interpreter as it answers when it is run; None when it does not."""
    qemu = system.find_qemu(offline=offline)
    base = None if root else system.prepare(offline=offline)
    where = root or (base.root if base else python.parent)
    cpu = profile.cpu.replace("_", "-") or CPU
    argv: list[str | Path] = [qemu, "-cpu", cpu, "-L", where, python, "-I", "-c", QUESTION]
    done = run(argv, timeout=60, env=environment(), check=False)
    if done.status != 0:
        return None
    answer = json.loads(done.stdout)
    glibc = tuple(int(part) for part in answer["glibc"].split("."))
    if not answer["arm"]:
        return None
    return Emulated(
        qemu=qemu, cpu=cpu, root=where, python=python, version=answer["version"], glibc=(glibc[0], glibc[1]),
        origin=origin, packages=base.packages if base else (),
    )  # fmt: skip
