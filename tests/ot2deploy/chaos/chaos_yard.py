"""A container robot to break and hosts beside it: the real dropbear, BusyBox, pip and, as PID 1, systemd or BusyBox."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
from chaos_host import Command, Host
from chaos_place import BULK, ENVIRONMENT, LOCK_PATIENCE, PROBE
from ruamel.yaml import YAML
from wheel_factory import make_wheel

from ot2deploy.project import Project
from ot2deploy.sim import lab
from ot2deploy.sim.container import await_banner, container_name

PUSH = Command(words=("push", ENVIRONMENT))  # of what the host that runs it has
SETTINGS = YAML(typ="safe")
KEPT = "/var/kept"
# What the system itself writes to all the time, and where a state is kept.
NOT_OURS = ("/var/log", "/var/run", "/var/tmp", "/var/lib/systemd", KEPT)


@dataclass(kw_only=True)
class Yard(Host):
    """One container robot `r1`; of two hosts, `1` and `2`, each has a release of its number of `plates` to push."""

    robot: Mapping[str, Any]
    base: str
    container: Any
    outside: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def write_inventory(self, **changes: Any) -> None:
        """Writes lab.yaml: what is true, and changes of settings."""
        with (self.directory / "lab.yaml").open("w") as file:
            SETTINGS.dump({"schema": 1, "robots": {"r1": {**self.robot, "base": self.base, **changes}}}, file)

    # The robot, asked beside its network

    def run(self, script: str, *, check: bool = True) -> str:
        """What a script prints on the robot."""
        done = self.container.exec_run(["sh", "-c", script])
        text: str = done.output.decode(errors="replace")
        assert done.exit_code == 0 or not check, f"{script}: {text}"
        return text if done.exit_code == 0 else ""

    def in_network(self, *words: str) -> str:
        """Runs a program of this computer's in the robot's network."""
        return self._among(("--net",), *words)

    def among_mounts(self, *words: str) -> str:
        """Runs a program of this computer's among the robot's mounts."""
        return self._among(("--mount", "--pid"), *words)  # the robot's /proc knows its own processes only

    def _among(self, what: tuple[str, ...], *words: str) -> str:
        self.container.reload()
        argv = ["nsenter", *what, "--target", str(self.container.attrs["State"]["Pid"]), "--", *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout

    def await_robot(self) -> None:
        """Waits until the robot runs and its SSH server answers."""
        deadline = time.monotonic() + 90
        while True:
            self.container.reload()
            if self.container.status == "paused":
                self.container.unpause()
            if self.container.status == "running":
                break
            assert time.monotonic() < deadline, f"the robot is {self.container.status}"
            time.sleep(0.1)
        await_banner(int(self.robot["port"]), "r1")

    def current(self, environment: str = ENVIRONMENT) -> str | None:
        """The digest that `current` names."""
        return self.run(f"readlink {self._environment(environment)}/current || true").strip().rpartition("/")[2] or None

    def imported(self, environment: str = ENVIRONMENT) -> int | None:
        """VALUE of the module that the current release's interpreter really imports; None where nothing is current."""
        if self.current(environment) is None:
            return None
        return int(self.run(f"{self._environment(environment)}/current/bin/python3 -I -c '{PROBE}'"))

    def _environment(self, name: str) -> str:
        return f"{self.base}/envs/{name}"

    def text(self, path: str) -> str:
        """A file below the base directory, "" where there is none."""
        return self.run(f"cat {self.base}/{path}", check=False)

    def names(self) -> list[str]:
        """Every path below the base directory."""
        return self.run(f"cd {self.base} && find . ! -name .").replace("./", "").splitlines()

    def releases(self) -> list[str]:
        """All releases, as envs/NAME/releases/DIGEST."""
        return sorted(self.run(f"cd {self.base} && echo envs/*/releases/*").split())

    def tree(self) -> dict[str, str]:
        """What /var is outside the base directory, and what has changed in the image: every path with what it is."""
        leave = " ".join(f"-path {path} -prune -o" for path in (self.base, *NOT_OURS))
        listed = self.run(f"find /var {leave} -exec ls -lnd {{}} + | awk '{{print $1, $9, $10, $11}}'")
        hashed = self.run(f"find /var {leave} -type f -exec sha256sum {{}} +")
        found = {words[1]: " ".join(words) for words in map(str.split, listed.splitlines())}
        found |= {f"{path} (bytes)": digest for digest, path in (line.split(None, 1) for line in hashed.splitlines())}
        return found | {change["Path"]: "changed in the image" for change in self.container.diff() or ()}

    def wait_until_free(self) -> float:
        """Waits until nobody holds the robot's lock; the seconds that took."""
        begun = time.monotonic()
        lock = f"{self.base}/lock"
        while self.run(f"[ ! -e {lock} ] || flock -n {lock} true || echo held").strip():
            assert time.monotonic() - begun < LOCK_PATIENCE, f"the robot's lock is held for ever by {self.text('lock')}"
            time.sleep(0.2)
        return time.monotonic() - begun

    def set_back(self) -> None:
        """Makes the base directory what it was when release 1 was current, and forgets what the hosts noted."""
        self.await_robot()
        self.wait_until_free()
        self.run(f"mkdir -p {self.base}; cd {self.base} && rm -rf ./* ./.[!.]*; cp -a {KEPT}/. {self.base}")
        for host in ("1", "2"):
            subprocess.run(["rm", "-rf", str(self.directory / host / ".ot2deploy" / "runs")], check=True, timeout=60)


@contextlib.contextmanager
def yard(directory: Path, cache: Path, robot: Mapping[str, Any], container: Any, base: str) -> Iterator[Yard]:
    """A running container robot with release 1; what we made on it is gone afterwards."""
    environment = {**os.environ, "OT2DEPLOY_CACHE": str(cache), "NO_COLOR": "1"}
    made = Yard(directory=directory, environment=environment, robot=robot, base=base, container=container)
    _make_environments(made)
    made.write_inventory()
    made.outside = made.tree()
    try:
        made.done(PUSH, host="1")
        made.run(f"cp -a {base} {KEPT}")
        begun = time.monotonic()
        made.done(PUSH, host="2")
        made.seconds = time.monotonic() - begun
        yield made
    finally:
        made.await_robot()
        made.run(f"rm -rf {base} {KEPT}")


@contextlib.contextmanager
def own_yard(directory: Path, cache: Path, kind: str) -> Iterator[Yard]:
    """A robot of our own with systemd as PID 1, as robots have it."""
    directory.mkdir(parents=True, exist_ok=True)
    project = Project.find(directory)
    os.environ["OT2DEPLOY_CACHE"] = str(cache)
    try:
        result = lab.up(project, lab.Request(count=1, kind=kind, init="systemd"))  # type: ignore[arg-type]
        assert result.lab is not None
        settings = SETTINGS.load(result.lab.read_text())["robots"]["sim1"]
        container = docker.from_env().containers.get(container_name(lab.place(project).project, "sim1"))
        with yard(directory, cache, settings, container, "/var/ot2deploy") as made:
            yield made
    finally:
        lab.down(project)


def _make_environments(made: Yard) -> None:
    """A release of `plates` for each host, with data to send for a while."""
    data = random.Random(1).randbytes(BULK)
    for version in (1, 2):
        home = made.directory / str(version)
        wheels, environment = home / "wheels", home / "environments" / ENVIRONMENT
        wheels.mkdir(parents=True)
        environment.mkdir(parents=True)
        content = {"plates.py": b"VALUE = %d\n" % version, "plates_data.bin": data[: BULK if version == 2 else 10]}
        wheel = make_wheel(wheels, f"plates-{version}.0-py3-none-any.whl", content)
        lines = ["requirements:", f"  - {wheel}", "checks:", "  quick:", "    - import: plates"]
        (environment / "environment.yaml").write_text("\n".join(lines) + "\n")
