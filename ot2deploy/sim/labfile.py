"""The lab file: an inventory of the simulated robots, which we write and touch only as long as it is ours."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from builder import files
from ot2deploy.sim.failures import LabFileFailure
from ot2deploy.sim.state import SimRobot, SimState

HEAD = (
    "# Simulated robots: `ot2deploy sim up` wrote this, `ot2deploy sim down` removes it. Edit a copy, not this file.\n"
)


def text(robots: Sequence[SimRobot], key: Path) -> str:
    """The inventory of these robots: addresses, pinned host keys and the key that opens them."""
    from ruamel.yaml import YAML

    entries = {}
    for robot in robots:
        entries[robot.name] = {
            "address": "127.0.0.1",
            "port": robot.port,
            "http_port": robot.http_port,
            "identity_file": str(key),
            "host_key": robot.host_key,
            "serial": robot.serial,
            **({"root": robot.root} if robot.root else {}),
        }
    yaml = YAML()
    yaml.width = 4096
    yaml.indent(mapping=2)
    out = io.StringIO()
    out.write(HEAD)
    yaml.dump({"schema": 1, "defaults": {"user": "root"}, "robots": entries}, out)
    return out.getvalue()


def check(path: Path, state: SimState) -> None:
    """Raises LabFileFailure when `path` exists and is not, byte for byte, what we wrote there."""
    if not path.exists():
        return
    ours = state.lab == str(path)
    if ours and files.sha256_file(path) == state.lab_sha256:
        return
    raise LabFileFailure(
        f"{path} {'was changed since `sim up` wrote it' if ours else 'is there already and not ours'}",
        why="ot2deploy sim never touches a file that it did not write.",
        next=f"Name another file (ot2deploy sim up --lab FILE), or move {path.name} away.",
    )


def write(path: Path, robots: Sequence[SimRobot], key: Path) -> str:
    """Writes the lab file; returns its sha256."""
    data = text(robots, key).encode()
    files.write_bytes(path, data)
    return files.sha256_bytes(data)


def remove(state: SimState) -> bool:
    """Removes the lab file if it is still as we wrote it; says whether a changed one was left."""
    path = Path(state.lab)
    if not state.lab or not path.exists():
        return False
    if files.sha256_file(path) != state.lab_sha256:
        return True
    path.unlink()
    return False
