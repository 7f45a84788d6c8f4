"""A push to many embedded robots, and the same bundle to the same robots by Ansible and pyinfra.

Both are installed from the package index and set up as their manuals say for hosts without SFTP: connections are
shared, modules piped, as many hosts at once as we take.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benching import Figures, Ran, ours, pairs, ran, seconds

from ot2deploy import inventory

AT_ONCE = 16
MANY, FEW, SIX = 100, 10, 6
TOOLS = ("ansible-core==2.19.14", "pyinfra==3.10.0", "pip", "packaging", "setuptools")
# Some 20 wheels, pure and native ones, as a lab's tool has them.
REQUIREMENTS = ("requests==2.32.3", "rich==14.0.0", "jinja2==3.1.6", "pydantic==2.11.7", "httpx==0.28.1")
AS_OF = "2025-07-01"
CAT = """
import sys
from pathlib import Path
from ot2deploy.project import Project
from ot2deploy.visit import Fleet
fleet = Fleet(project=Project.find(Path(".")), robots_file=Path("lab.yaml"))
with fleet:
    done = fleet.visit(lambda session, robot: session.run("cat " + robot.system_path("/etc/VERSION.json")).status)
sys.exit(any(outcome.value != 0 for outcome in done))
"""
PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.copy: {src: wheels/, dest: "{{ place }}/wheels/"}
    - ansible.builtin.pip:
        name: @names@
        virtualenv: "{{ place }}/venv"
        virtualenv_command: "{{ python }} -m venv"
        extra_args: --no-index --no-deps --find-links {{ place }}/wheels
"""
ANSIBLE_CFG = f"""
[defaults]
inventory = hosts.json
forks = {AT_ONCE}
host_key_checking = true
[connection]
pipelining = true
[ssh_connection]
transfer_method = piped
ssh_args = -o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile=known_hosts
"""
DEPLOY = """
from pyinfra import host
from pyinfra.operations import files, pip
place = host.data.place
files.sync(name="wheels", src="wheels", dest=f"{place}/wheels")
pip.venv(name="venv", path=f"{place}/venv", python=host.data.python)
pip.packages(
    name="packages", packages=@names@, virtualenv=f"{place}/venv",
    extra_install_args=f"--no-index --no-deps --find-links {place}/wheels",
)
"""


class FleetFigures:
    """Robots of a lab of our own, and what was measured on them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.figures = Figures()

    def measure(self) -> None:
        """All figures."""
        ours("init", cwd=self.directory)
        ours("sim", "up", "--count", str(MANY), "--kind", "embedded", cwd=self.directory)
        try:
            self.robots = list(inventory.load(self.directory / "lab.yaml").robots.values())
            self.scale()
            self.nothing()
            self.one_wheel()
            self.rollback()
            self.others()
        finally:
            ours("sim", "down", cwd=self.directory)

    def scale(self) -> None:
        """Time and memory of a first push to a hundred, against one to ten."""
        (self.directory / "tool.py").write_text("VERSION = 1\n")
        self.bundle = "tool.ot2bundle"
        profile = self.push("./tool.py", 1)["robots"][0]["plan"]["profile"]
        ours("bundle", "./tool.py", "--profile", "host", "-o", self.bundle, cwd=self.directory)
        self.clean()
        few = self.first(FEW)
        self.clean()
        many = self.first(MANY)
        ratio = (many.wall / MANY) / (few.wall / FEW)
        self.figures.tell(
            f"first push to {MANY}, per robot", seconds(many.wall / MANY), f"{seconds(few.wall / FEW)} (to {FEW})",
            f"{ratio:.2f}", bar="at most 1.3", held=ratio <= 1.3,
        )  # fmt: skip
        grown = (many.peak - few.peak) / (MANY - FEW)
        self.figures.tell(
            "host, memory for one robot more", f"{grown:.2f} MB", f"{few.peak:.0f} MB with {FEW}; {profile}",
            bar="under 3 MB", held=grown < 3,
        )  # fmt: skip

    def nothing(self) -> None:
        """A push with nothing to do to a hundred robots, against as many logins running `cat`."""
        mine, reference, ratio = pairs(
            3,
            lambda: ours("push", self.bundle, "--robots", "lab.yaml", cwd=self.directory).wall,
            lambda: ran([sys.executable, "-c", CAT], self.directory).wall,
        )
        self.figures.tell(
            f"nothing to do on {MANY} robots", seconds(mine), f"{seconds(reference)} (the same logins, `cat`)",
            f"{ratio:.2f}", bar="at most 1.5", held=ratio <= 1.5,
        )  # fmt: skip

    def one_wheel(self) -> None:
        """Another version of one of Prefect's packages."""
        for version in ("8.1.7", "8.1.8"):
            constraints = ("greenlet==3.1.1", f"click=={version}")
            self.environment("flows", ("prefect==3.3.4",), as_of="2025-04-20", constraints=constraints)
            row = self.push("flows", 1)["robots"][0]
        count = len(json.loads(ours("lock", "flows", cwd=self.directory).out)["result"]["packages"])
        self.figures.tell(
            "one wheel changed in Prefect's environment", f"{row['sent']} of {row['sent'] + row['reused']} sent",
            f"{row['bytes_sent'] / 1e3:.0f} kB; {count} packages locked", bar="that wheel only",
            held=row["sent"] == 1,
        )  # fmt: skip

    def rollback(self) -> None:
        """Six robots back to the release before."""
        (self.directory / "tool.py").write_text("VERSION = 2\n")
        self.push("./tool.py", SIX)
        back = ours("rollback", "tool", *self.limited(SIX), cwd=self.directory).wall
        self.figures.tell(f"rollback of {SIX} robots", seconds(back), bar="under 10 s", held=back < 10)

    def others(self) -> None:
        """Ansible and pyinfra, each in a virtual environment of the bench's own."""
        self.environment("lab", REQUIREMENTS, as_of=AS_OF)
        self.push("lab", 1)
        ours("bundle", "lab", "--profile", "host", "-o", "lab.ot2bundle", cwd=self.directory)
        names = self.unpacked("lab.ot2bundle")
        tools = self.directory / "tools"
        uv = (sys.executable, "-m", "uv")
        subprocess.run([*uv, "venv", "-q", tools], check=True)
        subprocess.run([*uv, "pip", "install", "-q", "--compile-bytecode", "--python", tools, *TOOLS], check=True)
        self.write_setups(names, tools / "bin" / "python")
        rivals: dict[str, Callable[[], Ran]] = {
            "Ansible": lambda: self.tool(tools, "ansible-playbook", "play.yaml"),
            "pyinfra": lambda: self.tool(tools, "pyinfra", "-y", "--parallel", str(AT_ONCE), "hosts.py", "deploy.py"),
        }
        for name, rival in rivals.items():
            for method, bar in (("pip", 1.0), ("tree", 1 / 3)):
                self.first_of(partial(self.lab_push, method))  # packs are made once, wherever robots are
                mine = self.first_of(partial(self.lab_push, method))
                theirs = self.first_of(rival)
                ratio = mine / theirs
                self.figures.tell(
                    f"first push of {len(names)} wheels to {FEW} robots, {method}", seconds(mine),
                    f"{seconds(theirs)} ({name})", f"{ratio:.2f}", bar=f"at most {bar:.2f}", held=ratio <= bar,
                )  # fmt: skip
            mine, reference, ratio = pairs(2, lambda: self.lab_push("tree").wall, partial(self.wall, rival))
            self.figures.tell(
                f"the same with nothing to do, {FEW} robots", seconds(mine), f"{seconds(reference)} ({name})",
                f"{ratio:.2f}", bar="at most 0.10", held=ratio <= 0.1,
            )  # fmt: skip

    # What is measured

    def first_of(self, work: Callable[[], Ran]) -> float:
        """Seconds of a push to robots that have nothing."""
        self.clean(FEW)
        return work().wall

    def first(self, count: int) -> Ran:
        """A push to robots that have nothing; all of them must have it then."""
        done = ours("push", self.bundle, *self.limited(count), cwd=self.directory)
        outcomes = {row["outcome"] for row in json.loads(done.out)["result"]["robots"]}
        if outcomes != {"pushed"}:
            sys.exit(f"a first push to {count} robots ended with {outcomes}")
        return done

    def wall(self, work: Callable[[], Ran]) -> float:
        """Seconds of a push as the robots are."""
        return work().wall

    def lab_push(self, method: str) -> Ran:
        """Our push of the bundle that the others install, too."""
        return ours("push", "lab.ot2bundle", *self.limited(FEW), "--install-method", method, cwd=self.directory)

    def tool(self, tools: Path, program: str, *words: str) -> Ran:
        """Another tool's run; it must succeed, and the package be importable then."""
        path = os.pathsep.join([str(tools / "bin"), os.environ["PATH"]])
        done = ran([str(tools / "bin" / program), *words], self.directory, env={"PATH": path})
        for robot in self.robots[:FEW]:
            subprocess.run([f"{self.place(robot)}/venv/bin/python", "-I", "-c", "import pydantic, httpx"], check=True)
        return done

    # What they need

    def push(self, target: str, count: int) -> Any:
        """The result of a push, as JSON."""
        return json.loads(ours("push", target, *self.limited(count), cwd=self.directory).out)["result"]

    def limited(self, count: int) -> tuple[str, ...]:
        """The options that choose the first robots."""
        names = ",".join(robot.name for robot in self.robots[:count])
        return "--robots", "lab.yaml", "--limit", names, "--jobs", str(AT_ONCE)

    def environment(
        self, name: str, requirements: tuple[str, ...], as_of: str, constraints: tuple[str, ...] = ()
    ) -> None:
        """Writes an environment of the project."""
        path = self.directory / "environments" / name / "environment.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"requirements": requirements, "constraints": constraints, "as_of": as_of}) + "\n")

    def clean(self, count: int = MANY) -> None:
        """Robots as before the first push of anybody."""
        for robot in self.robots[:count]:
            shutil.rmtree(robot.base_path, ignore_errors=True)
            shutil.rmtree(self.place(robot), ignore_errors=True)

    def place(self, robot: inventory.Robot) -> str:
        """Where the other tools install."""
        return f"{robot.root}/var/bench"

    def unpacked(self, bundle: str) -> list[str]:
        """Puts a bundle's wheels into a directory; NAME==VERSION of each."""
        wheels = self.directory / "wheels"
        wheels.mkdir()
        with zipfile.ZipFile(self.directory / bundle) as archive:
            (name,) = (name for name in archive.namelist() if name.startswith("manifests/"))
            rows = json.loads(archive.read(name))["wheels"]
            for row in rows:
                (wheels / row["filename"]).write_bytes(archive.read(f"blobs/{row['sha256']}"))
        return [f"{row['name']}=={row['version']}" for row in rows]

    def write_setups(self, names: list[str], python: Path) -> None:
        """Inventories and plays of both tools."""
        hosts, tuples, keys = {}, [], []
        for robot in self.robots[:FEW]:
            system = robot.system_path("/usr/bin/python3")
            hosts[robot.name] = {
                "ansible_host": robot.address, "ansible_port": robot.port, "ansible_user": robot.user,
                "ansible_ssh_private_key_file": str(robot.identity_file), "ansible_python_interpreter": str(python),
                "place": self.place(robot), "python": system,
            }  # fmt: skip
            data = {
                "ssh_hostname": robot.address, "ssh_port": robot.port, "ssh_user": robot.user,
                "ssh_key": str(robot.identity_file), "ssh_file_transfer_protocol": "scp",
                "ssh_known_hosts_file": str(self.directory / "known_hosts"),
                "place": self.place(robot), "python": system,
            }  # fmt: skip
            tuples.append((robot.name, data))
            keys.append(f"[{robot.address}]:{robot.port} {robot.host_key}")
        files = {
            "hosts.json": json.dumps({"all": {"hosts": hosts}}), "hosts.py": f"robots = {tuples!r}\n",
            "known_hosts": "\n".join(keys) + "\n", "ansible.cfg": ANSIBLE_CFG,
            "play.yaml": PLAYBOOK.replace("@names@", json.dumps(names)),
            "deploy.py": DEPLOY.replace("@names@", repr(names)),
        }  # fmt: skip
        for name, text in files.items():
            (self.directory / name).write_text(text)
