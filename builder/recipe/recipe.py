"""Recipes: build facts of one project, loaded from `package/<name>/<version>/build.py` without running or fetching."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, canonicalize_version

from builder.environment import Check
from builder.errors import ConfigFailure
from builder.files import digest_of, sha256_file
from builder.package_build import Call, Refusal
from builder.profile import Profile
from builder.recipe import file as recipe_file
from builder.source import Source

DEFAULT = "default"  # the directory that holds for all versions without one of their own
LIMITS = ("==", "===", "~=", "<", "<=")
IGNORED = frozenset({"__pycache__", ".DS_Store", "known-failures.yaml"})  # none of them changes a wheel


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Build facts of one project, see `package_build.build_package`. `digest` covers every file of its directory.

    `version` is None for facts that hold for all versions. `native` are globs of shared objects that the wheel must
    hold; () says that it is pure, None that the recipe does not say. In `build_paths` the build's path may stand.
    `patches` are files in `directory`. `profiles` is what `for_profile` adds. With a `refusal` nothing is built.
    `others` are further projects that the file builds, `line` is where the call of this one stands. `requires` limits
    the versions that the wheel is installed beside.
    """

    name: str
    version: str | None
    directory: Path
    digest: str
    source: Source | None = None
    setup_py_commands: tuple[str, ...] = ()
    build_dependencies: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    as_of: str | None = None
    libraries: tuple[str, ...] = ()
    headers_of: tuple[str, ...] = ()
    native: tuple[str, ...] | None = None
    build_paths: tuple[str, ...] = ()
    cflags: tuple[str, ...] = ()
    ldflags: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    config_settings: Mapping[str, str] = field(default_factory=dict)
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    patches: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    revision: int = 0
    reason: str = ""
    refusal: Refusal | None = None
    others: tuple[str, ...] = ()
    line: int = 1

    @property
    def open_dependencies(self) -> tuple[str, ...]:
        """The build dependencies that any future version fulfils: neither they nor the constraints set a limit."""
        limited = {
            canonicalize_name(one.name)
            for one in map(Requirement, (*self.build_dependencies, *self.constraints))
            if one.url or any(part.operator in LIMITS for part in one.specifier)
        }
        named = {canonicalize_name(Requirement(text).name): text for text in self.build_dependencies}
        return tuple(text for name, text in named.items() if name not in limited)

    def for_profile(self, profile: Profile) -> Recipe:
        """The recipe as it holds for one profile: what it says of that profile is added, of others dropped."""
        own = self.profiles.get(profile.twin_of or profile.name, {})
        more: dict[str, Any] = {key: (*getattr(self, key), *own[key]) for key in recipe_file.ADDED if key in own}
        more |= {key: {**getattr(self, key), **own[key]} for key in recipe_file.TABLES if key in own}
        return replace(self, profiles={}, **more)


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
    calls = recipe_file.calls(file)
    call = _of_project(directory.parent.name, calls, file)
    values = recipe_file.values(call, file)
    if values.get("headers_of", ()) is None:
        values["headers_of"] = _headers(values["build_dependencies"])
    return Recipe(
        name=directory.parent.name,
        version=None if directory.name == DEFAULT else directory.name,
        directory=directory,
        digest=_digest(directory),
        source=call.source,
        refusal=call.refusal,
        others=tuple(_name(other) for other in calls if other is not call),
        line=call.line,
        **values,
    )


def _of_project(name: str, calls: list[Call], file: Path) -> Call:
    """The one call, or of several the one whose source has the project's name."""
    own = [call for call in calls if canonicalize_name(_name(call)) == canonicalize_name(name)]
    chosen = calls if len(calls) == 1 else own
    if len(chosen) != 1:
        raise ConfigFailure(
            f"{file}: build_package must be called once for {name}, is called {len(own or calls)} times",
            next="Give each project a directory of its own.",
        )
    return chosen[0]


def _headers(build_dependencies: tuple[str, ...]) -> tuple[str, ...]:
    """Whose headers count where the recipe does not say: who builds with numpy most likely compiles against it."""
    return tuple(text for text in build_dependencies if canonicalize_name(Requirement(text).name) == "numpy")


def _name(call: Call) -> str:
    return getattr(call.source, "name", "") or "an unnamed project"


def _digest(directory: Path) -> str:
    files = {path.relative_to(directory): path for path in sorted(directory.rglob("*")) if path.is_file()}
    kept = {name: path for name, path in files.items() if not IGNORED.intersection(name.parts)}
    return digest_of([[name.as_posix(), sha256_file(path)] for name, path in kept.items()])


def _canonical(version: str | None) -> str | None:
    return None if version is None else canonicalize_version(version)
