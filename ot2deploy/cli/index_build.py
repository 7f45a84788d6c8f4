"""`ot2deploy index build`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import index_options, options, units
from ot2deploy.cli.outcomes import failures
from ot2deploy.cli.result import Part, Shown, lines, table

if TYPE_CHECKING:
    from builder.engine import Engine
    from builder.events import Report
    from builder.index.begun import Begun
    from builder.index.entry.collect import Collected, How
    from builder.index.entry.offers import Offer
    from builder.index.layout import Branch
    from builder.index.tree import Index
    from ot2deploy.project import Project

DIST = Path("dist")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What entered an index; 1 when a wheel was refused."""

    index: Index
    collected: Collected
    begun: Begun

    @property
    def exit_code(self) -> int:
        """0 when every wheel that was offered is in a branch."""
        return int(bool(self.collected.refused))

    @property
    def branches(self) -> dict[Branch, Counter[str]]:
        """The branches that got wheels: how many projects and wheels each has now, and how many are new."""
        counts: dict[Branch, Counter[str]] = {}
        for entry in self.collected.entries:
            counts.setdefault(entry.branch, Counter())["new"] += entry.new
        for branch, count in counts.items():
            pages = list(self.index.pages(branch))
            count.update(projects=len(pages), wheels=sum(len(page.files) for page in pages))
        return counts

    def as_dict(self) -> dict[str, Any]:
        """Every branch, every new, removed and refused wheel."""
        collected = self.collected
        return {
            "index": str(self.index.root),
            "changed": collected.changed,
            "begun": self.begun.as_dict(),
            "branches": [
                {"branch": str(branch), "simple": f"{branch.simple}/", **{key: count[key] for key in sorted(count)}}
                for branch, count in sorted(self.branches.items())
            ],
            "wheels": [{**entry.as_dict(), "new": entry.new, "mended": entry.mended} for entry in collected.entries],
            "removed": [entry.as_dict() for entry in collected.removed],
            "refused": [refusal.as_dict() for refusal in collected.refused],
        }


@click.command("build")
@click.argument("dist", nargs=-1, type=click.Path(path_type=Path), metavar="[DIST]...")
@index_options.directory
@index_options.root_url
@index_options.profiles("Without it, the one whose name a directory has, else as for upload.")
@index_options.channel
@click.option("--own/--public", default=None, help="Whose projects they are; without it, as the store knows them.")
@click.option("--replace", is_flag=True, help="The branches are to hold these wheels alone: others leave their pages.")
@options.project
@options.output
def command(
    dist: tuple[Path, ...],
    directory: Path,
    root_url: str | None,
    profiles: tuple[str, ...],
    channel: str,
    own: bool | None,
    replace: bool,
    project: Project,
) -> Shown:
    """Put wheels into the branches of an index, which is made where there is none.

    DIST are directories (without any: the project's dist/), .ot2bundle files and wheels. Each wheel is read and judged
    for its profile; ends with 1 when one is refused, and the others are in the index then.
    """
    from builder import profile_host
    from builder.index.entry.collect import How
    from builder.index.entry.offers import offers
    from ot2deploy.engine import open_for

    wanted = [profile_host.load(name) for name in dict.fromkeys(profiles)]
    engine = open_for(project, offline=True)
    offered = offers(dist or (project.root / DIST,), wanted, engine.store)
    how = How(channel=channel, own=own, replace=replace)
    with options.reporting() as report:
        result = fill(project, directory, root_url, offered, engine, how, report)
    return Shown(result=result, parts=parts(result))


def fill(
    project: Project,
    directory: Path,
    root_url: str | None,
    offered: tuple[Offer, ...],
    engine: Engine,
    how: How,
    report: Report,
) -> Result:
    """Puts wheels into the index in `directory`, with a line in its journal for each that is new there or left it."""
    from builder.index.begun import begun
    from builder.index.entry.collect import collect
    from builder.index.tree import Index
    from ot2deploy.runs.record import who

    root = index_options.root(project, directory)
    before = index_options.branches_in(root)
    index = Index.create(root, root_url)
    if how.replace:
        index_options.remember_names(project, index)
    journal = index_options.journal(project)
    collected = collect(
        index, offered, engine, how, report, record=lambda collected: journal.add(*collected.acts(who()))
    )
    now = (entry.branch for entry in collected.entries)
    return Result(index=index, collected=collected, begun=begun(before, now))


def parts(result: Result) -> tuple[Part, ...]:
    """What a person sees of it: the branches, what was refused, and what to do next."""
    collected, branches = result.collected, result.branches
    rows = [
        (str(branch), str(count["projects"]), str(count["wheels"]), str(count["new"] or ""))
        for branch, count in sorted(branches.items())
    ]
    shown: list[Part] = [lines(_head(result), style="title")]
    if told := result.begun.lines(result.index.root):
        shown.append(lines(*told, style="warning"))
    if rows:
        shown.append(table(("branch", "projects", "wheels", "new"), rows, right=("projects", "wheels", "new")))
    if collected.removed:
        shown.append(lines("", *(f"{one.file.filename} has left {one.branch}" for one in collected.removed)))
    shown += failures(refusal.failure for refusal in collected.refused)
    if branches:
        shown.append(lines("", *_next(result, index_options.example(f"{branch.simple}/" for branch in branches))))
    return tuple(shown)


def _head(result: Result) -> str:
    collected = result.collected
    count = units.count(len({entry.file.filename for entry in collected.entries}), "wheel")
    refused = f", {len(collected.refused)} refused" if collected.refused else ""
    new = sum(entry.new for entry in collected.entries)
    mended = sum(entry.mended for entry in collected.entries)
    did = f"{new} new" + (f", {mended} mended" if mended else "")
    return f"{count} in {result.index.root}{refused}: {did if collected.changed else 'no change'}"


def _next(result: Result, simple: str) -> tuple[str, ...]:
    index = result.index
    option = "" if index.root.name == "index" else f" --index {index.root}"
    return (
        f"Serve it:    ot2deploy index serve{option}",
        f"Carry it:    ot2deploy index export DIR{option}",
        f"On a robot:  {index_options.pip_install(index.root_url or 'http://HOST:8080/', simple)}",
    )
