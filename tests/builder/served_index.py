"""`ot2deploy index serve` as a program of its own, for tests: found by its line of JSON, ended with the block."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wheel_factory import make_wheel

from builder.engine import open_engine
from builder.index.entry.admit import admit
from builder.index.layout import Branch
from builder.index.tree import Index
from builder.profile import load

DEMO = "demo-1.0-py3-none-any.whl"
ROOT = Path(__file__).resolve().parent.parent.parent
PY310, PY312 = Branch(profile="ot2-py310"), Branch(profile="ot2-py312")
PROGRAM = ("-m", "ot2deploy")
LINE = re.compile(r"\S+ (?P<method>\S+) (?P<path>\S+) (?P<status>\d+) (?P<bytes>\d+) [\d.]+(?: \((?P<note>.*)\))?")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server said; the names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


@dataclass(kw_only=True)
class Served:
    """A server that runs in `project`."""

    process: subprocess.Popen[str]
    said: dict[str, Any]
    log_file: Path

    @property
    def url(self) -> str:
        """Where it is, with a slash at the end."""
        return str(self.said["url"])

    @property
    def port(self) -> int:
        """The port that it listens at."""
        return urlsplit(self.url).port or 0

    @property
    def log(self) -> str:
        """Everything that it wrote to standard error so far."""
        return self.log_file.read_text()

    @property
    def requests(self) -> list[re.Match[str]]:
        """The requests of its log so far."""
        return [match for line in self.log.splitlines() if (match := LINE.fullmatch(line))]

    def answered(self) -> list[re.Match[str]]:
        """The requests that were answered so far, but for those of health.

        A line is written right after the last bytes of its answer, so before anything that is asked afterwards.
        """
        self.ask("/-/health")
        return [line for line in self.requests if line["path"] != "/-/health"]

    def connect(self) -> http.client.HTTPConnection:
        """A connection of one's own."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        """One request, the path sent as it stands; `_` in the names of headers is `-`."""
        with contextlib.closing(self.connect()) as connection:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body=body, headers=named)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(status=answer.status, headers=found, body=answer.read())

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """Sends a signal, waits, and gives the exit status."""
        self.process.send_signal(signum)
        return self.process.wait(timeout=30)


@contextlib.contextmanager
def served(
    project: Path, *words: str | Path, log: str = "serve.log", program: Sequence[str] = PROGRAM, **variables: str
) -> Iterator[Served]:
    """Serves the index of a project at a free port; `variables` are further ones of its environment."""
    argv = [sys.executable, *program, "index", "serve", "--port", "0", "--json", *map(str, words)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OT2DEPLOY_CACHE": str(project / ".cache"), **variables}
    with (project / log).open("w") as sink:
        process = subprocess.Popen(argv, cwd=project, env=env, stdout=subprocess.PIPE, stderr=sink, text=True)
    try:
        assert process.stdout
        line = process.stdout.readline()  # one line when it listens, or a document over several when it cannot
        assert line.startswith('{"schema"'), (line + process.stdout.read(), (project / log).read_text())
        yield Served(process=process, said=json.loads(line)["result"], log_file=project / log)
    finally:
        process.kill()
        process.communicate()


def fill(
    project: Path,
    *filenames: str,
    branch: Branch = PY310,
    content: Mapping[str, bytes] | None = None,
    metadata: str = "",
) -> Index:
    """Puts hand-made wheels into a branch of the project's index; `metadata` are further lines of their METADATA."""
    engine = open_engine(project / ".locks", store_root=project / ".store")
    index = Index.create(project / "index")
    made = project / ".made" / branch.profile
    made.mkdir(parents=True, exist_ok=True)
    with index.change() as change:
        for filename in filenames:
            wheel = make_wheel(made, filename, content, metadata=metadata)
            change.add(branch, admit(wheel, load(branch.profile), engine))
    return index
