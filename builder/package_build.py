"""The API that recipes call: `package_build.build_package(source=package_build.github_source(...), ...)`.

A call only records what is asked for (`builder.recipe` reads it): a recipe is data, loading it builds and fetches
nothing. The names and keywords of Opentrons' package builder keep their meaning, so that its recipes load unchanged.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NoReturn

from builder.errors import UsageFailure

__all__ = ["build_package", "github_source"]


@dataclass(frozen=True, kw_only=True)
class GithubDevSource:
    """The archive that GitHub makes of a tag; `path` is the project's directory inside the repository."""

    name: str
    org: str
    repo: str
    tag: str
    path: str | None = None
    sha256: str | None = None

    def url(self) -> str:
        """Where the archive is."""
        return f"https://github.com/{self.org}/{self.repo}/archive/refs/tags/{self.tag}.zip"

    def archive_name(self) -> str:
        """The archive's file name."""
        return f"{self.tag.replace('/', '-')}.zip"


@dataclass(frozen=True, kw_only=True)
class GithubReleaseSDistSource:
    """An sdist attached to a GitHub release."""

    name: str
    org: str
    repo: str
    tag: str
    package_name: str
    sha256: str | None = None
    path: None = None

    def url(self) -> str:
        """Where the sdist is."""
        return f"https://github.com/{self.org}/{self.repo}/releases/download/{self.tag}/{self.package_name}"

    def archive_name(self) -> str:
        """The sdist's file name."""
        return self.package_name


GithubSource = GithubDevSource | GithubReleaseSDistSource


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of build_package, as it was made."""

    source: GithubSource | None
    setup_py_commands: tuple[str, ...]
    build_dependencies: tuple[str, ...]
    extra: Mapping[str, Any]


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
) -> GithubSource:
    """A source on GitHub: a release's sdist where `sdist_archive` names it, else the archive of the tag.

    Without `sha256` the hash is unknown until the archive was fetched once.
    """
    if sdist_archive:
        return GithubReleaseSDistSource(
            name=name or repo, org=org, repo=repo, tag=tag, package_name=sdist_archive, sha256=sha256
        )
    return GithubDevSource(name=name or repo, org=org, repo=repo, tag=tag, path=path, sha256=sha256)


def build_package(
    source: GithubSource | None = None,
    setup_py_commands: Sequence[str] | None = None,
    build_dependencies: Sequence[str] | None = None,
    *,
    constraints: Sequence[str] = (),
    libraries: Sequence[str] = (),
    native: Sequence[str] | None = None,
    cflags: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    config_settings: Mapping[str, str] | None = None,
    checks: Sequence[Mapping[str, Any]] = (),
    revision: int = 0,
    reason: str = "",
) -> Later:
    """Says how this project is built.

    `source` is where its source is, if not the index's sdist; it counts if it has a sha256. `setup_py_commands` are run
    in order instead of the project's PEP 517 back end; `build_dependencies` come on top of what the project asks for.

    `constraints` hold for build requirements. `libraries` are static ones of the target: libffi, libyaml, openssl.
    `native` are globs of shared objects that the wheel must hold, () for a pure wheel. `cflags` reach the C and C++
    compiler last but for our own. `env` and `config_settings` go to the back end. `checks` (as in a manifest) are run
    on the target where an environment names no quick checks of its own.
    A higher `revision` gives other bytes another file name. `reason` says why all this is needed.
    """
    calls = _calls.get()
    if calls is None:
        _too_early()
    extra = {
        "constraints": _texts("constraints", constraints),
        "libraries": _texts("libraries", libraries),
        "native": None if native is None else _texts("native", native),
        "cflags": _texts("cflags", cflags),
        "env": _named("env", env),
        "config_settings": _named("config_settings", config_settings),
        "checks": tuple(dict(check) for check in checks),
        "revision": revision,
        "reason": " ".join(reason.split()),
    }
    calls.append(
        Call(
            source=source,
            setup_py_commands=_texts("setup_py_commands", setup_py_commands),
            build_dependencies=_texts("build_dependencies", build_dependencies),
            extra=extra,
        )
    )
    return Later()


@contextlib.contextmanager
def recording() -> Iterator[list[Call]]:
    """Collects the calls made inside the block."""
    calls: list[Call] = []
    token = _calls.set(calls)
    try:
        yield calls
    finally:
        _calls.reset(token)


def _texts(name: str, value: Sequence[str] | None) -> tuple[str, ...]:
    """A list of texts; a single text would be taken for a list of its letters."""
    if isinstance(value, str) or not all(isinstance(text, str) for text in value or ()):
        raise TypeError(f"{name} must be a list of texts, not {value!r}")
    return tuple(value or ())


def _named(name: str, value: Mapping[str, str] | None) -> dict[str, str]:
    if not all(isinstance(text, str) for pair in (value or {}).items() for text in pair):
        raise TypeError(f"{name} must give each name a text, not {value!r}")
    return dict(value or {})


def _too_early() -> NoReturn:
    raise UsageFailure(
        "a recipe is not run",
        why="It says how a wheel is built; the wheel is made later, for each profile.",
        next="Run: ot2deploy bundle NAME --profile PROFILE",
    )
