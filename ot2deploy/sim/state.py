"""What is up: the record of a project's simulated robots, in its state directory."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from builder import files
from builder.errors import UsageFailure
from ot2deploy.sim.failures import NotSimulated

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class SimRobot:
    """A simulated robot: how it is reached, and what it consists of on this host.

    `container` is empty for embedded robots; `pid`, `root` and `directory` are theirs alone. One with a `cable` is to
    be enrolled: it came up without a key, or was reset, and its HTTP API takes keys as by USB.
    """

    name: str
    kind: str
    init: str
    serial: str
    port: int
    http_port: int
    host_key: str
    container: str = ""
    directory: str = ""
    root: str = ""
    pid: int = 0
    cable: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The robot as JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class SimState:
    """A project's simulated robots, the lab file that names them (with the sha256 we gave it) and their one key."""

    robots: tuple[SimRobot, ...] = ()
    lab: str = ""
    lab_sha256: str = ""
    why: str = ""

    def robot(self, name: str) -> SimRobot:
        """The robot of that name. Raises NotSimulated."""
        for robot in self.robots:
            if robot.name == name:
                return robot
        there = ", ".join(robot.name for robot in self.robots)
        raise NotSimulated(
            f"no simulated robot is named {name}",
            next=f"Simulated robots: {there}" if there else "Run: ot2deploy sim up",
        )

    def with_robot(self, changed: SimRobot) -> SimState:
        """The same with a robot in the place of the one of its name."""
        return replace(self, robots=tuple(changed if each.name == changed.name else each for each in self.robots))


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a project's simulated robots keep what they need on this host; removed whole when they go down."""

    directory: Path

    @property
    def project(self) -> str:
        """The project's id, in every name and label of ours."""
        return files.sha256_bytes(str(self.directory.absolute()).encode())[:10]

    @property
    def record(self) -> Path:
        """The state file."""
        return self.directory / "state.json"

    @property
    def key(self) -> Path:
        """The private key that opens these robots, and nothing else."""
        return self.directory / "key"

    @property
    def api(self) -> Path:
        """The directory of the robots' HTTP API server."""
        return self.directory / "api"

    def off(self, name: str) -> Path:
        """The file that is there while a robot is switched off: its HTTP API, which is not in it, must know."""
        return self.api / "off" / name

    def robot(self, name: str) -> Path:
        """An embedded robot's directory."""
        return self.directory / "robots" / name

    def read(self) -> SimState:
        """What is up. Raises UsageFailure where a newer ot2deploy wrote it."""
        try:
            data = json.loads(self.record.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return SimState()
        if data.pop("schema") != SCHEMA:
            raise UsageFailure(f"{self.record} was written by a newer ot2deploy", next="Upgrade ot2deploy.")
        return SimState(**{**data, "robots": tuple(SimRobot(**robot) for robot in data["robots"])})

    def write(self, state: SimState) -> None:
        """Records what is up."""
        files.write_json(self.record, {"schema": SCHEMA, **asdict(state)}, mode=0o600)

    def remove(self) -> None:
        """Removes everything of ours, the state directory too where nothing else is in it."""
        shutil.rmtree(self.directory, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.directory.parent.rmdir()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Holds the project's simulated robots against other commands."""
        lock = self.directory / "lock"
        while True:
            with files.locked(lock):
                if lock.exists():  # else it went with a `sim down` while we waited
                    yield
                    return


def unused(taken: tuple[SimRobot, ...], count: int) -> tuple[str, ...]:
    """Names for `count` robots altogether, those that are not there yet: sim1, sim2 ..."""
    there = {robot.name for robot in taken}
    wanted = (f"sim{number}" for number in range(1, count + 1))
    return tuple(name for name in wanted if name not in there)
