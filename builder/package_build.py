"""The API that recipes call: `package_build.build_package(source=package_build.github_source(...), ...)`.

A call only records what is asked for (`builder.recipe` reads it): a recipe is data, loading it builds and fetches
nothing. The names and keywords of Opentrons' package builder keep their meaning, so that its recipes load unchanged.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

from builder.errors import UsageFailure
from builder.source import (
    Archive,
    DebianSource,
    GithubDevSource,
    GithubReleaseSDistSource,
    GitSource,
    IndexSdist,
    LocalSource,
    Source,
)

__all__ = [
    "archive",
    "build_package",
    "debian_source",
    "git_source",
    "github_source",
    "index_sdist",
    "local_source",
    "refuse_package",
    "release_asset",
]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a project cannot be had for robots, and the nearest thing that works."""

    reason: str
    instead: str


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of build_package or refuse_package, as it was made; `line` is where."""

    line: int
    source: Source | None = None
    refusal: Refusal | None = None
    given: Mapping[str, Any]


class Later:
    """What build_package gives back: stands for the wheel, which does not exist while a recipe is loaded."""

    def __fspath__(self) -> str:
        _too_early()


_calls: ContextVar[list[Call] | None] = ContextVar("calls of build_package", default=None)


def github_source(
    *,
    org: str,
    repo: str,
    tag: str,
    sdist_archive: str | None = None,
    name: str | None = None,
    path: str | None = None,
    sha256: str | None = None,
) -> GithubDevSource | GithubReleaseSDistSource:
    """A source on GitHub: the file `sdist_archive` of the tag's release where it is given, else the tag's archive.

    `path` is the project's directory, relative to the repository's root. Without `sha256` the index's sdist is built.
    """
    if sdist_archive:
        return release_asset(org=org, repo=repo, tag=tag, asset=sdist_archive, name=name, path=path, sha256=sha256)
    return GithubDevSource(name=name or repo, org=org, repo=repo, tag=tag, path=path, sha256=sha256)


def release_asset(
    *,
    org: str,
    repo: str,
    tag: str,
    asset: str,
    name: str | None = None,
    path: str | None = None,
    sha256: str | None = None,
) -> GithubReleaseSDistSource:
    """The file `asset` that is attached to a GitHub release."""
    return GithubReleaseSDistSource(
        name=name or repo, org=org, repo=repo, tag=tag, package_name=asset, path=path, sha256=sha256
    )


def archive(
    url: str | None = None, *, urls: Sequence[str] = (), sha256: str | None = None, path: str | None = None
) -> Archive:
    """An archive at a URL, or the same one at several, tried in order."""
    return Archive(urls=(*([url] if url else ()), *urls), sha256=sha256, path=path)


def index_sdist(*, sha256: str | None = None) -> IndexSdist:
    """The index's source distribution of the locked version, which is also what is built where no source is named."""
    return IndexSdist(sha256=sha256)


def debian_source(package: str, version: str, *, sha256: str | None = None, path: str | None = None) -> DebianSource:
    """The upstream archive of a Debian source package; `sha256` is that of its .orig.tar file."""
    return DebianSource(package=package, version=version, sha256=sha256, path=path)


def git_source(url: str, commit: str, *, path: str | None = None) -> GitSource:
    """The tree of a commit (its full 40 hex digits)."""
    return GitSource(url=url, commit=commit, path=path)


def local_source(path: str) -> LocalSource:
    """A directory, relative to the recipe's."""
    return LocalSource(path=path)


def build_package(
    source: Source | None = None,
    setup_py_commands: Sequence[str] | None = None,
    build_dependencies: Sequence[str] | None = None,
    *,
    constraints: Sequence[str] = (),
    requires: Sequence[str] = (),
    as_of: str | None = None,
    libraries: Sequence[str] = (),
    headers_of: Sequence[str] | None = None,
    native: Sequence[str] | None = None,
    build_paths: Sequence[str] = (),
    cflags: Sequence[str] = (),
    ldflags: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    config_settings: Mapping[str, str] | None = None,
    profiles: Mapping[str, Mapping[str, Any]] | None = None,
    patches: Sequence[str] = (),
    checks: Sequence[Mapping[str, Any]] = (),
    revision: int = 0,
    reason: str = "",
) -> Later:
    """Says how this project is built.

    `source` is where its source is, if not the index's sdist; it counts if it is pinned. `setup_py_commands` are run
    in order instead of the project's PEP 517 back end; `build_dependencies` come on top of what the project asks for.

    `constraints` hold for build requirements, `as_of` (YYYY-MM-DD) hides those uploaded later. `requires` limits the
    versions that the finished wheel is installed beside, where its own metadata does not. `libraries` are static
    ones of the target (`builder.toolchain.sysroot` lists them). `headers_of` are projects whose wheel for the target is
    made first, its C headers standing before the host's; numpy is one where it is a build dependency and none is
    named. `native` are globs of shared objects that the wheel must hold, () for a pure wheel; `build_paths` of those
    in which the path of the build may stand, with the `reason` for it. `cflags` and `ldflags` reach the C and C++
    compiler last but for our own. `env` and `config_settings` go to the back end. `profiles` gives, by profile, more
    of all these lists and tables. `patches` are files beside the recipe, applied in order. `checks` (as in a manifest)
    are run on the target where an environment names no quick checks of its own. A higher `revision` gives other bytes
    another file name. `reason` says why all this is needed.
    """
    given = locals()
    _record(inspect.currentframe(), source=given.pop("source"), given=given)
    return Later()


def refuse_package(*, reason: str, instead: str) -> None:
    """Says that this project cannot be had for robots, why, and what is the nearest thing that works."""
    _record(inspect.currentframe(), refusal=Refusal(reason=" ".join(reason.split()), instead=" ".join(instead.split())))


@contextlib.contextmanager
def recording() -> Iterator[list[Call]]:
    """Collects the calls made inside the block."""
    calls: list[Call] = []
    token = _calls.set(calls)
    try:
        yield calls
    finally:
        _calls.reset(token)


def _record(
    frame: FrameType | None, *, source: Source | None = None, refusal: Refusal | None = None, given: Any = None
) -> None:
    calls = _calls.get()
    if calls is None:
        _too_early()
    line = frame.f_back.f_lineno if frame and frame.f_back else 1
    calls.append(Call(line=line, source=source, refusal=refusal, given=given or {}))


def _too_early() -> NoReturn:
    raise UsageFailure(
        "a recipe is not run",
        why="It says how a wheel is built; the wheel is made later, for each profile.",
        next="Run: ot2deploy bundle NAME --profile PROFILE",
    )
