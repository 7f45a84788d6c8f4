"""The index: making it, and serving it, measured against pypiserver with the same files and the same client.

The client is Python's http.client with pip's Accept header, on one connection for each round; it costs both servers
the same, so the true ratios are further from 1 than these. gunicorn sends files by sendfile, and
waits for the disk in the one thread that it has; our server reads in other threads and copies, so that a slow disk
keeps nobody else waiting, which costs it a third on a large wheel that is in the kernel's memory.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benching import OT2DEPLOY, Figures, ours, pairs, seconds

from builder.wheel.writer import Entry, write_wheel

WHEELS = 1000
ROBOTS, SIZE = 20, 50_000_000
ROUNDS = 7
PYPISERVER = ("pypiserver[cache]==2.4.2", "gunicorn")  # its fastest: pages from memory, and sendfile
AS_IT_COMES = "pypiserver"
ACCEPT = (
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"  # pip's own
)
SMALL, LARGE, HUGE = "small-1.0-py3-none-any.whl", "large-1.0-py3-none-any.whl", "huge-1.0-py3-none-any.whl"


class Serving:
    """The index of a thousand projects, and servers of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.dist = directory / "dist"
        self.figures = Figures()

    def measure(self) -> None:
        """All figures."""
        self.build()
        for name, size in ((SMALL, 50_000), (LARGE, 10_000_000), (HUGE, SIZE)):
            self.wheel(name, size)
        ours("index", "build", cwd=self.directory)
        programs = self.pypiserver()
        with self.server() as (port, _):
            for way, argv in programs.items():
                with self.other(way, argv) as other:
                    self.against(way, port, other, promised=way == AS_IT_COMES)
        self.memory()

    def wheel(self, filename: str, size: int) -> None:
        """A pure wheel with some bytes that do not compress."""
        name, version, *_ = filename.split("-")
        info = f"{name}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
        tags = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        entries = [
            Entry(name=f"{name}/data", data=os.urandom(size)),
            Entry(name=f"{info}/METADATA", data=metadata),
            Entry(name=f"{info}/WHEEL", data=tags),
        ]
        write_wheel(self.dist / "ot2-py310" / filename, info, entries)

    def build(self) -> None:
        """`index build` of a thousand wheels, of one more, and of none."""
        (self.dist / "ot2-py310").mkdir(parents=True)
        for number in range(WHEELS):
            self.wheel(f"bench_{number:04}-1.0-py3-none-any.whl", 2_000)
        first = ours("index", "build", cwd=self.directory).wall
        self.figures.tell(f"index of {WHEELS} wheels", seconds(first), bar="under 5 s", held=first < 5)
        self.wheel("bench_more-1.0-py3-none-any.whl", 2_000)
        more = ours("index", "build", str(self.dist / "ot2-py310" / "bench_more-1.0-py3-none-any.whl"),
                    "--profile", "ot2-py310", cwd=self.directory).wall  # fmt: skip
        self.figures.tell("one more wheel", seconds(more), bar="under 0.5 s", held=more < 0.5)

    def pypiserver(self) -> dict[str, list[str]]:
        """pypiserver in an environment of its own: as it comes, and behind gunicorn."""
        venv = self.directory / "pypiserver"
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *PYPISERVER], check=True)
        run = [str(venv / "bin" / "pypi-server"), "run", "-i", "127.0.0.1"]
        return {AS_IT_COMES: run, "pypiserver behind gunicorn": [*run, "--server", "gunicorn"]}

    @contextlib.contextmanager
    def server(self) -> Iterator[tuple[int, int]]:
        """Our own server; its port and process."""
        argv = [str(OT2DEPLOY), "index", "serve", "--port", "0", "--json"]
        with (self.directory / "serve.log").open("wb") as log:
            process = subprocess.Popen(argv, cwd=self.directory, stdout=subprocess.PIPE, stderr=log)
        try:
            assert process.stdout
            url = json.loads(process.stdout.readline())["result"]["url"]
            yield int(url.rstrip("/").rpartition(":")[2]), process.pid
        finally:
            process.kill()
            process.communicate()

    @contextlib.contextmanager
    def other(self, way: str, argv: list[str]) -> Iterator[int]:
        """A pypiserver of the same wheels; its port. It takes no free one by itself."""
        port = _free_port()
        with (self.directory / f"{way}.log").open("wb") as log:
            process = subprocess.Popen(
                [*argv, "-p", str(port), str(self.dist / "ot2-py310")], stdout=log, stderr=log, start_new_session=True
            )
        try:
            _until_it_answers(port)
            yield port
        finally:
            os.killpg(process.pid, 9)  # gunicorn has a worker
            process.wait()

    def against(self, way: str, port: int, other: int, *, promised: bool) -> None:
        """Pages and wheels, of both in turn. What is not promised is told all the same."""
        for name, mine, theirs, count in (
            ("a project's page", "/ot2-py310/simple/small/", "/simple/small/", 50),
            ("a wheel of 50 kB", f"/ot2-py310/files/{SMALL}", f"/packages/{SMALL}", 100),
            ("a wheel of 10 MB", f"/ot2-py310/files/{LARGE}", f"/packages/{LARGE}", 20),
        ):
            one, two, ratio = pairs(ROUNDS, lambda: _ask(port, mine, count), lambda: _ask(other, theirs, count))  # noqa: B023
            self.figures.tell(
                name, f"{one * 1000:.2f} ms", f"{two * 1000:.2f} ms ({way})", f"{ratio:.2f}",
                bar="at most 1.0" if promised else "for comparison", held=ratio <= 1.0 or not promised,
            )  # fmt: skip

    def memory(self) -> None:
        """What twenty clients that each take a large wheel at once cost a server that has given one before."""
        if not Path("/proc/self/status").exists():
            return
        with self.server() as (port, pid):
            path = f"/ot2-py310/files/{HUGE}"
            _ask(port, path, 1)
            before = _memory(pid, "VmRSS")
            start = time.monotonic()
            robots = [threading.Thread(target=_ask, args=(port, path, 1)) for _ in range(ROBOTS)]
            for robot in robots:
                robot.start()
            for robot in robots:
                robot.join()
            took = time.monotonic() - start
            grown = _memory(pid, "VmHWM") - before
        self.figures.tell(
            f"memory of the server while {ROBOTS} clients take {SIZE // 1_000_000} MB each, growth at its highest",
            f"{grown:.0f} MB", f"{before:.0f} MB before; {ROBOTS * SIZE / took / 1e6:.0f} MB/s",
            bar="under 100 MB", held=grown < 100,
        )  # fmt: skip


def _ask(port: int, path: str, count: int) -> float:
    """Seconds of one GET, in the mean of some on one connection (a server that closes it is connected to again)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    buffer = bytearray(1 << 18)
    start = time.perf_counter()
    with contextlib.closing(connection):
        for _ in range(count):
            connection.request("GET", path, headers={"Accept": ACCEPT, "Accept-Encoding": "identity"})
            answer = connection.getresponse()
            if answer.status != 200:
                sys.exit(f"{path} at port {port}: {answer.status}")
            while answer.readinto(buffer):
                pass
    return (time.perf_counter() - start) / count


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _until_it_answers(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            _ask(port, "/", 1)
            return
        except (OSError, http.client.HTTPException):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _memory(pid: int, what: str) -> float:
    """A process's memory in MB, now (VmRSS) or at its highest (VmHWM)."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"{what}:\s+(\d+) kB", text)
    return int(found[1]) / 1000 if found else 0.0
