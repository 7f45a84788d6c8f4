"""`python -m http.server` for tests: a web server that knows nothing of indexes, and what it was asked."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

GIVEN = re.compile(r'"GET (\S+) HTTP[^"]*" 200')


@dataclass(frozen=True, kw_only=True)
class WebServer:
    """A running server; `url` ends with a slash, `log` is the file that it writes a line to for each request."""

    url: str
    log: Path

    def given(self, suffix: str = "") -> list[str]:
        """The paths that it gave, in order, once for each time."""
        return [path for path in GIVEN.findall(self.log.read_text()) if path.endswith(suffix)]


@contextmanager
def web_server(root: Path, log: Path, host: str = "127.0.0.1") -> Iterator[WebServer]:
    """The directory on a free port of this computer's address `host`, until the block ends."""
    argv = [sys.executable, "-u", "-m", "http.server", "--bind", host, "--directory", str(root), "0"]
    with log.open("w") as err, subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=err, text=True) as server:
        try:
            assert server.stdout is not None
            port = re.search(r"port (\d+)", server.stdout.readline())
            assert port, log.read_text()
            yield WebServer(url=f"http://{host}:{port[1]}/", log=log)
        finally:
            server.terminate()
