"""The main job, measured on one simulated robot."""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benching import OT2DEPLOY, Figures, Ran, ours, pairs, ran, seconds

from builder.store import Blob, Store
from ot2deploy import inventory
from ot2deploy.agent_host import archive as agent_archive
from ot2deploy.agent_host.client import PROTOCOL, frame, open_agent
from ot2deploy.robots.probe import read_state
from ot2deploy.transport.ssh import SshSession, connect

LOGIN_CAT = """
import sys
from pathlib import Path
from ot2deploy.inventory import load
from ot2deploy.transport.ssh import connect
robot = next(iter(load(Path("lab.yaml")).robots.values()))
with connect(robot) as session:
    session.run("cat " + robot.system_path("/etc/VERSION.json"))
"""
# What a person would type on the robot: the same wheels into the same kind of place, without us.
BARE_INSTALL = """
set -e
base=@base@ python=@python@
export TMPDIR=$base/tmp PIP_CONFIG_FILE=/dev/null
rm -rf $base/bench; mkdir -p $base/bench/wheels; cd $base/bench
ln $base/wheels/*/*.whl wheels/
t0=$(cut -d' ' -f1 /proc/uptime)
$python -m pip install -q --no-index --no-deps --no-compile --disable-pip-version-check --no-warn-script-location \
  --root / --target tree wheels/*.whl >&2
t1=$(cut -d' ' -f1 /proc/uptime)
$python -m compileall -q --invalidation-mode unchecked-hash tree >/dev/null 2>&1 || :
t2=$(cut -d' ' -f1 /proc/uptime)
cd /; rm -rf $base/bench
echo $t0 $t1 $t2
"""


def rows_of(push: Ran) -> dict[str, float]:
    """Seconds per stage of the first robot of a push."""
    return dict(json.loads(push.out)["result"]["robots"][0]["seconds"])


class Robots:
    """One robot of a lab of our own, and the figures measured on it."""

    def __init__(self, kind: str, rounds: int, directory: Path) -> None:
        self.kind, self.rounds, self.directory = kind, rounds, directory
        self.figures = Figures()

    def measure(self) -> None:
        """All figures, in an order in which each finds what it needs on the robot."""
        ours("sim", "up", "--count", "1", "--kind", self.kind, cwd=self.directory)
        try:
            self.robot = next(iter(inventory.load(self.directory / "lab.yaml").robots.values()))
            self.host()
            self.agent()
            first = self.first_push()
            self.install(first)
            self.nothing()
            self.sending()
            self.rollback()
        finally:
            ours("sim", "down", cwd=self.directory)

    def host(self) -> None:
        """Figures of this computer alone."""
        helps = statistics.median(ran([str(OT2DEPLOY), "--help"], self.directory).cpu for _ in range(self.rounds))
        self.figures.tell("`ot2deploy --help`, CPU", seconds(helps), bar="under 0.3 s", held=helps < 0.3)
        bundle = ["bundle", "prefect", "--profile", "ot2-py310", "-o", "prefect.ot2bundle"]
        ours(*bundle, cwd=self.directory)
        full = statistics.median(ours(*bundle, cwd=self.directory).wall for _ in range(self.rounds))
        self.figures.tell("bundle of 96 wheels, full store", seconds(full), bar="under 3 s", held=full < 3)

    def agent(self) -> None:
        """Peak memory of the agent while 96 MB come in, run here: under emulation the emulator's own would count."""
        archive, _ = agent_archive.build()
        place = self.directory / "agent"
        place.mkdir()
        (place / "agent.pyz").write_bytes(archive)
        with (place / "frames").open("wb") as frames:

            def request(**fields: object) -> None:
                frames.write(frame("J", json.dumps(fields).encode()))

            request(
                op="begin", protocol=PROTOCOL, base=str(place / "base"), root="", run="bench", who="bench",
                fingerprint="0" * 64, environment="bench", wait=False,
            )  # fmt: skip
            for number in range(6):
                data = os.urandom(16 << 20)
                digest = hashlib.sha256(data).hexdigest()
                request(op="blob", kind="packs", sha256=digest, size=len(data), filename=f"b{number}.tar", offset=0)
                for at in range(0, len(data), 1 << 20):
                    frames.write(frame("B", data[at : at + (1 << 20)]))
        run = f"exec {sys.executable} -I agent.pyz session < frames"
        peak = ran(["sh", "-c", run], place, check=False).peak
        self.figures.tell("agent, peak memory while receiving", f"{peak:.0f} MB", bar="under 60 MB", held=peak < 60)

    def first_push(self) -> dict[str, float]:
        """A first push of Prefect by pip; its wheels are made before, so that memory is that of a push."""
        ours("push", "prefect", "--robots", "lab.yaml", "--dry-run", cwd=self.directory)  # else compilers would count
        push = ours("push", "prefect", "--robots", "lab.yaml", cwd=self.directory)
        peak = push.peak
        self.figures.tell("host, peak memory of a first push", f"{peak:.0f} MB", bar="under 300 MB", held=peak < 300)
        return rows_of(push)

    def install(self, first: dict[str, float]) -> None:
        """Both install methods against bare pip and compileall."""
        with connect(self.robot) as session:
            bare = self.bare(session)
        mine = first["install"] + first["compile"]
        self.figures.tell(
            "install by the robot's pip", seconds(mine), f"{seconds(bare)} (pip + compileall)", f"{mine / bare:.2f}",
            bar="at most 1.3", held=mine / bare <= 1.3,
        )  # fmt: skip
        with connect(self.robot) as session:
            session.run(f"rm -rf {self.robot.base_path}/envs {self.robot.base_path}/wheels", timeout=600)
        push = ours("push", "prefect", "--robots", "lab.yaml", "--install-method", "tree", cwd=self.directory)
        stages = rows_of(push)
        tree = stages["install"] + stages.get("compile", 0.0)
        self.figures.tell(
            "install as trees", seconds(tree), f"{seconds(bare)} (pip + compileall)", f"{tree / bare:.2f}",
            bar="at most 0.25", held=tree / bare <= 0.25,
        )  # fmt: skip

    def bare(self, session: SshSession) -> float:
        """Seconds of bare pip and compileall over the wheels that the push left on the robot."""
        python = self.robot.system_path("/usr/bin/python3")
        script = BARE_INSTALL.replace("@base@", self.robot.base_path).replace("@python@", python)
        done = session.run("sh", input=script.encode(), timeout=1800)
        if done.status:
            sys.exit(f"bare install failed: {done.error}")
        begin, _, end = map(float, done.text.split()[-3:])
        return end - begin

    def nothing(self) -> None:
        """A push with nothing to do against the same login running one `cat`."""
        push = ["push", "prefect", "--robots", "lab.yaml"]
        mine, reference, ratio = pairs(
            self.rounds,
            lambda: ours(*push, cwd=self.directory).wall,
            lambda: ran([sys.executable, "-c", LOGIN_CAT], self.directory).wall,
        )
        self.figures.tell(
            "push with nothing to do", seconds(mine), f"{seconds(reference)} (same login, `cat`)", f"{ratio:.2f}",
            bar="at most 1.5", held=ratio <= 1.5,
        )  # fmt: skip

    def sending(self) -> None:
        """Our transfer, hashed and synced on the robot, against ssh and `cat` with the same algorithms."""
        size, count = 16 << 20, 6
        with connect(self.robot) as session:
            algorithms = session.algorithms
        wanted = [f"-o{name}={value}" for name, value in algorithms.items() if value]
        data = self.directory / "payload"
        data.write_bytes(os.urandom(size * count))
        mine, reference, ratio = pairs(self.rounds, lambda: self.send(size, count), lambda: self.ssh_cat(data, wanted))
        default = self.ssh_cat(data, [])
        rate = size * count / 1e6
        self.figures.tell(
            "sending, MB/s", f"{rate / mine:.1f}", f"{rate / reference:.1f} (ssh {algorithms['Ciphers']}; default ssh "
            f"{rate / default:.1f})", f"{1 / ratio:.2f}", bar="at least 0.8", held=1 / ratio >= 0.8,
        )  # fmt: skip

    def send(self, size: int, count: int) -> float:
        """Seconds to send new blobs in an open session."""
        with tempfile.TemporaryDirectory(dir=self.directory) as name:
            store = Store(Path(name) / "store")
            blobs: list[Blob] = []
            for number in range(count):
                path = Path(name) / f"bench_{number}-1-py3-none-any.tar"
                path.write_bytes(os.urandom(size))
                blobs.append(store.add(path, how="bench"))
            with connect(self.robot) as session:
                state = read_state(session, self.robot)
                with open_agent(
                    session, self.robot, run="bench", environment="bench", fingerprint=state.fingerprint
                ) as agent:
                    sent = agent.send("packs", blobs)
                session.run("rm -rf " + " ".join(f"{self.robot.base_path}/packs/{b.sha256}" for b in blobs))
        return sent.seconds

    def ssh_cat(self, data: Path, options: list[str]) -> float:
        """Seconds of `ssh robot cat > file` beyond an ssh login."""
        robot = self.robot
        login = [
            "ssh", "-F", "none", "-i", str(robot.identity_file), "-p", str(robot.port), "-oIdentitiesOnly=yes",
            "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR", *options,
            f"{robot.user}@{robot.address}",
        ]  # fmt: skip
        target = f"{robot.base_path}/tmp/bench"

        def timed(command: str, source: Path | None) -> float:
            with (source or Path(os.devnull)).open("rb") as stdin:
                start = time.monotonic()
                subprocess.run([*login, command], stdin=stdin, check=True, stdout=subprocess.DEVNULL)
                return time.monotonic() - start

        empty = timed("true", None)
        whole = timed(f"cat > {target}", data)
        timed(f"rm -f {target}", None)
        return whole - empty

    def rollback(self) -> None:
        """Rollback of one robot against its login."""
        project = self.directory / "tool.py"
        for version in ("1", "2"):
            project.write_text(f"VERSION = {version}\n")
            ours("push", "./tool.py", "--robots", "lab.yaml", cwd=self.directory)
        beyond = []
        for _ in range(self.rounds):
            back = ours("rollback", "tool", "--robots", "lab.yaml", cwd=self.directory).wall
            beyond.append(back - ran([sys.executable, "-c", LOGIN_CAT], self.directory).wall)
            ours("push", "./tool.py", "--robots", "lab.yaml", cwd=self.directory)
        extra = statistics.median(beyond)
        self.figures.tell("rollback, beyond its login", seconds(extra), bar="under 1 s", held=extra < 1)
