"""Engines for tests: real store and fetcher, with tools and a resolver that answer what a test wrote down."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wheel_factory import make_wheel

from builder.audit import Audit
from builder.audit.findings import finding
from builder.build import BuildOptions, BuildRequest, Built
from builder.engine import Engine
from builder.errors import AuditFailure, BuildFailure
from builder.events import Report
from builder.fetch import Fetcher
from builder.files import sha256_file
from builder.lock import Locked, LockedFile
from builder.profile import Profile, load
from builder.recipe import Recipe
from builder.store import Store
from builder.targets import Search
from builder.uv import Question

OT2 = load("ot2-py310")


@dataclass(kw_only=True)
class FakeTools:
    """Tools that refuse, repair and build what they were told, and remember what they were asked."""

    refuses: Mapping[str, str] = field(default_factory=dict)
    repairs: bool = True
    fails: Mapping[str, BuildFailure] = field(default_factory=dict)
    versions: str = "test"
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    requests: list[BuildRequest] = field(default_factory=list)
    options: list[BuildOptions] = field(default_factory=list)

    def audit(self, path: Path, profile: Profile, *, expect_native: bool = False) -> Audit:
        self.calls.append(("audit", path.name))
        findings = tuple(finding(kind, "for this test") for name, kind in self.refuses.items() if name == path.name)
        return Audit(filename=path.name, profile=profile.name, findings=findings, binaries=(), max_glibc=None)

    def repair(self, path: Path, out: Path, profile: Profile) -> tuple[Path, tuple[str, ...]]:
        self.calls.append(("repair", path.name))
        if not self.repairs:
            raise AuditFailure("a strong symbol is too new", subject=path.name)
        name = "-".join(path.name.split("-")[:2])
        return make_wheel(out, f"{name}-cp310-cp310-linux_armv7l.whl", {"repaired.py": b"1\n"}), ("weak: statx",)

    def build(self, request: BuildRequest, out: Path, *, uv: Any, options: BuildOptions, report: Report) -> Built:
        self.calls.append(("build", request.name))
        self.requests.append(request)
        self.options.append(options)
        if request.name in self.fails:
            raise self.fails[request.name]
        path = make_wheel(out, f"{request.name}-{request.version}-cp310-cp310-linux_armv7l.whl", {"built.py": b"1\n"})
        return Built(path=path, provenance={"sdist": request.source.sha256}, log=out / "log", seconds=1.0)

    def recipe(self, name: str, version: str, directories: tuple[Path, ...]) -> Recipe | None:
        return self.recipes.get(name)

    def expected_seconds(self, name: str, profile: Profile) -> float:
        return 1.0


@dataclass(kw_only=True)
class FakeUv:
    """Resolves every question to the packages it was given."""

    packages: Sequence[Locked] = ()
    questions: list[Question] = field(default_factory=list)
    failure: BuildFailure | None = None

    def compile_lock(self, question: Question, out: Path) -> dict[str, list[str]]:
        self.questions.append(question)
        if self.failure:
            raise self.failure
        out.write_text(lock_text(self.packages), encoding="utf-8")
        return {package.name: list(package.parents) for package in self.packages}


def lock_text(packages: Sequence[Locked]) -> str:
    """A pylock file as uv writes it."""
    lines = ['lock-version = "1.0"', 'created-by = "uv"', 'requires-python = ">=3.10"']
    for package in packages:
        lines += ["", "[[packages]]", f'name = "{package.name}"', f'version = "{package.version}"']
        lines += [f"marker = {json.dumps(package.marker)}"] if package.marker else []
        lines += [f"sdist = {_row(package.sdist)}"] if package.sdist else []
        lines += [f"wheels = [{', '.join(map(_row, package.wheels))}]"] if package.wheels else []
    return "\n".join(lines) + "\n"


def _row(file: LockedFile) -> str:
    return f'{{ url = {json.dumps(file.url)}, hashes = {{ sha256 = "{file.sha256}" }} }}'


def served(path: Path) -> LockedFile:
    """A file as an index has it, reached by a file: URL."""
    return LockedFile(filename=path.name, url=path.as_uri(), sha256=sha256_file(path))


def pinned(file: LockedFile) -> LockedFile:
    """The same on a server that nobody may reach."""
    return replace(file, url=f"https://files.invalid/{file.filename}")


def make_engine(root: Path, *, tools: FakeTools | None = None, uv: FakeUv | None = None, **options: Any) -> Engine:
    """An engine in a directory of its own."""
    resolver = uv or FakeUv()
    return Engine(
        store=Store(root / "store"),
        locks=root / "locks",
        search=options.pop("search", Search(environments=(), packages=())),
        fetcher=options.pop("fetcher", Fetcher(offline=options.get("offline", False))),
        tools=tools or FakeTools(),
        uv=lambda: resolver,  # type: ignore[arg-type,return-value]
        uv_version=lambda: "1.0",
        **{"jobs": 2, **options},
    )


class Told:
    """A Report that keeps what it was told, from any thread."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self._guard = threading.Lock()

    def __call__(self, event: Any) -> None:
        with self._guard:
            self.messages.append(f"{event.subject}: {event.message}")
