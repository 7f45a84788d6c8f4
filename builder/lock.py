"""Locks: one universal resolution with hashes per environment (PEP 751), re-used until its inputs change."""

from __future__ import annotations

import datetime
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urljoin, urlsplit

from builder.environment import Environment, Index
from builder.errors import BuildFailure
from builder.fetch import Fetcher, public
from builder.files import digest_of, sha256_bytes, sha256_file, write_bytes
from builder.index.layout import OWN
from builder.local import LocalFile
from builder.provided import compile_beside
from builder.resolving import PAGE, directory_of, for_resolving, is_tree
from builder.uv import Question

SCHEMA = 1
HEADER = b"# ot2deploy-lock: "


class Compiler(Protocol):
    """What locking needs of uv; `builder.uv.Uv` has it."""

    def compile_lock(self, question: Question, out: Path) -> dict[str, list[str]]:
        """Writes a pylock file and returns who asks for each package."""


@dataclass(frozen=True, kw_only=True)
class LockedFile:
    """A file of a locked package: where it is, what it must hash to, and where the index says it, its size in bytes and
    the day of its upload (YYYY-MM-DD).
    """

    filename: str
    url: str
    sha256: str
    size: int | None = None
    uploaded: str | None = None


@dataclass(frozen=True, kw_only=True)
class Locked:
    """A package of a lock. `marker` (PEP 508) says where it is wanted, `parents` by whom ("" for the environment),
    `index` which of the project's indexes has it ("" for any other).
    """

    name: str
    version: str
    marker: str = ""
    requires_python: str = ""
    wheels: tuple[LockedFile, ...] = ()
    sdist: LockedFile | None = None
    parents: tuple[str, ...] = ()
    index: str = ""


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A lock file: `digest` is its sha256, `key` that of the inputs it was made from, `uv` the
    version that made it, `listings` digests of what directories among its indexes held. It is parsed when asked for.
    """

    path: Path
    digest: str
    key: str
    as_of: str
    uv: str | None
    listings: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def packages(self) -> tuple[Locked, ...]:
        """The locked packages. Raises BuildFailure when one has no sha256."""
        return parse(self.path.read_text(encoding="utf-8"), str(self.path))


def lock(
    environment: Environment,
    where: Path,
    uv: Compiler,
    *,
    uv_version: str | None,
    local: Sequence[LocalFile] = (),
    upgrade: bool = False,
    fetcher: Fetcher | None = None,
) -> Lock:
    """The environment's lock in the directory `where`: that of before if its inputs are the same, else a new one.

    The indexes that it names are looked at by `fetcher` first. Without an as-of date in the environment the day of the
    first lock is used, recorded in it and kept until `upgrade`. Raises BuildFailure with uv's explanation,
    NetworkFailure for an index that is not there.
    """
    before = read(environment, where)
    if not upgrade and (known := current(environment, where, local, uv_version)):
        return known
    kept = before.as_of if before and not upgrade else None
    as_of = environment.as_of or kept or datetime.datetime.now(datetime.UTC).date().isoformat()
    question = _question(environment, local, as_of, fetcher or Fetcher())
    listings = _listings(environment)  # before uv reads them: what comes in between is not in the lock
    with tempfile.TemporaryDirectory(prefix="ot2deploy-lock-") as work:
        made = Path(work) / "pylock.toml"
        try:
            parents = compile_beside(uv, question, environment.provided, made)
        except BuildFailure as error:
            error.subject = error.subject or environment.name
            raise
        text = made.read_text(encoding="utf-8")
    header: dict[str, Any] = {"schema": SCHEMA, "key": input_key(environment, local, uv_version)}
    header |= {"as_of": as_of, "uv": uv_version, **({"listings": listings} if listings else {})}
    write_bytes(path_of(environment, where), _with_notes(text, header, parents))
    written = read(environment, where)
    assert written is not None
    return written


def _question(environment: Environment, local: Sequence[LocalFile], as_of: str, fetcher: Fetcher) -> Question:
    """What uv is asked, its indexes having been looked at."""
    return Question(
        requirements=[*environment.requirements, *(file.requirement for file in local)],
        constraints=environment.constraints,
        python=environment.python,
        as_of=as_of,
        indexes=for_resolving(environment.indexes, fetcher),
        first_index=any(index.branched for index in environment.indexes),
    )


def current(environment: Environment, where: Path, local: Sequence[LocalFile], uv_version: str | None) -> Lock | None:
    """The lock that is there if it was made from the same inputs; where there is no uv, by whatever uv it was made.

    A directory that is not there now, on a stick that was pulled out, is taken to hold what it did.
    """
    found = read(environment, where)
    versions = [uv_version] if uv_version or not found else [found.uv]
    if not found or found.key not in [input_key(environment, local, version) for version in versions]:
        return None
    same = all(found.listings.get(name) == digest for name, digest in _listings(environment).items())
    return found if same else None


def path_of(environment: Environment, where: Path) -> Path:
    """The lock's file name, in which PEP 751 allows no further dot."""
    return where / f"pylock.{environment.lock_name.replace('.', '-')}.toml"


def read(environment: Environment, where: Path) -> Lock | None:
    """The lock that is there, whatever its inputs were, or None. Reads only its first line and its digest."""
    path = path_of(environment, where)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    first = data.partition(b"\n")[0]
    try:
        header = json.loads(first.removeprefix(HEADER)) if first.startswith(HEADER) else {}
        if not isinstance(header, dict) or header.get("schema") != SCHEMA:
            return None
        return Lock(
            path=path,
            digest=sha256_bytes(data),
            key=str(header["key"]),
            as_of=str(header["as_of"]),
            uv=header["uv"],
            listings=dict(header.get("listings", {})),
        )
    except (ValueError, KeyError):
        return None


def input_key(environment: Environment, local: Sequence[LocalFile], uv_version: str | None) -> str:
    """sha256 of everything that decides a resolution, but for what directories hold."""
    return digest_of(
        {
            "requirements": sorted(environment.requirements),
            "constraints": sorted(environment.constraints),
            "as_of": environment.as_of,
            "python": environment.python,
            "indexes": [[index.name, public(index.url)] for index in environment.indexes],
            "local": sorted([file.name, file.sha256] for file in local),
            "uv": uv_version,
            **({"provided": dict(environment.provided)} if environment.provided else {}),
        }
    )


def parse(text: str, origin: str) -> tuple[Locked, ...]:
    """The packages of a pylock file's text; `origin` (its path) stands in errors and resolves relative paths."""
    import tomllib

    from packaging.pylock import Pylock, PylockValidationError

    try:
        data = tomllib.loads(text)
        pylock = Pylock.from_dict(data)
    except (tomllib.TOMLDecodeError, PylockValidationError) as error:
        raise BuildFailure(
            f"{origin} is not a lock file: {error}", next=f"Delete {origin} and run the command again."
        ) from error
    notes: Mapping[str, Any] = data.get("tool", {}).get("ot2deploy", {}).get("parents", {})
    return tuple(_locked(package, tuple(notes.get(package.name, ())), origin) for package in pylock.packages)


def _locked(package: Any, parents: tuple[str, ...], origin: str) -> Locked:
    if package.vcs or package.directory or package.version is None:
        raise BuildFailure(
            f"{package.name} is locked without a version or hash", why=f"{origin} names a directory or a repository."
        )
    wheels = [_file(wheel, package.name, origin) for wheel in package.wheels or ()]
    sdist = _file(package.sdist, package.name, origin) if package.sdist else None
    if package.archive:
        archive = _file(package.archive, package.name, origin)
        if archive.filename.endswith(".whl"):
            wheels.append(archive)
        else:
            sdist = archive
    return Locked(
        name=package.name,
        version=str(package.version),
        marker=str(package.marker or ""),
        requires_python=str(package.requires_python or ""),
        wheels=tuple(wheels),
        sdist=sdist,
        parents=parents,
        index=package.index or "",
    )


def _file(entry: Any, name: str, origin: str) -> LockedFile:
    url = entry.url or urljoin(Path(origin).absolute().as_uri(), Path(entry.path).as_posix())
    sha256 = entry.hashes.get("sha256")
    if sha256 is None:
        raise BuildFailure(f"{name} is locked without a sha256", why="Its index gives other hashes or none.")
    filename = getattr(entry, "name", None) or unquote(urlsplit(url).path.rpartition("/")[2])
    uploaded = entry.upload_time.date().isoformat() if entry.upload_time else None
    return LockedFile(filename=filename, url=url, sha256=sha256, size=entry.size, uploaded=uploaded)


def listing(index: Index) -> str | None:
    """Digest of what a directory offers: names, sizes and times of wheels, or names and sha256 of pages, which are
    drawn again and copied without a change. None for an index elsewhere, and for a directory that is not there.
    """
    directory = directory_of(index)
    if directory is None or not directory.is_dir():
        return None
    if is_tree(directory):
        return digest_of(sorted([path.parent.name, sha256_file(path)] for path in directory.glob(f"*/{PAGE}")))
    found = [(path.name, path.stat()) for path in directory.glob("*") if path.is_file()]
    return digest_of(sorted([name, facts.st_size, facts.st_mtime_ns] for name, facts in found))


def _listings(environment: Environment) -> dict[str, str]:
    """What the directories among an environment's indexes hold for a resolver. A new file there asks for a new lock."""
    found = {index.name: listing(index.branch(OWN)) for index in environment.indexes}
    return {name: digest for name, digest in found.items() if digest}


def _with_notes(text: str, header: Mapping[str, Any], parents: Mapping[str, Sequence[str]]) -> bytes:
    """The lock with our first line, and at its end (PEP 751 leaves [tool] to tools) who asks for what."""
    first = HEADER.decode() + json.dumps(header, sort_keys=True)
    rows = [f"{json.dumps(name)} = {json.dumps(list(wanted))}" for name, wanted in sorted(parents.items())]
    return "\n".join([first, text.rstrip(), "", "[tool.ot2deploy.parents]", *rows, ""]).encode()
