"""`ot2deploy recipe`: how projects are built."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import options, recipe_edit
from ot2deploy.cli.group import Group
from ot2deploy.cli.outcomes import failures
from ot2deploy.cli.result import Part, Shown, lines, table

if TYPE_CHECKING:
    from builder.errors import Failure
    from builder.recipe import Recipe
    from ot2deploy.project import Project


@dataclass(frozen=True, kw_only=True)
class Listed:
    """Recipes that were read, and what is wrong with the others."""

    good: tuple[Recipe, ...]
    bad: tuple[Failure, ...]

    @property
    def exit_code(self) -> int:
        """2 when a recipe is wrong, as for every wrong file."""
        return 2 if self.bad else 0

    def as_dict(self) -> dict[str, Any]:
        """Names and reasons of the good ones, errors of the others."""
        return {"recipes": [_told(one) for one in self.good], "errors": [failure.as_dict() for failure in self.bad]}


class Checked(Listed):
    """The same, whole."""

    def as_dict(self) -> dict[str, Any]:
        """All that the good ones say, with advice; errors of the others."""
        return {"good": [_whole(recipe) for recipe in self.good], "errors": [failure.as_dict() for failure in self.bad]}


@click.group("recipe", cls=Group)
def command() -> None:
    """How projects are built: list, check, new, pin."""


command.add_command(recipe_edit.new)
command.add_command(recipe_edit.pin)


@command.command("list")
@options.project
@options.output
def list_recipes(project: Project) -> Shown:
    """List the recipes: the project's own first, then the shipped ones."""
    good, bad = _read(_directories(project))
    rows = [(one.name, one.version or "any", _why(one)) for one in good]
    return Shown(
        result=Listed(good=good, bad=bad), parts=(table(("project", "version", "reason"), rows), *failures(bad))
    )


@command.command("check")
@click.argument("names", nargs=-1, metavar="[FILE|NAME...]")
@options.project
@options.output
def check(names: tuple[str, ...], project: Project) -> Shown:
    """Read recipes and say what is wrong with them; nothing is built or fetched.

    FILE is a build.py below NAME/VERSION, NAME (or NAME==VERSION) a project with a recipe: all that it says is shown,
    with advice. Without them, every recipe is read.
    """
    good, bad = _read(_named(names, project) if names else _directories(project))
    parts = [part for one in good for part in _shown(one)] if names else [_table(good)]
    return Shown(result=Checked(good=good, bad=bad), parts=(*parts, *failures(bad)))


def _read(directories: Iterable[Path]) -> tuple[tuple[Recipe, ...], tuple[Failure, ...]]:
    """The recipes that are good, and what is wrong with the others."""
    from builder import recipe
    from builder.errors import Failure

    good: list[Recipe] = []
    bad: list[Failure] = []
    for directory in directories:
        try:
            good.append(recipe.load(directory))
        except Failure as failure:
            bad.append(failure)
    return tuple(good), tuple(bad)


def _directories(project: Project) -> Iterator[Path]:
    for packages in project.packages:
        for file in sorted(packages.glob("*/*/build.py")):
            yield file.parent


def _named(names: Iterable[str], project: Project) -> list[Path]:
    """The directories of recipes that are files or names. Raises one UsageFailure for all that are neither."""
    from builder.errors import UsageFailure

    found: list[Path] = []
    unknown: list[str] = []
    for name in names:
        path = Path(name).absolute()
        if path.is_file() or (path / "build.py").is_file():
            found.append(path if path.is_dir() else path.parent)
        elif os.sep in name or name.endswith(".py"):
            unknown.append(f"there is no recipe at {name}")
        elif recipes := recipe_edit.of(name, project.packages):
            found += recipes
        else:
            unknown.append(f"there is no recipe for {name}")
    if unknown:
        raise UsageFailure("; ".join(unknown), next="See: ot2deploy recipe list")
    return found


def _table(recipes: Iterable[Recipe]) -> Part:
    from builder.recipe.advice import advice

    rows = [(one.name, one.version or "any", "ok", str(len(advice(one)) or "")) for one in recipes]
    return table(("project", "version", "state", "advice"), rows, right=("advice",))


def _shown(recipe: Recipe) -> Iterator[Part]:
    """All that a recipe says, and the advice on it."""
    from builder.recipe.advice import advice

    yield lines(f"{recipe.name} {recipe.version or '(any version)'}", style="title")
    yield table(("", ""), [(key, text) for key, value in _said(recipe).items() if (text := _text(value))])
    if found := advice(recipe):
        yield lines(*(f"advice: {text}" for text in found), style="warning")


def _said(recipe: Recipe) -> dict[str, Any]:
    """What a recipe says, by keyword; what it does not say is empty."""
    source = recipe.source
    return {
        "source": str(source or "the index's source distribution"),
        **{key: getattr(source, key, None) for key in ("org", "repo", "tag", "path", "sha256")},
        "locations": list(getattr(source, "urls", ())),
        "setup_py_commands": list(recipe.setup_py_commands),
        "build_dependencies": list(recipe.build_dependencies),
        "constraints": list(recipe.constraints),
        "requires": list(recipe.requires),
        "as_of": recipe.as_of,
        "libraries": list(recipe.libraries),
        "headers_of": list(recipe.headers_of),
        "native": None if recipe.native is None else list(recipe.native),
        "build_paths": list(recipe.build_paths),
        "cflags": list(recipe.cflags),
        "ldflags": list(recipe.ldflags),
        "env": dict(recipe.env),
        "config_settings": dict(recipe.config_settings),
        **{f"{name} {key}": _plain(value) for name, own in recipe.profiles.items() for key, value in own.items()},
        "patches": list(recipe.patches),
        "checks": _plain(recipe.checks),
        "revision": recipe.revision,
        "refused": recipe.refusal and recipe.refusal.reason,
        "instead": recipe.refusal and recipe.refusal.instead,
        "reason": recipe.reason,
    }


def _plain(value: Any) -> Any:
    """A list or table of a recipe as JSON has it; of checks their names."""
    return dict(value) if isinstance(value, dict) else [getattr(one, "name", one) for one in value]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={text}" for name, text in value.items())
    return " ".join(value) if isinstance(value, list) else str(value or "")


def _whole(recipe: Recipe) -> dict[str, Any]:
    from builder.recipe.advice import advice

    return {**_told(recipe), **_said(recipe), "advice": list(advice(recipe))}


def _told(recipe: Recipe) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "version": recipe.version,
        "reason": _why(recipe),
        "directory": str(recipe.directory),
        "digest": recipe.digest,
    }


def _why(recipe: Recipe) -> str:
    return f"refused: {recipe.refusal.reason}" if recipe.refusal else recipe.reason
