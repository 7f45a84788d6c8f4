"""A project whose index is served and takes uploads, for tests: wheels, tokens, and forms as they are sent."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from served_index import Answer, Served, served
from wheel_factory import PURE, make_wheel

from builder.files import sha256_file
from builder.index.layout import Branch
from builder.index.tokens import TOKENS, Tokens
from builder.index.tree import Index

DAY = timedelta(days=1)
PROFILES = ("debian-12-armhf", "ot2-py310", "ot2-py312")
PY310 = Branch(profile="ot2-py310")
OTHER = {"demo/__init__.py": b"VALUE = 2\n"}  # under the name of PURE


@dataclass(frozen=True, kw_only=True)
class Place:
    """A project with a running server."""

    project: Path
    server: Served
    token: str

    @property
    def index(self) -> Index:
        return Index.open(self.project / "index")

    @property
    def state(self) -> Path:
        return self.project / ".ot2deploy" / "index"

    @property
    def tokens(self) -> Tokens:
        return Tokens(self.state / TOKENS)

    def token_for(self, name: str, *scopes: str, profiles: tuple[str, ...] = (), channels: tuple[str, ...] = ()) -> str:
        return self.tokens.create(name, scopes, lasts=DAY, profiles=profiles, channels=channels)[1]

    def wheel(self, directory: str = "made", filename: str = PURE, content: Mapping[str, bytes] | None = None) -> Path:
        (self.project / directory).mkdir(exist_ok=True)
        return make_wheel(self.project / directory, filename, content)

    def post(self, address: str, body: bytes, kind: str, token: str | None = None, **headers: str) -> Answer:
        login = base64.b64encode(f"__token__:{self.token if token is None else token}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content_Type": kind, **headers}
        return self.server.ask(address, "POST", body, **headers)

    def upload(self, path: Path, address: str = "/ot2-py310/legacy/", token: str | None = None, **more: str) -> Answer:
        return self.post(address, *form(path, **more), token=token, Accept="application/json")

    def listed(self) -> dict[str, list[str]]:
        """The files on each branch's pages; every one is there, whole."""
        found: dict[str, list[str]] = {}
        for branch in self.index.branches():
            for page in self.index.pages(branch):
                for file in page.files:
                    assert sha256_file(self.index.wheel(branch.profile, file.filename)) == file.sha256
                    found.setdefault(str(branch), []).append(file.filename)
        return found

    def left(self) -> list[Path]:
        """What is there of uploads that are not under way."""
        waiting = [path for path in self.state.glob("incoming/server-*/*") if path.exists()]
        return [*waiting, *self.project.rglob("*.part")]


def form(path: Path, *, filename: str | None = None, boundary: str = "xyz", **changed: str | None) -> tuple[bytes, str]:
    """The body of an upload and its type; a field is left out by None."""
    fields: dict[str, str | None] = {
        ":action": "file_upload",
        "protocol_version": "1",
        "filetype": "bdist_wheel",
        "sha256_digest": sha256_file(path),
        **changed,
    }
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
        if value is not None
    ]
    head = f'Content-Disposition: form-data; name="content"; filename="{filename or path.name}"'
    body = (
        f"{''.join(parts)}--{boundary}\r\n{head}\r\n\r\n".encode()
        + path.read_bytes()
        + f"\r\n--{boundary}--\r\n".encode()
    )
    return body, f"multipart/form-data; boundary={boundary}"


@contextlib.contextmanager
def receiving_place(project: Path, *words: str | Path, **variables: str) -> Iterator[Place]:
    """Serves the index of a new project, or of one that there is; a token for everything is made."""
    (project / "environments").mkdir(parents=True, exist_ok=True)
    tokens = Tokens(project / ".ot2deploy" / "index" / TOKENS)
    token = tokens.create(f"ci{len(tokens.known()) or ''}", ["upload"], lasts=DAY)[1]
    with served(project, *words, **variables) as server:
        yield Place(project=project, server=server, token=token)
