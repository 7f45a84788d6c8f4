"""Container robots for tests, shared by a whole run.

`arm_lab` has two ARM robots, `amd64_lab` two of this machine's architecture; both are up from the first test that asks
for them until the last worker is done. A test that changes a robot takes an environment name or a `base` of its own.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from ruamel.yaml import YAML

from builder import files
from ot2deploy.inventory import Robot, load
from ot2deploy.project import Project
from ot2deploy.sim import lab
from ot2deploy.sim.container import container_name
from ot2deploy.transport.ssh import connect

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "tests"


@dataclass(frozen=True, kw_only=True)
class ContainerLab:
    """Running robots: the project they belong to and the inventory that names them."""

    project: Project
    inventory: Path

    @property
    def robots(self) -> dict[str, Robot]:
        """sim1 and sim2, as the inventory has them."""
        return dict(load(self.inventory).robots)

    def run(self, name: str, command: str, timeout: float = 60) -> str:
        """What a command prints on a robot; it must end well."""
        with connect(self.robots[name]) as session:
            done = session.run(command, timeout=timeout)
        assert done.status == 0, f"{command}: status {done.status}: {done.stderr!r}"
        return done.text

    def container(self, name: str) -> Any:
        """A robot's container, as the Docker SDK has it."""
        container = container_name(lab.place(self.project).project, name)
        return docker.from_env().containers.get(container)

    def as_host(self, name: str, *command: str) -> None:
        """Runs a command among a robot's mounts with this host's rights, for what a robot is not allowed to do."""
        if os.geteuid() != 0:
            pytest.skip("only root changes the mounts of a container")
        process = self.container(name).attrs["State"]["Pid"]
        subprocess.run(["nsenter", f"--mount=/proc/{process}/ns/mnt", "--", *command], check=True, timeout=60)

    def changed(self, name: str, **robots: dict[str, Any]) -> Path:
        """A copy of the inventory beside it, with some settings of some robots changed."""
        yaml = YAML(typ="safe")
        data = yaml.load(self.inventory.read_text())
        for robot, settings in robots.items():
            data["robots"][robot] |= settings
        path = self.inventory.with_name(name)
        with path.open("w") as file:
            yaml.dump(data, file)
        return path

    def environment(self, name: str, text: str, **files: str) -> str:
        """Writes an environment of the lab's project; gives its name back."""
        directory = self.project.root / "environments" / name
        directory.mkdir(exist_ok=True)
        for file, content in {"environment.yaml": text, **files}.items():
            (directory / file).write_text(content)
        return name


@pytest.fixture(scope="session")
def arm_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerLab]:
    """Two ARM robots; for tests marked `arm`."""
    with shared(tmp_path_factory, "arm") as running:
        yield running


@pytest.fixture(scope="session")
def amd64_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerLab]:
    """Two robots of this machine's architecture; for tests marked `docker`."""
    with shared(tmp_path_factory, "amd64") as running:
        yield running


@pytest.fixture
def arm_robot(arm_lab: ContainerLab) -> Robot:
    """One running ARM robot."""
    return arm_lab.robots["sim1"]


@contextlib.contextmanager
def shared(factory: pytest.TempPathFactory, kind: str) -> Iterator[ContainerLab]:
    """One lab of a kind for all workers: the first brings it up, the last takes it down."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    base = factory.getbasetemp()
    directory = (base.parent if worker else base) / f"{kind}-lab"
    (directory / "environments").mkdir(parents=True, exist_ok=True)
    project = Project.find(directory)
    users, me = directory / "users", directory / "users" / (worker or "main")
    with files.locked(directory / "guard"), settings():
        users.mkdir(exist_ok=True)
        me.touch()
        try:
            result = lab.up(project, lab.Request(count=2, kind=kind))  # type: ignore[arg-type]
        except BaseException:
            me.unlink()
            raise
    assert result.lab is not None
    try:
        yield ContainerLab(project=project, inventory=result.lab)
    finally:
        with files.locked(directory / "guard"), settings():
            me.unlink()
            if not list(users.iterdir()):
                lab.down(project)


@contextlib.contextmanager
def settings() -> Iterator[None]:
    """The cache that survives test runs, so that what we did to the host stays recorded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OT2DEPLOY_CACHE", os.environ.get("OT2DEPLOY_TESTS_CACHE") or str(CACHE))
        yield


@pytest.fixture
def own_lab(tmp_path: Path) -> Iterator[Project]:
    """A project for a test that brings robots up and takes them down itself."""
    (tmp_path / "environments").mkdir()
    project = Project.find(tmp_path)
    with settings():
        yield project
        lab.down(project)


@pytest.fixture
def opened() -> Callable[[Project], ContainerLab]:
    """Makes a ContainerLab of a project whose robots a test brought up by itself."""
    return lambda project: ContainerLab(project=project, inventory=project.root / lab.LAB)


@pytest.fixture
def told(run_cli: Callable[..., Any], shared_cache: Path) -> Callable[..., Any]:
    """Runs a command with --json on the robots of a lab: its result. `status` is the exit status that it must have."""

    def run(lab: ContainerLab, command: str, *words: str | Path, status: int = 0, robots: Path | None = None) -> Any:
        inventory = robots or lab.inventory
        ran = run_cli(command, "--project", lab.project.root, "--robots", inventory, "--json", *words)
        assert ran.status == status, f"exit status {ran.status}\n{ran.out}\n{ran.err}"
        return ran.document["result"]

    return run
