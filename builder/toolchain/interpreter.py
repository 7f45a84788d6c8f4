"""The host interpreter of a target's minor version: build back ends run in it, and its headers may serve the target."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.errors import BuildFailure, ToolFailure
from builder.run import environment, run

QUESTION = """
import importlib, json, os, sys, sysconfig
include = sysconfig.get_config_var("INCLUDEPY") or sysconfig.get_path("include")
print(json.dumps({
    "implementation": sys.implementation.name, "minor": "%d.%d" % sys.version_info[:2], "executable": sys.executable,
    "version": "%d.%d.%d" % sys.version_info[:3], "platform": sys.platform, "include": include,
    "headers": os.path.exists(os.path.join(include, "Python.h")), "multiarch": sysconfig.get_config_var("MULTIARCH"),
    "prefix": sys.base_prefix,
    "variables": importlib.import_module(sysconfig._get_sysconfigdata_name()).build_time_vars,
}))
"""


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A CPython that back ends run in: what it says of itself. `prefix` is the directory of its installation, `headers`
    None where its development files are missing."""

    path: Path
    prefix: Path
    minor: str
    version: str
    system: str
    headers: Path | None
    multiarch: str
    variables: dict[str, Any]


def find_interpreter(minor: str, *, headers: bool = False) -> Interpreter:
    """The first host CPython of `minor` ("3.10"), one with headers before one without.

    Looked for: the running one, PATH, pyenv's versions, uv's managed ones. With `headers`, one without does not do.
    Raises BuildFailure with what to install.
    """
    second: Interpreter | None = None
    for path in _candidates(minor):
        found = _ask(path, minor)
        if found and found.headers:
            return found
        second = second or found
    if second and not headers:
        return second
    lacking = f"the development files of CPython {minor}" if second else f"a CPython {minor} on this computer"
    raise BuildFailure(
        f"building needs {lacking}",
        why=f"Build back ends run in an interpreter of the target's version, {minor}.",
        next=f"Install it: uv python install {minor}   (or: pyenv install {minor}; or python{minor}-dev)",
    )


def _candidates(minor: str) -> Iterator[Path]:
    """Paths where a CPython of this minor may be, without doubles."""
    name = f"python{minor}"
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    managed = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    directories = [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    paths = [
        *([Path(sys.base_prefix) / "bin" / name] if sys.version_info[:2] == tuple(map(int, minor.split("."))) else []),
        *(directory / name for directory in directories if directory.name != "shims"),
        *sorted(pyenv.glob(f"{minor}.*/bin/{name}"), reverse=True),
        *sorted(managed.glob(f"cpython-{minor}.*/bin/{name}"), reverse=True),
    ]
    seen: set[Path] = set()
    for path in paths:
        if shutil.which(path) and path.resolve() not in seen:
            seen.add(path.resolve())
            yield path


def _ask(path: Path, minor: str) -> Interpreter | None:
    try:
        said = run([path, "-I", "-c", QUESTION], timeout=60, env=environment()).stdout
    except ToolFailure:
        return None
    return understood(said, path, minor, sys.platform)


def understood(said: str, path: Path, minor: str, system: str) -> Interpreter | None:
    """What an interpreter answered to the QUESTION, if it is a CPython of that minor on that system (sys.platform)."""
    try:
        answer = json.loads(said)
    except ValueError:
        return None
    if (answer["implementation"], answer["minor"], answer["platform"]) != ("cpython", minor, system):
        return None
    return Interpreter(
        path=path,
        prefix=Path(answer["prefix"]),
        minor=minor,
        version=answer["version"],
        system=system,
        headers=Path(answer["include"]) if answer["headers"] else None,
        multiarch=answer["multiarch"] or "",
        variables=answer["variables"],
    )
