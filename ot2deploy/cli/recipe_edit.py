"""`ot2deploy recipe new` and `pin`: the commands that write recipes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import options
from ot2deploy.cli.outcomes import failures
from ot2deploy.cli.result import Answer, Shown, lines, table

if TYPE_CHECKING:
    from builder.errors import Failure
    from builder.recipe.pin import Pinned
    from ot2deploy.project import Project


@dataclass(frozen=True, kw_only=True)
class Pins:
    """What pinning did, recipe by recipe; 1 when a source could not be got or written."""

    pinned: tuple[Pinned, ...]
    failed: tuple[Failure, ...]

    @property
    def exit_code(self) -> int:
        """The gravest failure's."""
        return max((failure.exit_code for failure in self.failed), default=0)

    def as_dict(self) -> dict[str, Any]:
        """Every recipe with its sha256, and whether it was changed."""
        return {
            "changed": any(one.sha256 for one in self.pinned),
            "recipes": [
                {
                    "name": one.recipe.name,
                    "version": one.recipe.version,
                    "changed": bool(one.sha256),
                    "sha256": getattr(one.recipe.source, "sha256", None),
                    "why": one.why,
                }
                for one in self.pinned
            ],
            "errors": [failure.as_dict() for failure in self.failed],
        }


@click.command("new")
@click.argument("requirement", metavar="NAME[==VERSION]")
@options.project
@options.offline
@options.output
def new(requirement: str, project: Project, offline: bool) -> Shown:
    """Write a first recipe for a project, or for one version of it.

    The index's source distribution is looked at, and its back end and languages are written in; with --offline it is
    not. What is there already stays as it is.
    """
    from packaging.utils import canonicalize_name

    from builder.errors import UsageFailure
    from builder.files import write_bytes
    from builder.recipe import DEFAULT, load
    from builder.recipe import draft as recipe_draft
    from ot2deploy.engine import open_for

    name, version = _parsed(requirement)
    directory = _own(project) / canonicalize_name(name) / (version or DEFAULT)
    file = directory / "build.py"
    if file.exists():
        raise UsageFailure(f"{file} is there already", next=f"Look at it: ot2deploy recipe check {file}")
    seen = None if offline else recipe_draft.look(requirement, open_for(project))
    write_bytes(file, recipe_draft.draft(name, version, seen).encode())
    load(directory)
    return Shown(
        result=Answer(data={"file": str(file), "changed": True}),
        parts=(lines(f"wrote {file}", style="good"), lines(f"next: ot2deploy recipe check {file}", style="dim")),
    )


@click.command("pin")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@options.project
@options.offline
@options.output
def pin(names: tuple[str, ...], project: Project, offline: bool) -> Shown:
    """Fetch sources that have no sha256 and write it into their recipes.

    NAME is a project, or NAME==VERSION; without it, all recipes of the project's own.
    """
    from builder.errors import Failure
    from builder.recipe import load
    from builder.recipe.pin import pin as pin_one
    from ot2deploy.engine import open_for

    pinned: list[Pinned] = []
    failed: list[Failure] = []
    engine = open_for(project, offline=offline)
    for directory in _chosen(names, project):
        try:
            pinned.append(pin_one(load(directory), engine))
        except Failure as failure:
            failure.subject = failure.subject or f"{directory.parent.name}/{directory.name}"
            failed.append(failure)
    rows = [
        (one.recipe.name, one.recipe.version or "any", "pinned" if one.sha256 else "no change", one.sha256, one.why)
        for one in pinned
    ]
    return Shown(
        result=Pins(pinned=tuple(pinned), failed=tuple(failed)),
        parts=(table(("project", "version", "state", "sha256", "source"), rows), *failures(failed)),
    )


def _parsed(requirement: str) -> tuple[str, str | None]:
    """Name and version of NAME or NAME==VERSION. Raises UsageFailure."""
    from packaging.requirements import InvalidRequirement, Requirement

    from builder.errors import UsageFailure

    wrong = UsageFailure(f"`{requirement}` is no NAME or NAME==VERSION", next="As in: ujson, or ujson==5.10.0")
    try:
        parsed = Requirement(requirement)
    except InvalidRequirement as error:
        raise wrong from error
    exact = [part.version for part in parsed.specifier if part.operator == "==" and not part.version.endswith(".*")]
    if len(exact) != len(parsed.specifier) or len(exact) > 1 or parsed.url or parsed.marker or parsed.extras:
        raise wrong
    return parsed.name, exact[0] if exact else None


def _own(project: Project) -> Path:
    """Where the project's own recipes are, or will be."""
    return next((path for path in project.packages if path.parent == project.root), project.root / "package")


def _chosen(names: tuple[str, ...], project: Project) -> Iterator[Path]:
    """The directories of the named recipes, or of all of the project's own. Raises UsageFailure for unknown ones."""
    from builder.errors import UsageFailure

    own = [path for path in project.packages if path.parent == project.root]
    if not names:
        yield from (file.parent for path in own for file in sorted(path.glob("*/*/build.py")))
    for requirement in names:
        chosen = of(requirement, own)
        if not chosen:
            shipped = of(requirement, project.packages)
            copy = "".join(
                f"Copy the shipped {path} to package/{path.parent.name}/ and pin that." for path in shipped[:1]
            )
            raise UsageFailure(
                f"the project has no recipe for {requirement}", next=copy or "See: ot2deploy recipe list"
            )
        yield from chosen


def of(requirement: str, packages: Iterable[Path]) -> list[Path]:
    """The directories of the recipes for NAME or NAME==VERSION in those of `packages`. Raises UsageFailure."""
    from builder.recipe import versions

    name, version = _parsed(requirement)
    found = [path for directory in packages for _, path in versions(name, directory)]
    return [path for path in found if version in (None, path.name)]
