"""Local sources - projects, loose modules, wheel files - made into wheels and sdists that a lock can name by hash."""

from __future__ import annotations

import shutil
import stat
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from builder.environment import Environment
from builder.errors import UsageFailure
from builder.events import Event, Report
from builder.files import digest_of, sha256_file
from builder.store import Blob, Store

SKIPPED = frozenset(
    ".git .hg .venv venv .tox .nox __pycache__ .mypy_cache .pytest_cache .ruff_cache .ot2deploy node_modules".split()
)


class SdistMaker(Protocol):
    """What local projects need of uv; `builder.uv.Uv` has it."""

    def build_sdist(self, project: Path, out: Path, *, as_of: str | None = None) -> Path:
        """Lets a project's own back end make its sdist in the directory `out`."""


@dataclass(frozen=True, kw_only=True)
class LocalFile:
    """A local source as a file in the store. `origin` is what the user named."""

    name: str
    sha256: str
    path: Path
    origin: Path

    @property
    def requirement(self) -> str:
        """The requirement that means exactly this file."""
        return f"{self.name} @ {self.path.absolute().as_uri()}"


def prepare(
    environment: Environment, store: Store, uv: Callable[[], SdistMaker], report: Report
) -> tuple[LocalFile, ...]:
    """The environment's local sources as files, each made once for its contents. Raises UsageFailure."""
    return tuple(_prepare(path, environment.as_of, store, uv, report) for path in environment.local)


def _prepare(path: Path, as_of: str | None, store: Store, uv: Callable[[], SdistMaker], report: Report) -> LocalFile:
    if not path.exists():
        raise UsageFailure(f"{path} does not exist")
    if path.is_file() and path.suffix != ".py":
        blob = store.add(path, how="local", facts={"origin": path.name})
        return _local_file(blob, path)
    key = digest_of({"name": path.name, "contents": contents(path)})
    known = store.answer("local", key)
    blob_or_none = store.blob(known) if known else None
    if blob_or_none is None:
        with store.lock(f"local-{key}"):
            blob_or_none = _make(path, key, as_of, store, uv, report)
            store.keep_answer("local", key, blob_or_none.sha256)
    return _local_file(blob_or_none, path)


def _make(path: Path, key: str, as_of: str | None, store: Store, uv: Callable[[], SdistMaker], report: Report) -> Blob:
    facts = {"origin": path.name, "contents": key}
    with store.scratch() as work:
        if path.is_file() or not is_project(path):
            return store.add(_loose_wheel(path, key, work), how="local", facts=facts)
        report(Event(subject=path.name, stage="local", message="source distribution by its own back end"))
        # A copy, because back ends write into the tree they build.
        tree = work / path.name
        shutil.copytree(path, tree, ignore=lambda _, names: [name for name in names if _skipped(name)])
        out = work / "sdist"
        out.mkdir()
        return store.add(uv().build_sdist(tree, out, as_of=as_of), how="local", facts=facts)


def is_project(path: Path) -> bool:
    """Whether a directory is built by a back end of its own."""
    return (path / "pyproject.toml").is_file() or (path / "setup.py").is_file()


def contents(path: Path) -> list[list[object]]:
    """Names, executable bits and sha256 of a directory's files, sorted; of a single file just its own."""
    files = [path] if path.is_file() else sorted(_files(path))
    return [
        [file.relative_to(path.parent).as_posix(), bool(file.stat().st_mode & stat.S_IXUSR), sha256_file(file)]
        for file in files
    ]


def pack(directory: Path, out: Path) -> None:
    """Writes a directory's files to `out`, a tar of one directory: same contents, same bytes."""
    with tarfile.open(out, "w", format=tarfile.GNU_FORMAT) as tar:
        for file in sorted(_files(directory)):
            info = tarfile.TarInfo(f"source/{file.relative_to(directory).as_posix()}")
            info.size, info.mode = file.stat().st_size, 0o755 if file.stat().st_mode & stat.S_IXUSR else 0o644
            with file.open("rb") as data:
                tar.addfile(info, data)


def _files(directory: Path) -> Iterator[Path]:
    for entry in directory.iterdir():
        if _skipped(entry.name):
            continue
        if entry.is_dir():
            yield from _files(entry)
        elif entry.is_file():
            yield entry


def _skipped(name: str) -> bool:
    return name in SKIPPED or name.endswith((".egg-info", ".pyc"))


def _loose_wheel(path: Path, key: str, out: Path) -> Path:
    """A pure wheel of a module, or of a directory as the package of its name, versioned by its contents."""
    from builder.wheel.writer import Entry, write_wheel

    module = path.stem if path.is_file() else path.name
    if not module.isidentifier():
        raise UsageFailure(
            f"{path.name} cannot be imported under this name",
            why="Without a pyproject.toml the name is the module's name: letters, digits and _ only.",
            next=f"Rename it, for example to {module.replace('-', '_')}, or give it a pyproject.toml.",
        )
    files = [path] if path.is_file() else sorted(_files(path))
    if not any(file.suffix == ".py" for file in files):
        raise UsageFailure(f"{path} holds no Python files", next="Give it a pyproject.toml if it is built by one.")
    version = f"0+{key[:12]}"
    info = f"{module}-{version}.dist-info"
    name = canonicalize_name(module)
    texts = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: {path.name}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: ot2deploy\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    entries = [
        *(Entry(name=file.relative_to(path.parent).as_posix(), data=file.read_bytes()) for file in files),
        *(Entry(name=f"{info}/{part}", data=text.encode()) for part, text in texts.items()),
    ]
    return write_wheel(out / f"{module}-{version}-py3-none-any.whl", info, entries)


def _local_file(blob: Blob, origin: Path) -> LocalFile:
    try:
        if blob.filename.endswith(".whl"):
            name = parse_wheel_filename(blob.filename)[0]
        else:
            name = parse_sdist_filename(blob.filename)[0]
    except (InvalidWheelFilename, InvalidSdistFilename) as error:
        raise UsageFailure(
            f"{blob.filename} is neither a wheel nor a source distribution: {error}",
            next="Name a directory, a .py file, a .whl or a .tar.gz made by `python -m build`.",
        ) from error
    return LocalFile(name=name, sha256=blob.sha256, path=blob.path, origin=origin)
