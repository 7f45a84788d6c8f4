"""A project with an index, and what its publications have to be."""

from __future__ import annotations

import contextlib
import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from web_server import web_server
from wheel_factory import make_wheel

from builder.files import sha256_file


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A project with an index of its own, and its commands."""

    directory: Path
    run_cli: Callable[..., Any]

    def add(self, name: str = "lab", version: str = "1.0", *, profile: str = "ot2-py310", size: int = 0) -> Path:
        """A wheel in dist, with `size` bytes that do not compress."""
        dist = self.directory / "dist" / profile
        dist.mkdir(parents=True, exist_ok=True)
        content = {f"{name}.py": b"VALUE = 1\n", f"{name}.bin": random.Random(name).randbytes(size)}
        return make_wheel(dist, f"{name}-{version}-py3-none-any.whl", content)

    def build(self, *words: str) -> None:
        self.run_cli("index", "build", *words).good()

    def publish(self, *words: str | Path, status: int = 0) -> Any:
        """The result of the command, or its error."""
        ran = self.run_cli("index", "publish", *words, "--json")
        assert ran.status == status, f"exit status {ran.status}\n{ran.out}\n{ran.err}"
        return ran.document["result"] or ran.document["error"]

    def wheel(self, name: str) -> str:
        return f"ot2-py310/files/{name}-1.0-py3-none-any.whl"

    @contextlib.contextmanager
    def serving(self, directory: Path) -> Iterator[str]:
        """The address of a web server that gives a directory."""
        with web_server(directory, self.directory / "web.log") as server:
            yield server.url


def filled(directory: Path, run_cli: Callable[..., Any]) -> Desk:
    """A project whose index has the wheels `lab` and `other`."""
    (directory / "inventory.yaml").write_text("schema: 1\nrobots: {}\n")
    made = Desk(directory=directory, run_cli=run_cli)
    made.add("lab")
    made.add("other")
    made.build()
    return made


def tree(root: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for directory, inside, names in os.walk(root):
        inside[:] = [name for name in inside if not name.startswith(".")]  # what is under way may go while we look
        paths = (Path(directory) / name for name in names if not name.startswith("."))
        found |= {path.relative_to(root).as_posix(): sha256_file(path) for path in paths}
    return found


def whole(root: Path) -> None:
    """Whatever a page names is there, with the bytes that it promises."""
    for page in root.glob("*/simple/*/index.json"):
        for file in json.loads(page.read_bytes())["files"]:
            wheel = (page.parent / file["url"]).resolve()
            assert sha256_file(wheel) == file["hashes"]["sha256"]
            assert sha256_file(wheel.with_name(wheel.name + ".metadata")) == file["core-metadata"]["sha256"]


def hidden(root: Path) -> list[Path]:
    return [path for path in root.rglob(".*") if path.name not in (".", "..")]
