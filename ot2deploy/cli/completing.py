"""What a shell completes names with: robots, groups, environments, runs; out of files of this computer alone."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from builder.errors import Failure

if TYPE_CHECKING:
    from ot2deploy.inventory import Inventory
    from ot2deploy.project import Project

FILES = CompletionItem("", type="file")  # where nothing of ours fits, the shell's own
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _completing(names: Callable[[click.Context, str], Iterable[str]]) -> Complete:
    """A function as click wants it; a file that is wrong completes nothing, and the command says why."""

    @functools.wraps(names)
    def complete(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            found = dict.fromkeys(names(context, incomplete))
        except (Failure, OSError):
            return []
        return [CompletionItem(name) for name in found if name.startswith(incomplete)]

    return complete


@_completing
def robot(context: click.Context, _incomplete: str) -> Iterable[str]:
    """The robots of the inventory."""
    return _inventory(context).robots


@_completing
def limit(context: click.Context, incomplete: str) -> Iterable[str]:
    """Robots and groups, behind what is said already: lab-a,!ot -> lab-a,!otto."""
    before, comma, last = incomplete.rpartition(",")
    known = _inventory(context)
    start = before + comma + last[: last.startswith("!")]
    return (start + name for name in chain(known.groups, known.robots))


@_completing
def environment(context: click.Context, _incomplete: str) -> Iterable[str]:
    """The project's environments, those that it pushed, and the shipped ones."""
    from ot2deploy.runs.last_known import last_known

    project = _project(context)
    return [*_environments(project), *(one.environment for one in last_known(project.state_dir).robots)]


def target(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What can be pushed by its name; else files."""
    return [FILES, *_named(context, parameter, incomplete)]


@_completing
def _named(context: click.Context, _incomplete: str) -> Iterable[str]:
    return _environments(_project(context))


@_completing
def push_run(context: click.Context, _incomplete: str) -> Iterable[str]:
    """The pushes of the project, the latest first, and "last"."""
    return ["last", *(path.stem for path in _records(context) if _command(path) == "push")]


@_completing
def run(context: click.Context, _incomplete: str) -> Iterable[str]:
    """All recorded runs of the project, the latest first."""
    return [path.stem for path in _records(context)]


def _project(context: click.Context) -> Project:
    from ot2deploy.project import Project

    return Project.find(context.params.get("project"))


def _inventory(context: click.Context) -> Inventory:
    from ot2deploy import inventory

    return inventory.load(context.params.get("robots_file") or _project(context).inventory)


def _environments(project: Project) -> list[str]:
    from builder.targets import Search, environment_names

    return environment_names(Search(environments=project.environments))


def _records(context: click.Context) -> list[Path]:
    return sorted((_project(context).state_dir / "runs").glob("*.jsonl"), reverse=True)


def _command(record: Path) -> str:
    """The command of a record, by its first line."""
    with record.open("rb") as file:
        try:
            return str(json.loads(file.readline())["command"])
        except (ValueError, LookupError, TypeError):
            return ""
