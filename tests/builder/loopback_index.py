"""Indexes on this machine's own port: trees as a web server gives them, with a login where a test wants one."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from wheel_factory import make_wheel

from builder.files import sha256_bytes, sha256_file
from builder.index.change import Arrival
from builder.index.layout import Branch
from builder.index.page import JSON_TYPE, File
from builder.index.tree import Index
from builder.wheel import WheelFile

LONG_AGO = "2020-01-01T00:00:00Z"
JUST_NOW = "2026-01-01T00:00:00Z"  # after every as-of date of these tests


@dataclass(kw_only=True)
class Served:
    """What a server was asked, and what it asks of others: with a `login` (user, password) everything else is a 401."""

    url: str
    login: tuple[str, str] | None = None
    asked: list[str] = field(default_factory=list)


def fill(
    root: Path,
    wheels: Mapping[str, Sequence[str]],
    *,
    uploaded: str = JUST_NOW,
    own: Sequence[str] = (),
) -> Index:
    """An index in `root` with hand-made wheels by branch ("ot2-py310", "ot2-py310/dev"); `own` names the lab's own."""
    index = Index.create(root)
    with index.change() as change:
        for branch, names in wheels.items():
            profile, _, channel = branch.partition("/")
            for filename in names:
                arrival = _arrival(root.parent / f"{root.name}.made" / profile, filename, uploaded, own)
                change.add(Branch(profile=profile, channel=channel or "prod"), arrival)
    return index


def _arrival(where: Path, filename: str, uploaded: str, own: Sequence[str]) -> Arrival:
    where.mkdir(parents=True, exist_ok=True)
    package = filename.partition("-")[0]
    path = make_wheel(where, filename, {f"{package}/__init__.py": f"CAME_AS = {filename!r}\n".encode()})
    wheel = WheelFile.open(path)
    metadata = wheel.read(f"{wheel.dist_info}/METADATA")
    file = File(
        filename=filename,
        sha256=sha256_file(path),
        size=path.stat().st_size,
        metadata=sha256_bytes(metadata),
        uploaded=uploaded,
        own=wheel.name in own,
    )
    return Arrival(path=path, name=wheel.name, file=file, metadata=metadata)


@contextmanager
def serving(root: Path) -> Iterator[Served]:
    """The directory on a free port, a page as JSON where it is asked for."""
    served = Served(url="")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, served, directory=str(root)))
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, served: Served, *args: object, **more: object) -> None:
        self.served = served
        super().__init__(*args, **more)  # type: ignore[arg-type]

    def send_head(self):  # type: ignore[no-untyped-def]
        self.served.asked.append(self.path)
        if self.served.login:
            word = base64.b64encode(":".join(self.served.login).encode()).decode()
            if self.headers.get("Authorization") != f"Basic {word}":
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="index"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return None
        page = Path(self.translate_path(self.path)) / "index.json"
        if self.path.endswith("/") and page.is_file() and "json" in self.headers.get("Accept", ""):
            self.path += "index.json"
        return super().send_head()

    def guess_type(self, path):  # type: ignore[no-untyped-def]
        return JSON_TYPE if str(path).endswith("index.json") else super().guess_type(path)

    def log_message(self, *args: object) -> None:
        pass
