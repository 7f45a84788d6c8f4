"""`ot2deploy env`: the environments that can be pushed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from builder.errors import Failure
from builder.fetch import public
from ot2deploy.cli import options, units
from ot2deploy.cli.group import Group
from ot2deploy.cli.outcomes import failures
from ot2deploy.cli.result import Answer, Part, Shown, lines, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.environment import Environment
    from ot2deploy.local_environment import LocalEnvironment
    from ot2deploy.project import Project


@click.group("env", cls=Group)
def command() -> None:
    """The environments that can be pushed: list, show; and as copies on this computer: local."""


@command.command("list")
@options.project
@options.output
def list_environments(project: Project) -> Shown:
    """List the environments by name: the project's own first, then the shipped ones."""
    from builder import targets
    from builder.environment_file import load
    from ot2deploy.engine import open_for

    search = open_for(project).search
    found, problems = [], []
    for name in targets.environment_names(search):
        file = targets.find_environment(name, search)
        try:
            if file:
                found.append(load(file))
        except Failure as failure:  # the others can be pushed all the same
            problems.append(failure)
    rows = [(one.name, ", ".join(one.wanted), one.as_of or "", str(one.path)) for one in found]
    told = [{"name": one.name, "wanted": list(one.wanted), "as_of": one.as_of, "path": str(one.path)} for one in found]
    data = {"environments": told, "problems": [failure.as_dict() for failure in problems]}
    return Shown(
        result=Answer(data=data, exit_code=2 if problems else 0),
        parts=(table(("environment", "wants", "as of", "file"), rows), *failures(problems)),
    )


@command.command("show")
@options.target_argument
@options.project
@options.output
def show(target: str, project: Project) -> Shown:
    """Show what a target means: its requirements, constraints, checks and settings."""
    from builder.targets import resolve
    from ot2deploy.engine import open_for

    found = resolve(target, open_for(project).search)
    return Shown(result=Answer(data=_told(found)), parts=(table(("part", "value"), _rows(found), title=found.name),))


def _requirements(_ctx: click.Context, _: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Requirements as they are. Raises BadParameter for what is none."""
    from packaging.requirements import InvalidRequirement, Requirement

    for value in values:
        try:
            Requirement(value)
        except InvalidRequirement:
            raise click.BadParameter(f"{value} is no requirement such as opentrons==7.3.1") from None
    return values


@command.command("local")
@options.target_argument
@click.option(
    "--profile", default="ot2-py310", metavar="NAME", show_default=True,
    help="What the robots are: ot2-py310, ot2-py312 or debian-12-armhf; decides the version of Python.",
)  # fmt: skip
@click.option(
    "--with", "extra", multiple=True, metavar="REQUIREMENT", callback=_requirements,
    help="Also install this, here alone. The Opentrons App needs opentrons, in your robots' version. May be repeated.",
)  # fmt: skip
@options.project
@options.offline
@options.output
def local(target: str, profile: str, extra: tuple[str, ...], project: Project, offline: bool) -> Shown:
    """Make the same environment on this computer, for the Opentrons App's analysis of protocols.

    The versions are those of the robots, the wheels those for this computer. It prints the path of its Python, which
    stays the same when a newer one is made:

    ot2deploy env local vision --with opentrons==7.3.1
    """
    from ot2deploy.local_environment import LocalRequest, make_local

    with options.reporting() as report:
        found = make_local(
            LocalRequest(project=project, target=target, profile=profile, extra=extra, offline=offline, report=report)
        )
    return Shown(result=found, parts=tuple(_local(found)))


def _local(found: LocalEnvironment) -> Iterator[Part]:
    did = "made" if found.made else "no change"
    yield lines(str(found.python))
    count = units.count(found.packages, "package")
    yield lines("", f"{found.environment}: {did}; {count} of the robots' versions, Python {found.version}")
    if found.for_app:
        yield lines("In the Opentrons App: settings, Advanced, Override Path to Python: the path above.")
    else:
        yield lines(
            "The Opentrons App needs opentrons in it, too: run this again with --with opentrons==VERSION, your robots' "
            "software version.",
            style="warning",
        )


def _told(one: Environment) -> dict[str, object]:
    return {
        "name": one.name,
        "source": one.source,
        "path": str(one.path) if one.path else None,
        "requirements": list(one.requirements),
        "constraints": list(one.constraints),
        "local": [str(path) for path in one.local],
        "as_of": one.as_of,
        "indexes": [{"name": index.name, "url": public(index.url), "said": index.said} for index in one.indexes],
        "python": one.python,
        "variables": dict(one.variables),
        "system_packages": one.system_packages,
        "install_method": one.install_method,
        "checks": {
            "quick": [check.as_dict() for check in one.quick or ()],
            "deep": [check.as_dict() for check in one.deep or ()],
            "live": [check.as_dict() for check in one.live or ()],
        },
    }


def _rows(one: Environment) -> list[tuple[str, str]]:
    several: list[tuple[str, list[str]]] = [
        ("requirement", [*one.requirements, *map(str, one.local)]),
        ("constraint", list(one.constraints)),
        ("index", [f"{index.name}: {public(index.url)} ({index.said})" for index in one.indexes]),
        ("quick check", [check.name for check in one.quick or ()]),
        ("deep check", [check.name for check in one.deep or ()]),
        ("live check", [check.name for check in one.live or ()]),
        ("variable", [f"{name}={value}" for name, value in one.variables.items()]),
    ]
    single = [
        ("is", one.source),
        ("file", str(one.path or "")),
        ("as of", one.as_of or ""),
        ("python from", one.python),
    ]
    return [
        *((name, value) for name, value in single if value),
        *((name, v) for name, values in several for v in values),
    ]
