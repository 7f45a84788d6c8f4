"""`ot2deploy index upload`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import index_options, options
from ot2deploy.cli.outcomes import failures
from ot2deploy.cli.result import Part, Shown, lines

if TYPE_CHECKING:
    from builder.engine import Engine
    from builder.errors import Failure
    from builder.index.begun import Begun
    from builder.index.entry.intake import Taken
    from builder.index.layout import Branch
    from ot2deploy.project import Project

TOKEN_VARIABLE = "OT2DEPLOY_INDEX_TOKEN"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of each wheel; 1 when one is not in the index."""

    index: str
    taken: tuple[Taken, ...]
    failed: tuple[tuple[Path, Failure], ...]
    not_tried: tuple[Path, ...]
    begun: Begun | None = None  # a server's index is not looked at

    @property
    def exit_code(self) -> int:
        """0 when every wheel is in the index."""
        return int(bool(self.failed))

    def as_dict(self) -> dict[str, Any]:
        """All of it."""
        return {
            "index": self.index,
            "changed": any(one.new for one in self.taken),
            "begun": self.begun.as_dict() if self.begun else None,
            "taken": [one.as_dict() for one in self.taken],
            "failed": [{"filename": path.name, "error": failure.as_dict()} for path, failure in self.failed],
            "not_tried": [path.name for path in self.not_tried],
        }


@click.command("upload")
@click.argument(
    "wheels", nargs=-1, required=True, metavar="WHEEL...", type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@index_options.directory
@click.option("--to", "url", metavar="URL", help="The address of an index's server, in place of --index.")
@index_options.profiles("Without it, those of the index that it fits, else every robot's.")
@index_options.channel
@click.option("--own/--public", default=None, help="Whose projects they are; without it, as the store knows them.")
@click.option(
    "--token-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
    help=f"What holds the token for --to; without it, ${TOKEN_VARIABLE}, ~/.netrc or the keyring.",
)  # fmt: skip
@options.project
@options.output
@click.pass_context
def command(
    ctx: click.Context, project: Project, wheels: tuple[Path, ...], directory: Path, url: str | None,
    profiles: tuple[str, ...], channel: str, own: bool | None, token_file: Path | None,
) -> Shown:  # fmt: skip
    """Put wheels into an index: a directory's, or that of a server.

    A wheel enters all branches that are named, or without --profile those of the index that it fits. The same wheel
    again is no change; other bytes under a name that the index has are refused.
    """
    from builder.errors import UsageFailure
    from builder.index.begun import begun
    from builder.profile_host import load
    from ot2deploy.engine import open_for

    if url is not None and ctx.get_parameter_source("directory") is click.core.ParameterSource.COMMANDLINE:
        raise UsageFailure("--index and --to both say where the wheels go", next="Give one of them.")
    if url is None and token_file:
        raise UsageFailure("--token-file is for a server", next="Say which: --to URL. A directory needs no token.")
    for name in profiles:
        load(name)
    engine = open_for(project)
    before: tuple[Branch, ...] | None = None
    if url is None:
        where = str(index_options.root(project, directory))
        before = index_options.branches_in(Path(where))
        put = _into_directory(project, engine, directory, profiles, channel, own)
    else:
        where, put = url, _to_server(engine, url, profiles, channel, own, _token(token_file))
    result = _each(wheels, where, put)
    if url is None:
        now = index_options.branches_in(Path(where)) or ()
        result = replace(result, begun=begun(before, now))
    return Shown(result=result, parts=_parts(result))


def _into_directory(
    project: Project, engine: Engine, directory: Path, profiles: tuple[str, ...], channel: str, own: bool | None
) -> Callable[[Path], Taken]:
    from builder.index.entry.intake import Upload, open_to, take
    from builder.index.layout import Branch
    from builder.index.tree import Index
    from ot2deploy.runs.record import who

    index = Index.create(index_options.root(project, directory))
    journal, me = index_options.journal(project), who()
    branches = tuple(Branch(profile=name, channel=channel) for name in profiles or open_to(index))

    def put(path: Path) -> Taken:
        return take(Upload(path=path, branches=branches, every=bool(profiles), who=me, own=own), index, engine, journal)

    return put


def _to_server(
    engine: Engine, url: str, profiles: tuple[str, ...], channel: str, own: bool | None, token: str
) -> Callable[[Path], Taken]:
    from builder.files import sha256_file
    from builder.index.entry.admit import is_own
    from builder.index.uploads.client import Destination, send

    destination = Destination(url=url, profiles=profiles, channel=channel)

    def put(path: Path) -> Taken:
        is_ours = is_own(sha256_file(path), engine) if own is None else own
        return send(path, destination, engine.fetcher, own=is_ours, token=token)

    return put


def _each(wheels: tuple[Path, ...], where: str, put: Callable[[Path], Taken]) -> Result:
    """Every wheel by itself; where the index takes nothing at all, the rest is not tried."""
    from builder.errors import BuildFailure, DiskFailure, NetworkFailure
    from builder.events import Event
    from builder.index.uploads.client import TokenMissing

    taken: list[Taken] = []
    failed: list[tuple[Path, Failure]] = []
    left = list(dict.fromkeys(wheels))
    with options.reporting() as report:
        while left:
            path = left.pop(0)
            report(Event(subject=path.name, stage="upload"))
            try:
                taken.append(put(path))
            except BuildFailure as failure:
                failed.append((path, failure))
                if isinstance(failure, NetworkFailure | DiskFailure | TokenMissing):
                    break
    return Result(index=where, taken=tuple(taken), failed=tuple(failed), not_tried=tuple(left))


def _token(file: Path | None) -> str:
    """The token that was given by file or variable, or "". Raises UsageFailure where that is none."""
    from builder.errors import UsageFailure

    where = str(file) if file else f"${TOKEN_VARIABLE}"
    try:
        text = (file.read_text(encoding="utf-8") if file else os.environ.get(TOKEN_VARIABLE, "")).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageFailure(f"{where} cannot be read: {type(error).__name__}") from error
    if (file and not text) or not text.isascii() or len(text.split()) > 1:
        raise UsageFailure(f"{where} holds no token", next="A token is one word, as `ot2deploy token create` shows it.")
    return text


def _parts(result: Result) -> tuple[Part, ...]:
    shown: list[Part] = [lines(*map(str, result.taken))] if result.taken else []
    if result.begun and (told := result.begun.lines(result.index)):
        shown.append(lines(*told, style="warning"))
    shown += failures(failure for _, failure in result.failed)
    if result.not_tried:
        shown.append(lines("", f"not tried: {', '.join(path.name for path in result.not_tried)}", style="warning"))
    return tuple(shown)
