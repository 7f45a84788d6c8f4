"""`ot2deploy index publish`."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.errors import UsageFailure
from ot2deploy.cli import index_options, options, units
from ot2deploy.cli.index_published import Result, parts
from ot2deploy.cli.result import Shown

if TYPE_CHECKING:
    from builder.events import Report
    from builder.index.publish.ci import Build
    from builder.index.publish.command import Values
    from builder.index.publish.flow import Published
    from builder.index.publish.publication import Publication
    from builder.index.publish.reader import Verify
    from builder.index.tree import Index
    from ot2deploy.project import Project

COMMIT = ("GITHUB_SHA", "CI_COMMIT_SHA")  # what hosts of continuous integration say is checked out


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the command line asks for."""

    target: str | None
    command: str | None
    tag: str | None
    flat: bool
    delete: bool
    replace: bool
    beside: bool
    dry_run: bool
    url: str | None
    read_back: str | None
    verify: Verify
    unverified: bool


@click.command("publish")
@click.argument("target", required=False)
@click.option(
    "--command", metavar="CMD",
    help="Publish by this program in place of TARGET; {tree} is a directory with the index, {files} an argument for "
    "each of its files side by side, {tag} build-YYYYMMDD-HHMMSS-<sha7>, {name} opentrons-packages-<sha>.",
)  # fmt: skip
@index_options.directory
@index_options.profiles("Without it, all that the index has.")
@index_options.channels("without it, all")
@click.option("--flat", is_flag=True, help="With --command: all files side by side, as {files} always has them.")
@click.option("--tag", metavar="NAME", help="What {tag} is, in place of day, time and git commit.")
@click.option(
    "--delete/--no-delete", default=False, show_default=True,
    help="Remove what TARGET has of an index and this one no longer has. Other files stay.",
)  # fmt: skip
@click.option("--replace", is_flag=True, help="Replace wheels that have other bytes at TARGET under the same name.")
@click.option("--beside", is_flag=True, help="Publish into a directory that has other files, and no index yet.")
@click.option("--url", metavar="URL", help="Where it can be read afterwards: it is read back over HTTP, as pip does.")
@click.option(
    "--read-back", metavar="CMD", help="The program that gets what --command published, into the directory {back}."
)
@click.option(
    "--verify", type=click.Choice(["sha256", "size"]), default="sha256", show_default=True,
    help="What is compared at --url: all bytes, or how many there are.",
)  # fmt: skip
@click.option("--no-verify", "unverified", is_flag=True, help="After --command alone: do not end with 1.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent and removed, and change nothing.")
@options.project
@options.output
def command(
    directory: Path, profiles: tuple[str, ...], channels: tuple[str, ...], project: Project, **asked: Any
) -> Shown:
    """Copy an index to where others read it, and prove that every file is there.

    TARGET is a directory, [USER@]HOST:PATH or ssh://HOST/PATH (by rsync where both have it, else by ssh alone), or
    rsync://HOST/MODULE. What is there already is not sent again, and an interrupted call is gone on with by the same.
    """
    from builder.files import locked
    from builder.index.export.chosen import of_index
    from builder.index.publish.publication import prepare
    from builder.index.tree import Index

    wish = _checked(Wish(**asked))
    index = Index.open(index_options.root(project, directory))
    chosen = of_index(index, index_options.branch_profiles(profiles), channels)
    with (
        locked(project.state_dir / "publish.lock"),
        tempfile.TemporaryDirectory(prefix="ot2deploy-publish-") as work,
        options.reporting() as report,
    ):
        root, root_url = Path(work) / "index", "" if wish.flat else index.root_url
        publication = prepare(chosen, root, flat=wish.flat, whole=not channels, root_url=root_url, report=report)
        result = _publish(wish, publication, index, project, report)
    _record(result, project)
    return Shown(result=result, parts=parts(result))


def _checked(wish: Wish) -> Wish:
    """The wish, flat where its command wants that. Raises UsageFailure for what contradicts itself."""
    from builder.fetch import login_of
    from builder.index.publish.command import FILES

    if (wish.target is None) == (wish.command is None):
        raise UsageFailure(
            "name one place to publish to", next="Write a TARGET, or --command 'PROGRAM ... {tree}', not both."
        )
    if wish.flat and wish.command is None:
        raise UsageFailure("--flat goes with --command", next="For a directory: ot2deploy index export --flat DIR")
    if wish.command and (wish.delete or wish.replace):
        raise UsageFailure("--delete and --replace go with a TARGET", next="Tell the program of --command to do it.")
    if (wish.read_back or wish.tag) and wish.command is None:
        raise UsageFailure("--read-back and --tag go with --command", next="A TARGET is looked at without them.")
    if wish.url and login_of(wish.url):
        raise UsageFailure("a password stands in --url", next="Put it into ~/.netrc: it is read from there.")
    return replace(wish, flat=wish.flat or FILES in (wish.command or ""))


def _publish(wish: Wish, publication: Publication, index: Index, project: Project, report: Report) -> Result:
    from builder.index.publish import where
    from builder.index.publish.flow import How, publish

    if wish.command is not None:
        result = _by_command(wish, wish.command, publication, index, project)
    else:
        place = where.place(str(wish.target), index.root, beside=wish.beside)
        how = How(delete=wish.delete, replace=wish.replace, dry_run=wish.dry_run)
        result = Result(published=publish(publication, place, how, report), index=index.root)
    if wish.dry_run:
        return result
    if wish.url:
        url = wish.url.replace("{tag}", result.tag)
        result = replace(result, published=_over_http(wish, url, result.published, report))
    return replace(result, unproved=not result.published.proof and not wish.unverified)


def _by_command(wish: Wish, line: str, publication: Publication, index: Index, project: Project) -> Result:
    from builder.index.publish.command import Command, publish_by

    build = _Once(project)
    tag = partial(_tag, wish, build)
    values: Values = {"tag": tag, "name": lambda: build.get().name}
    command = Command(line=line, read_back=wish.read_back or "", values=values, cwd=project.root)
    named = tag() if "{tag}" in f"{line} {wish.read_back} {wish.url}" else ""
    published = publish_by(command, publication, dry_run=wish.dry_run)
    return Result(published=published, index=index.root, tag=named)


def _tag(wish: Wish, build: _Once) -> str:
    return wish.tag or build.get().tag


def _over_http(wish: Wish, url: str, published: Published, report: Report) -> Published:
    from builder.fetch import Fetcher
    from builder.index.publish.reader import Reader

    reader = Reader(url, Fetcher(), wish.verify)
    publication = published.publication
    wrong = (
        reader.flat(publication.files, report)
        if wish.flat
        else reader.tree(publication, report, every=not published.proof)
    )
    proof = ", then ".join(filter(None, [published.proof, reader.proof]))
    return replace(published, proof=proof, wrong=(*published.wrong, *wrong))


class _Once:
    """The names of this build, found out when first asked for and the same ever after."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._build: Build | None = None

    def get(self) -> Build:
        """The build. Raises UsageFailure outside of a git repository."""
        if self._build is None:
            from builder.index.publish.ci import Build

            self._build = Build(sha=_commit(self._project.root), at=datetime.now(UTC))
        return self._build


def _commit(directory: Path) -> str:
    from builder.errors import ToolFailure
    from builder.source import git

    if said := next(filter(None, map(os.environ.get, COMMIT)), None):
        return said
    try:
        return git.head(directory)
    except ToolFailure as failure:
        raise UsageFailure(
            "{tag} and {name} need a git commit, and there is none",
            details=failure.details,
            next="Commit what was built, or say what {tag} is: --tag NAME",
        ) from failure


def _record(result: Result, project: Project) -> None:
    """A line in the journal, where anything was done."""
    from builder.index.journal import Act
    from ot2deploy.runs.record import who

    published = result.published
    if published.dry_run or not published.changed:
        return
    wheels = {file.path: file.sha256 for file in published.publication.files if file.path.endswith(".whl")}
    sent = {path.rpartition("/")[2]: wheels[path] for path in published.sent if path in wheels}
    wrong = f", {units.count(len(published.wrong), 'file')} wrong there" if published.wrong else ""
    branches = tuple(map(str, published.publication.branches))
    detail = f"to {' '.join(filter(None, [published.name, result.tag]))}{wrong}"
    index_options.journal(project).add(Act(op="publish", who=who(), branches=branches, files=sent, detail=detail))
