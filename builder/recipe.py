"""Recipes: build facts of one project, loaded from `package/<name>/<version>/build.py` without running or fetching."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name, canonicalize_version

from builder.environment import Check
from builder.errors import ConfigFailure, Failure
from builder.files import digest_of, sha256_file
from builder.package_build import Call, build_package, recording

DEFAULT = "default"  # the directory that holds for all versions without one of their own
IGNORED = frozenset({"__pycache__", ".DS_Store"})


@dataclass(frozen=True, kw_only=True)
class SourceArchive:
    """Where a recipe's source is: an archive's URL and file name. `sha256` is None where the recipe does not pin it."""

    url: str
    filename: str
    tag: str
    sha256: str | None = None
    path: str | None = None


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Build facts of one project, see `package_build.build_package`. `digest` covers every file of its directory.

    `version` is None for facts that hold for all versions. `native` are globs of shared objects that the wheel must
    hold; () says that it is pure, None that the recipe does not say.
    """

    name: str
    version: str | None
    directory: Path
    digest: str
    source: SourceArchive | None = None
    setup_py_commands: tuple[str, ...] = ()
    build_dependencies: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    native: tuple[str, ...] | None = None
    cflags: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    config_settings: Mapping[str, str] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    revision: int = 0
    reason: str = ""


def find(name: str, version: str | None, directories: Iterable[Path]) -> Recipe | None:
    """The recipe of a project's version, the first of the search directories that has one; None when none has.

    In each directory the version's own comes before `default`. With no version, only `default` counts.
    """
    for directory in directories:
        found = dict(versions(name, directory))
        exact = found.get(_canonical(version)) if version else None
        path = exact or found.get(None)
        if path:
            return load(path)
    return None


def versions(name: str, directory: Path) -> Iterator[tuple[str | None, Path]]:
    """Every recipe of a project in one search directory: (version, directory); None is `default`."""
    wanted = canonicalize_name(name)
    for project in sorted(directory.iterdir()) if directory.is_dir() else ():
        if canonicalize_name(project.name) != wanted:
            continue
        for path in sorted(project.iterdir()):
            if (path / "build.py").is_file():
                yield None if path.name == DEFAULT else _canonical(path.name), path


def load(directory: Path) -> Recipe:
    """The recipe in a directory `<name>/<version>`. Raises ConfigFailure with file and line."""
    file = directory / "build.py"
    call = _of_project(directory.parent.name, _record(file), file)
    if problems := tuple(_problems(call, file)):
        raise ConfigFailure(f"{file}: {len(problems)} things are wrong", details=problems)
    return Recipe(
        name=directory.parent.name,
        version=None if directory.name == DEFAULT else directory.name,
        directory=directory,
        digest=_digest(directory),
        source=_archive(call),
        setup_py_commands=call.setup_py_commands,
        build_dependencies=call.build_dependencies,
        **{**call.extra, "checks": tuple(_check(check) for check in call.extra["checks"])},
    )


def _of_project(name: str, calls: list[Call], file: Path) -> Call:
    """The one call, or of several the one whose source has the project's name."""
    own = [call for call in calls if call.source and canonicalize_name(call.source.name) == canonicalize_name(name)]
    chosen = calls if len(calls) == 1 else own
    if len(chosen) != 1:
        raise ConfigFailure(
            f"{file}: build_package must be called once for {name}, is called {len(own or calls)} times",
            next="Give each project a directory of its own.",
        )
    return chosen[0]


def _record(file: Path) -> list[Call]:
    """Executes a recipe in a namespace of its own and returns the calls it made."""
    try:
        code = compile(file.read_text(encoding="utf-8"), str(file), "exec")
    except OSError as error:
        raise ConfigFailure(f"{file}: {error.strerror or error}") from error
    except (SyntaxError, ValueError) as error:
        raise ConfigFailure(f"{file}:{getattr(error, 'lineno', None) or 1}: {error}") from error
    with recording() as calls:
        try:
            exec(code, {"__name__": "recipe", "__file__": str(file)})
        except (Exception, SystemExit) as error:
            lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
            said = error.what if isinstance(error, Failure) else f"{type(error).__name__}: {error}"
            raise ConfigFailure(
                f"{file}:{lines[-1] if lines else 1}: {said}",
                next=f"build_package takes: {', '.join(inspect.signature(build_package).parameters)}",
            ) from error
    return calls


def _problems(call: Call, file: Path) -> Iterator[str]:
    for kind, texts in (("build_dependencies", call.build_dependencies), ("constraints", call.extra["constraints"])):
        for text in texts:
            try:
                Requirement(text)
            except InvalidRequirement:
                yield f"{file}: {kind}: {text!r} is not a requirement"
    for check in call.extra["checks"]:
        try:
            _check(check).as_dict()
        except (TypeError, ValueError, KeyError) as error:
            yield f"{file}: checks: {check!r} is not a check: {error}"
    if not isinstance(call.extra["revision"], int) or call.extra["revision"] < 0:
        yield f"{file}: revision: {call.extra['revision']!r} is not a whole number"


def _check(given: Mapping[str, Any]) -> Check:
    return Check(**{**given, "timeout": float(given["timeout"]), "argv": tuple(given.get("argv", ()))})


def _archive(call: Call) -> SourceArchive | None:
    source = call.source
    if source is None:
        return None
    return SourceArchive(
        url=source.url(), filename=source.archive_name(), tag=source.tag, sha256=source.sha256, path=source.path
    )


def _digest(directory: Path) -> str:
    files = {path.relative_to(directory): path for path in sorted(directory.rglob("*")) if path.is_file()}
    kept = {name: path for name, path in files.items() if not IGNORED.intersection(name.parts)}
    return digest_of([[name.as_posix(), sha256_file(path)] for name, path in kept.items()])


def _canonical(version: str | None) -> str | None:
    return None if version is None else canonicalize_version(version)
