"""`ot2deploy wheel qualify`, and `ot2deploy verify --emulate`, which is the same for an environment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import completing, options, units
from ot2deploy.cli.outcomes import release
from ot2deploy.cli.result import Part, Shown, lines, table

if TYPE_CHECKING:
    from builder.qualify import Qualified, Row
    from ot2deploy.project import Project

TAIL = 12  # lines of a failed check's output that a person sees


@click.command("qualify")
@click.argument("target", metavar="BUNDLE|TARGET", shell_complete=completing.target)
@options.robot_profiles("a bundle file has its own")
@click.option(
    "--interpreter",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="A prefix or a root with bin/python3.X for 32-bit ARM; without it, Debian's for 3.11, else uv's.",
)
@click.option(
    "--known",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="A further file of known failures, beside those of the environment and of recipes.",
)
@click.option("--strict", is_flag=True, help="A known failure that did not fail is a failure, too.")
@click.option(
    "-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="How many checks at once; without it, one per core."
)
@click.option(
    "--timeout", type=click.FloatRange(min=1), metavar="S", help="Seconds for each check, in place of its own limit."
)
@click.option("--memory", type=click.IntRange(min=64), metavar="MB", help="Memory for each check; without it, 2048.")
@click.option("--twin/--no-twin", default=True, help="Build for the emulated Python what cannot be run itself.")
@click.option("--deep/--no-deep", default=True, help="Run the deep checks, too; they can take minutes.")
@options.project
@options.no_repair
@options.offline
@options.output
def command(
    target: str,
    project: Project,
    profiles: tuple[str, ...],
    interpreter: Path | None,
    known: Path | None,
    offline: bool,
    no_repair: bool,
    **given: Any,
) -> Shown:
    """Run a bundle's wheels on an emulated ARM interpreter.

    They are installed into a fresh environment; every extension module is imported and every check run, each in a
    process of its own with limits. Where there is no interpreter of the profile's Python the same versions are built
    with the same flags for one that there is, and that twin is run: the bundle itself is then audited, not emulated.
    """
    limits = {name: value for name, value in given.items() if value is not None}
    return emulated(
        project, target, profiles, limits, interpreter=interpreter, known=known, offline=offline, repair=not no_repair
    )


def emulated(project: Project, target: str, profiles: tuple[str, ...], limits: dict[str, Any], **request: Any) -> Shown:
    """Qualifies a target, with progress, and shows what was found."""
    from ot2deploy.qualify import QualifyRequest, qualify

    with options.reporting() as report:
        asked = QualifyRequest(
            project=project, target=target, profiles=profiles, options=limits, report=report, **request
        )
        proofs = qualify(asked)
    return Shown(result=proofs, parts=tuple(part for found in proofs.found for part in parts(found)))


def parts(found: Qualified) -> Iterator[Part]:
    """A proof as people read it: what was run, what did not go well, and what to do about it."""
    first, *more = found.why.splitlines() or [""]
    why = f" ({first})" if first else ""
    yield lines(f"{found.environment} {release(found.digest)} for {found.title}: {found.state}{why}", style="title")
    if more:
        yield lines(*(f"  {line}" for line in more))
    if bad := [row for row in found.rows if not row.ok]:
        rows = [(row.state, row.name, units.seconds(row.seconds), row.why, row.known) for row in bad]
        yield table(("state", "check", "took", "why", "known because"), rows, right=("took",))
    for row in found.failures:
        if row.output:
            yield lines("", f"{row.name} printed:", *(f"  {line}" for line in row.output.splitlines()[-TAIL:]))
    if found.snippet:
        yield lines("", *found.snippet.splitlines(), "")
    if found.unused:
        yield lines("known failures that did not fail:", *found.unused, style="bad" if found.strict else "warning")
    yield lines(_summary(found))
    if found.twin:
        yield lines("")
        yield from parts(found.twin)


def _summary(found: Qualified) -> str:
    audits = [row for row in found.rows if row.kind == "audit"]
    refused = sum(not row.ok for row in audits)
    said = f"{units.count(len(audits), 'wheel')} audited" + (f", {refused} refused" if refused else "")
    if not found.interpreter:
        return said if found.ran else f"{said}; nothing was run"
    left = f", {units.count(len(found.left_out), 'deep check')} not run" if found.left_out else ""
    return f"{said}; {_counted(found.rows)}{left} on {found.interpreter}; {units.seconds(found.seconds)}"


def _counted(rows: tuple[Row, ...]) -> str:
    states = Counter(row.state for row in rows if row.kind != "audit")
    words = ", ".join(f"{states[name]} {name}" for name in ("ok", "known", "failed") if states[name])
    return f"{units.count(states.total(), 'check')}: {words}"
