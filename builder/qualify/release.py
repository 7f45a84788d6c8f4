"""A fresh environment for an emulated interpreter, filled as the tree method fills a release on a robot."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path

from builder.pack.driver import PYTHON
from builder.qualify.emulated import Emulated
from builder.store import Blob

PLACEHOLDER = f"#!{PYTHON}".encode()


def make_release(directory: Path, emulated: Emulated, packs: Sequence[Blob], *, system_packages: bool = False) -> Path:
    """Makes a virtual environment at `directory` and unpacks packs into it, in order; gives its interpreter.

    That is a script which starts QEMU. It gets the name `python3.X` and not only `python3`, as programs that look for
    either find it.
    """
    (directory / "bin").mkdir(parents=True)
    name = f"python{emulated.minor}"
    python = directory / "bin" / name
    python.write_text(emulated.launcher)
    python.chmod(0o755)
    for other in ("python3", "python"):
        (directory / "bin" / other).symlink_to(name)
    (directory / "pyvenv.cfg").write_text(
        f"home = {emulated.python.parent}\n"
        f"include-system-site-packages = {'true' if system_packages else 'false'}\n"
        f"version = {emulated.version}\n"
    )
    interpreter = directory / "bin" / "python3"
    for pack in packs:
        with tarfile.open(pack.path) as archive:
            archive.extractall(directory, filter="data")
            scripts = [member.name for member in archive if member.name.startswith("bin/")]
        for script in scripts:
            _point_at(directory / script, interpreter)
    return interpreter


def unpack_beside(directory: Path, emulated: Emulated, pack: Blob) -> Path:
    """Unpacks a pack where no release sees it; the directory for sys.path."""
    with tarfile.open(pack.path) as archive:
        archive.extractall(directory, filter="data")
    return directory / "lib" / f"python{emulated.minor}" / "site-packages"


def _point_at(script: Path, interpreter: Path) -> None:
    """Lets a script run in the environment: through the shell, as a path here may be too long for a `#!` line."""
    first, _, rest = script.read_bytes().partition(b"\n")
    if first.startswith(PLACEHOLDER):
        lines = ["#!/bin/sh", f'\'\'\'exec\' "{interpreter}" "$0" "$@"', "' '''"]
        script.write_bytes("\n".join(lines).encode() + b"\n" + rest)
