"""`ot2deploy recipe`: how projects are built."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import options
from ot2deploy.cli.outcomes import failures
from ot2deploy.cli.result import Answer, Shown, table

if TYPE_CHECKING:
    from builder.errors import Failure
    from builder.recipe import Recipe
    from ot2deploy.project import Project


@dataclass(frozen=True, kw_only=True)
class Checked:
    """Recipes that were read, and what is wrong with the others."""

    good: tuple[Recipe, ...]
    bad: tuple[Failure, ...]

    @property
    def exit_code(self) -> int:
        """2 when a recipe is wrong, as for every wrong file."""
        return 2 if self.bad else 0

    def as_dict(self) -> dict[str, Any]:
        """Names of the good ones, errors of the others."""
        return {"good": [_told(recipe) for recipe in self.good], "errors": [failure.as_dict() for failure in self.bad]}


@click.group("recipe")
def command() -> None:
    """How projects are built: list, check."""


@command.command("list")
@options.project
@options.output
def list_recipes(project: Project) -> Shown:
    """List the recipes: the project's own first, then the shipped ones."""
    from builder import recipe

    found = [recipe.load(directory) for directory in _directories(project)]
    rows = [(one.name, one.version or "any", one.reason) for one in found]
    return Shown(
        result=Answer(data={"recipes": [_told(one) for one in found]}),
        parts=(table(("project", "version", "reason"), rows),),
    )


@command.command("check")
@options.project
@options.output
def check(project: Project) -> Shown:
    """Read every recipe and say what is wrong with it; nothing is built."""
    from builder import recipe
    from builder.errors import Failure

    good: list[Recipe] = []
    bad: list[Failure] = []
    for directory in _directories(project):
        try:
            good.append(recipe.load(directory))
        except Failure as failure:
            bad.append(failure)
    rows = [(one.name, one.version or "any", "ok") for one in good]
    return Shown(
        result=Checked(good=tuple(good), bad=tuple(bad)),
        parts=(table(("project", "version", "state"), rows), *failures(bad)),
    )


def _directories(project: Project) -> Iterator[Path]:
    for packages in project.packages:
        for file in sorted(packages.glob("*/*/build.py")):
            yield file.parent


def _told(recipe: Recipe) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "version": recipe.version,
        "reason": recipe.reason,
        "directory": str(recipe.directory),
        "digest": recipe.digest,
    }
