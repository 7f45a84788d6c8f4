"""`ot2deploy index list`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.errors import UsageFailure
from ot2deploy.cli import index_options, options, units
from ot2deploy.cli.result import Answer, Part, Shown, lines, table

if TYPE_CHECKING:
    from builder.index.layout import Branch
    from builder.index.page import File
    from builder.index.tree import Index
    from ot2deploy.project import Project

SHOWN = 12  # digits of a sha256 that people compare


@click.command("list")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@index_options.directory
@index_options.profiles("Without it, all of the index.")
@index_options.any_channel
@options.project
@options.output
def command(
    names: tuple[str, ...], directory: Path, profiles: tuple[str, ...], channel: str | None, project: Project
) -> Shown:
    """List the branches of an index, or the files of some projects, channel by channel."""
    from builder.index import choose
    from builder.index.tree import Index

    index = Index.open(index_options.root(project, directory))
    branches = choose.branches(index.branches(), index_options.branch_profiles(profiles), [channel] if channel else [])
    return _files(index, branches, names) if names else _branches(index, branches)


def _branches(index: Index, branches: Sequence[Branch]) -> Shown:
    told = [_branch(index, branch) for branch in branches]
    columns = ("branch", "projects", "own", "wheels", "yanked", "size")
    rows = [
        (*(str(row[key]) for key in columns[:4]), str(row["yanked"] or ""), units.size(row["size"])) for row in told
    ]
    return Shown(
        result=Answer(data={"index": str(index.root), "root_url": index.root_url, "branches": told}),
        parts=(
            lines(f"{units.count(len(told), 'branch', 'branches')} in {index.root}", style="title"),
            table(columns, rows, right=columns[1:]),
            *_lacking(name for row in told for name in row["lacking"]),
        ),
    )


def _branch(index: Index, branch: Branch) -> dict[str, Any]:
    pages = list(index.pages(branch))
    files = [file for page in pages for file in page.files]
    return {
        "branch": str(branch),
        "profile": branch.profile,
        "channel": branch.channel,
        "simple": f"{branch.simple}/",
        "projects": len(pages),
        "own": sum(page.own for page in pages),
        "wheels": len(files),
        "yanked": sum(file.yanked is not None for file in files),
        "size": sum(file.size for file in files),
        "lacking": [file.filename for file in files if not _is_there(index, branch, file)],
    }


def _files(index: Index, branches: Sequence[Branch], names: Iterable[str]) -> Shown:
    from packaging.utils import canonicalize_name

    wanted = list(dict.fromkeys(map(canonicalize_name, names)))
    told = [row for name in wanted for branch in branches for row in _of(index, branch, name)]
    if lacking := [name for name in wanted if name not in {row["name"] for row in told}]:
        raise UsageFailure(
            f"the index has no {', '.join(lacking)}",
            why=f"Looked at: {', '.join(map(str, branches)) or 'no branch'}.",
            next="See what it has: ot2deploy index list",
        )
    rows = [
        (row["filename"], row["branch"], _whose(row), _yanked(row), units.size(row["size"]), row["sha256"][:SHOWN])
        for row in told
    ]
    columns = ("file", "branch", "project", "yanked", "size", "sha256")
    return Shown(
        result=Answer(data={"index": str(index.root), "files": told}),
        parts=(table(columns, rows, right=("size",)), *_lacking(row["filename"] for row in told if row["lacking"])),
    )


def _of(index: Index, branch: Branch, name: str) -> Iterator[dict[str, Any]]:
    for file in index.page(branch, name).files:
        yield {"name": name, "branch": str(branch), **_file(file), "lacking": not _is_there(index, branch, file)}


def _is_there(index: Index, branch: Branch, file: File) -> bool:
    """Whether a wheel that a page names is on the disk, as large as it should be; its bytes are not read."""
    try:
        return index.wheel(branch.profile, file.filename).stat().st_size == file.size
    except OSError:
        return False


def _lacking(names: Iterable[str]) -> tuple[Part, ...]:
    """What to say of wheels that pages name and that are not there."""
    return tuple(
        lines(f"{name} is missing or damaged on the disk: build or upload it again", style="warning")
        for name in dict.fromkeys(names)
    )


def _file(file: File) -> dict[str, Any]:
    return {
        "filename": file.filename,
        "version": file.version,
        "sha256": file.sha256,
        "size": file.size,
        "uploaded": file.uploaded,
        "own": file.own,
        "yanked": file.yanked is not None,
        "reason": file.yanked or "",
    }


def _whose(row: dict[str, Any]) -> str:
    return "own" if row["own"] else "public"


def _yanked(row: dict[str, Any]) -> str:
    return (row["reason"] or "yes") if row["yanked"] else ""
