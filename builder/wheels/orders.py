"""Orders: what a user wants wheels of, as environments that are resolved together - or, where that cannot be, alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from builder import local, targets
from builder.engine import Engine
from builder.environment import Environment, Index, safe_name
from builder.errors import BuildFailure, Failure, OfflineFailure, UsageFailure
from builder.events import Event, Report, silent
from builder.files import digest_of
from builder.lock import Lock
from builder.pipeline import make_lock
from builder.profile import Profile
from builder.recipe import DEFAULT
from builder.selection import Wanted, select
from builder.targets import ARCHIVES, RECIPE, Search
from builder.wheels.order_locks import for_orders, keep_in_use


@dataclass(frozen=True, kw_only=True)
class Order:
    """An environment and how much of it is wanted: with its `closure`, or only what it names itself.

    `divisible` says that its requirements need not be installable together; `from_source` that what it names itself is
    to be built even where an index has a wheel.
    """

    environment: Environment
    closure: bool
    divisible: bool = False
    from_source: bool = False

    @property
    def indexes(self) -> tuple[Index, ...]:
        """The indexes that are asked for wheels."""
        return () if self.from_source else self.environment.indexes


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A part of an order that has a lock; `local` are sha256 of the user's own files in it.

    Without a lock it is `unlisted`, a package that no index has and whose recipe has its source.
    """

    order: Order
    lock: Lock | None
    local: tuple[str, ...] = ()
    unlisted: Wanted | None = None

    @property
    def as_of(self) -> str | None:
        """The day after which nothing that was uploaded counts."""
        return self.lock.as_of if self.lock else self.order.environment.as_of

    def needed(self, profile: Profile) -> tuple[Wanted, ...]:
        """All packages that a profile needs for it, as far as that is known. Raises BuildFailure, see `select`."""
        listed = select(self.lock, profile, local=self.local) if self.lock else ()
        found = (*listed, *filter(None, [self.unlisted]))
        if not self.order.from_source:
            return found
        return tuple(replace(one, candidates=()) if one.requested else one for one in found)

    def wanted(self, profile: Profile) -> tuple[Wanted, ...]:
        """Those of them whose wheels are wanted."""
        return tuple(one for one in self.needed(profile) if self.order.closure or one.requested)


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """The parts of an order that could be resolved, and why the others could not."""

    parts: tuple[Resolved, ...]
    failures: tuple[Failure, ...] = ()


def whole(target: str, search: Search, *, as_of: str | None = None) -> Order:
    """The order of everything that a target means, see `targets.resolve`."""
    environment = targets.resolve(target, search)
    return Order(environment=replace(environment, as_of=as_of or environment.as_of), closure=True)


def of(
    texts: Sequence[str],
    search: Search,
    *,
    closure: bool = False,
    as_of: str | None = None,
    base: Path | None = None,
) -> Order:
    """The order of some projects: requirements, names of projects, directories of recipes, paths and URLs.

    A bare name means the newest version that has a recipe of its own, else the newest of all. Paths are relative to
    `base` (default: the working directory). Raises one UsageFailure for all that mean nothing.
    """
    base = base or Path.cwd()
    requirements: list[str] = []
    paths: list[Path] = []
    wrong: list[str] = []
    for text in dict.fromkeys(text.strip() for text in texts):
        try:
            found = _meant(text, search, base)
        except UsageFailure as failure:
            wrong += failure.lines()
            continue
        requirements += found.requirements
        paths += found.local
    if wrong:
        raise UsageFailure("not everything that was named can be built", details=tuple(wrong))
    name = _name(requirements, paths, as_of)
    environment = Environment(
        name=name, requirements=tuple(requirements), local=tuple(paths), as_of=as_of, source="requirement"
    )
    return Order(environment=search.indexed(environment), closure=closure, divisible=True)


def read_requirements(path: Path) -> tuple[str, ...]:
    """The requirements in a file as pip reads it, with comments and continued lines; of pip's options none is taken.

    Raises one UsageFailure with every line that is no requirement.
    """
    found: list[str] = []
    wrong: list[str] = []
    for number, line in _lines(path):
        try:
            found.append(str(Requirement(line)))
        except InvalidRequirement as error:
            why = "options of pip have no meaning here" if line.startswith("-") else str(error).splitlines()[0]
            wrong.append(f"{path}:{number}: {line}: {why}")
    if wrong:
        raise UsageFailure(f"{path} has lines that are no requirements", details=tuple(wrong))
    return tuple(found)


def resolve(order: Order, engine: Engine, report: Report = silent) -> Resolution:
    """The locks of an order: one for all, or, where a divisible one leaves no common set of versions, one for each.

    What no index has and a recipe has the source of needs no lock. Raises NetworkFailure, and BuildFailure where
    nothing can be divided.
    """
    environment = order.environment
    try:
        return Resolution(parts=(_resolved(order, engine, report),))
    except BuildFailure as failure:
        failure.subject = ", ".join(environment.wanted) if order.divisible else failure.subject
        if not order.divisible or type(failure) not in (BuildFailure, OfflineFailure):  # the network, a disk, a tool
            raise
        if len(environment.wanted) == 1 and (part := _unlisted(order, engine, report)):
            return Resolution(parts=(part,))
        if len(environment.wanted) == 1 or isinstance(failure, OfflineFailure):
            raise
        message = "cannot be resolved together, so each is resolved alone"
        report(Event(subject=", ".join(environment.wanted), stage="lock", message=message, level="warning"))
    parts: list[Resolved] = []
    failures: list[Failure] = []
    for one in _alone(environment):
        try:
            parts += resolve(replace(order, environment=one), engine, report).parts
        except BuildFailure as failure:
            failures.append(failure)
    return Resolution(parts=tuple(parts), failures=tuple(failures))


def _resolved(order: Order, engine: Engine, report: Report) -> Resolved:
    files = local.prepare(order.environment, engine.store, engine.uv, report)
    lock = make_lock(order.environment, for_orders(engine) if order.divisible else engine, report)
    if order.divisible:
        keep_in_use(lock)
    return Resolved(order=order, lock=lock, local=tuple(file.sha256 for file in files))


def _unlisted(order: Order, engine: Engine, report: Report) -> Resolved | None:
    """The package of a recipe that no index knows: what it needs in turn is not known then."""
    for text in order.environment.requirements:
        requirement = Requirement(text)
        pins = [one.version for one in requirement.specifier if one.operator == "=="]
        name = canonicalize_name(requirement.name)
        recipe = engine.tools.recipe(name, pins[0], engine.search.packages) if len(pins) == 1 else None
        if recipe and recipe.source:
            message = f"is on no index at hand: built from its recipe's {recipe.source}, without what it needs in turn"
            report(Event(subject=text, stage="lock", message=message, level="warning"))
            version = recipe.version or pins[0]
            wanted = Wanted(name=name, version=version, candidates=(), sdist=None, chain=(name,), requested=True)
            return Resolved(order=order, lock=None, unlisted=wanted)
    return None


def _alone(environment: Environment) -> Iterator[Environment]:
    for requirement in environment.requirements:
        name = _name([requirement], [], environment.as_of)
        yield replace(environment, name=name, requirements=(requirement,), local=())
    for path in environment.local:
        yield replace(environment, name=_name([], [path], environment.as_of), requirements=(), local=(path,))


def _name(requirements: Iterable[str], paths: Iterable[Path], as_of: str | None) -> str:
    """A name for an environment that nobody named: readable, and another one for every other question."""
    asked = [*sorted(requirements), *sorted(str(path) for path in paths)]
    projects = [safe_name(Path(text).name if text.startswith("/") else Requirement(text).name) for text in asked]
    return f"{'-'.join(projects)[:40].strip('-._')}-{digest_of([asked, as_of])[:10]}"


def _meant(text: str, search: Search, base: Path) -> Environment:
    """The environment of one text; unlike `targets.resolve`, any project of an index may be named."""
    path = base / Path(text).expanduser()
    if (path / RECIPE).is_file() or path.name == RECIPE:
        return _named(_of_recipe(path.resolve(), search), search)
    if " @ " not in text and (text.startswith((".", "/", "~")) or "://" in text or text.endswith(ARCHIVES)):
        return targets.resolve(text, search, base=base)
    return _named(text, search)


def _named(text: str, search: Search) -> Environment:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise UsageFailure(
            f"{text!r} is no requirement",
            why=str(error).splitlines()[0],
            next="Name projects (numpy==1.26.4, ujson), paths (./project), or an environment with --env.",
        ) from error
    if requirement.url:
        return targets.resolve(text, search)
    recipe = targets.recipe_version(canonicalize_name(requirement.name), search)
    if recipe and not requirement.specifier:
        requirement.specifier = SpecifierSet(f"=={recipe}")
    elif not requirement.specifier and targets.find_environment(text, search):
        raise UsageFailure(
            f"{text} is an environment", next=f"Write --env {text} for all of it, or {text}==VERSION for the project."
        )
    return Environment(name=safe_name(requirement.name), requirements=(str(requirement),), source="requirement")


def _of_recipe(path: Path, search: Search) -> str:
    """The requirement that the path of a recipe (its directory or its build.py) stands for. Raises UsageFailure."""
    directory = path if path.is_dir() else path.parent
    if not any(packages.resolve() == directory.parent.parent for packages in search.packages):
        raise UsageFailure(
            f"{directory} is not where recipes are looked for",
            why=f"Those are {', '.join(map(str, search.packages))}.",
            next="Name the directory above its package/ with --project.",
        )
    name, version = directory.parent.name, directory.name
    return name if version == DEFAULT else f"{name}=={version}"


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a requirements file that say something, without comments, continued ones as one."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageFailure(f"{path} cannot be read: {error}") from error
    before = ""
    for number, line in enumerate(text.splitlines(), 1):
        bare = "" if line.lstrip().startswith("#") else line.partition(" #")[0].strip()
        if bare.endswith("\\"):
            before += bare[:-1]
            continue
        if whole_line := (before + bare).partition(" --hash")[0].strip():
            yield number, whole_line
        before = ""
