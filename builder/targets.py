"""Targets: what a user names - environment, recipe, requirement, path, wheel or URL - as an Environment."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from packaging.requirements import InvalidRequirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from builder import places, recipe
from builder.environment import NAME, Environment, Index, parsed, safe_name
from builder.environment_file import FILE, load
from builder.errors import UsageFailure
from builder.fetch import login_of, public, split

RECIPE = "build.py"
PINNED = re.compile(r"sha256=[0-9a-f]{64}")
ARCHIVES = (".whl", ".tar.gz", ".zip")
BUILT = ("pyproject.toml", "setup.py")  # a directory that has one of these is something to install
GATHERED = (
    "inventory.yaml",
    "ot2deploy.yaml",
    "environments",
)  # one that has these instead is where robots are looked after


@dataclass(frozen=True, kw_only=True)
class Search:
    """Directories of environments and of recipes, first match wins: the user's own first, the shipped ones last.

    `indexes` hold for every target, after those that its own file names; `first` for this command, before them.
    """

    environments: tuple[Path, ...] = field(default_factory=lambda: (places.shipped("environments"),))
    packages: tuple[Path, ...] = field(default_factory=lambda: (places.shipped("package"),))
    indexes: tuple[Index, ...] = ()
    first: tuple[Index, ...] = ()

    def indexed(self, environment: Environment) -> Environment:
        """The environment with the indexes that hold for every target beside its own."""
        return environment.with_indexes(first=self.first, last=self.indexes)


def resolve(target: str, search: Search, *, base: Path | None = None) -> Environment:
    """What `target` means: an environment, else a recipe, else a requirement with a specifier; or a path or URL.

    Paths are relative to `base` (default: the working directory). `Environment.source` says which it was.
    Names of environments and recipes are looked up as given, then however they are written (PEP 503).
    Raises UsageFailure with did-you-mean, ConfigFailure for a wrong environment file.
    """
    return search.indexed(_meant(target.strip(), search, base or Path.cwd()))


def _meant(target: str, search: Search, base: Path) -> Environment:
    if re.match(r"[a-z+]+://|file:", target):
        return _unshared(_url(target), search)
    if target.startswith((".", "/", "~")) or (" @ " not in target and target.endswith(ARCHIVES)):
        return _path(base / Path(target).expanduser())
    if NAME.fullmatch(target) and (file := find_environment(target, search)):
        return load(file)
    project = canonicalize_name(target)
    if alike := _environment_alike(project, search):
        return load(alike)
    if version := recipe_version(project, search):
        return Environment(name=safe_name(project), requirements=(f"{project}=={version}",), source="recipe")
    return _unshared(_requirement(target, search, base), search)


def find_environment(name: str, search: Search) -> Path | None:
    """The file of an environment, in the first directory that has it."""
    files = (directory / name / FILE for directory in search.environments)
    return next((file for file in files if file.is_file()), None)


def environment_names(search: Search) -> list[str]:
    """All environments that can be named, sorted."""
    return sorted({file.parent.name for directory in search.environments for file in directory.glob(f"*/{FILE}")})


def recipe_names(search: Search) -> list[str]:
    """All projects with a recipe of their own for some version, sorted."""
    found = {file.parent.parent.name for directory in search.packages for file in directory.glob(f"*/*/{RECIPE}")}
    return sorted(name for name in found if recipe_version(name, search))


def recipe_version(name: str, search: Search) -> str | None:
    """The newest version that the first directory with recipes of this project has, or None."""
    for directory in search.packages:
        known = [_version(version) for version, _ in recipe.versions(name, directory) if version]
        if found := [version for version in known if version]:
            return str(max(found))
    return None


def _environment_alike(project: str, search: Search) -> Path | None:
    """The environment whose name is that of `project`, however either is written."""
    alike = (name for name in environment_names(search) if canonicalize_name(name) == project)
    return next((find_environment(name, search) for name in alike), None)


def _unshared(made: Environment, search: Search) -> Environment:
    """`made`, unless it would take the place and the lock of a written environment. Raises UsageFailure."""
    file = _environment_alike(canonicalize_name(made.name), search)
    if file is None:
        return made
    name = file.parent.name
    raise UsageFailure(
        f"{name} is an environment",
        why=f"{', '.join(made.requirements)} alone would take its place on the robot, without its checks.",
        next=f"Push `{name}`, or change environments/{name}/{FILE}.",
    )


def _requirement(target: str, search: Search, base: Path) -> Environment:
    try:
        requirement = parsed(target)
    except InvalidRequirement as error:
        if here := _here(target, base):
            raise UsageFailure(f"{target!r} is no environment, recipe or requirement", next=here) from error
        raise UsageFailure(
            f"{target!r} is no environment, recipe or requirement",
            why=str(error).splitlines()[0],
            next=f"Name one of {_known(search)}, a requirement such as 'numpy==1.26.4', or a path.",
        ) from error
    if requirement.url:
        _pinned(requirement.url)
    elif not requirement.specifier:
        raise _unknown(target, search, base)
    return Environment(
        name=safe_name(canonicalize_name(requirement.name)), requirements=(str(requirement),), source="requirement"
    )


def _unknown(target: str, search: Search, base: Path) -> UsageFailure:
    from difflib import get_close_matches

    known = [*environment_names(search), *recipe_names(search)]
    close = get_close_matches(target, known, 1)
    why = "Installing from an index needs a specifier, so that a typing error does not run on a robot."
    if any(True for directory in search.packages for _ in recipe.versions(target, directory)):
        why = f"Its recipe holds for any version. {why}"
    elif close:
        why = f"Did you mean {close[0]}? {why}"
    index = f"Write '{target}==<version>' to install it from the index. Environments and recipes: {_known(search)}"
    return UsageFailure(f"no environment or recipe is named {target}", why=why, next=_here(target, base) or index)


def _here(target: str, base: Path) -> str:
    """How to name the file or directory that `target` may stand for, or nothing."""
    bare = target.rstrip("/")
    found = next((name for name in (bare, f"{bare}.py") if bare and (base / name).exists()), None)
    return f"Name ./{found} for what is in this directory." if found else ""


def _known(search: Search) -> str:
    return ", ".join(sorted({*environment_names(search), *recipe_names(search)})) or "none"


def _path(path: Path) -> Environment:
    if not path.exists():
        raise UsageFailure(f"{path} does not exist", next="Give a project directory, a .py file, a wheel or an sdist.")
    path = path.resolve()
    if path.name == FILE:
        return load(path)
    if path.is_dir() and (path / FILE).is_file():
        return load(path / FILE)
    if path.is_dir() and _has(path, GATHERED) and not _has(path, BUILT):
        raise UsageFailure(
            f"{path.name} is a project of environments and robots, not something to install",
            why=f"It has {' or '.join(GATHERED)}, and neither {' nor '.join(BUILT)}.",
            next="Name an environment (ot2deploy env list), or the file or directory in it that is meant: ./NAME.",
        )
    if path.is_file() and not path.name.endswith((".py", *ARCHIVES)):
        raise UsageFailure(f"{path.name} cannot be installed", why="It is no .py file, wheel or source distribution.")
    if path.suffix == ".whl":
        return Environment(name=_file_name(path.name), local=(path,), source="wheel")
    name = (
        _file_name(path.name) if path.name.endswith(ARCHIVES) else safe_name(path.stem if path.is_file() else path.name)
    )
    return Environment(name=name, local=(path,), source="path")


def _has(directory: Path, names: tuple[str, ...]) -> bool:
    return any((directory / name).exists() for name in names)


def _url(target: str) -> Environment:
    _pinned(target)
    filename = unquote(split(target).path.rpartition("/")[2])
    if not filename.endswith(ARCHIVES):
        raise UsageFailure(f"{filename or target} is neither a wheel nor a source distribution")
    project = filename.split("-")[0] if filename.endswith(".whl") else filename.rpartition("-")[0]
    if not project:
        raise UsageFailure(f"{filename} does not say which project it is", next=f"Write: NAME @ {target}")
    name = canonicalize_name(project)
    return Environment(name=safe_name(name), requirements=(f"{name} @ {target}",), source="url")


def _pinned(url: str) -> None:
    parts = split(url)
    if login_of(url):
        raise UsageFailure(
            f"the URL {public(url)} holds a user name or password",
            why="It would be kept in the lock and in the release on the robot.",
            next="Put them into ~/.netrc, and leave them out of the URL.",
        )
    if parts.scheme.startswith("git+"):
        raise UsageFailure(
            f"{public(url)} is a repository, which no sha256 can pin",
            next="Name a checkout of it by its path, or write a recipe with git_source(url, commit) (docs/recipes.md).",
        )
    if not PINNED.fullmatch(parts.fragment):
        raise UsageFailure(
            "a URL needs #sha256=<64 hexadecimal digits> at its end",
            why="What is behind a URL can change; the hash says which file is meant.",
            next=f"Run: sha256sum FILE   and write {public(url)}#sha256=...",
        )


def _file_name(filename: str) -> str:
    project = filename.split("-")[0] if filename.endswith(".whl") else filename.rpartition("-")[0]
    return safe_name(canonicalize_name(project or filename))


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None
