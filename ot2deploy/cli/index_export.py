"""`ot2deploy index export`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.errors import UsageFailure
from ot2deploy.cli import index_options, options, units
from ot2deploy.cli.result import Shown, lines, table
from ot2deploy.cli.wheel_order import PROFILE

if TYPE_CHECKING:
    from builder.events import Report
    from builder.index.export.chosen import Chosen
    from builder.index.export.export import Exported
    from builder.profile import Profile
    from ot2deploy.bundles import Bundles
    from ot2deploy.project import Project


MOST_SHOWN = 20  # removed files


@dataclass(frozen=True, kw_only=True)
class Result:
    """An export as it is now."""

    exported: Exported

    exit_code = 0

    def as_dict(self) -> dict[str, Any]:
        """Its manifest, and what was done."""
        exported = self.exported
        return {
            "directory": str(exported.root),
            "changed": exported.changed,
            "written": exported.written,
            "removed": list(exported.removed),
            "manifest": dict(exported.manifest),
        }


@click.command("export")
@click.argument("root", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@index_options.profiles(f"Without it, all of the index; with targets, {PROFILE}, or all that a bundle file holds.")
@index_options.any_channel
@index_options.directory
@click.option(
    "--flat", is_flag=True, help="All wheels side by side, for pip's --find-links: no directories, no branches."
)
@index_options.root_url
@click.option("--replace", is_flag=True, help="Take the place of an export of other targets, whose wheels go.")
@options.project
@options.no_repair
@options.offline
@options.output
def command(
    root: Path,
    targets: tuple[str, ...],
    profiles: tuple[str, ...],
    channel: str | None,
    directory: Path,
    flat: bool,
    root_url: str | None,
    replace: bool,
    project: Project,
    no_repair: bool,
    offline: bool,
) -> Shown:
    """Write an index, or all that some targets need, into DIR: for a stick or any web server.

    TARGETs are environments, requirements, paths and bundle files, as `ot2deploy bundle` takes them; without any the
    project's index is copied. DIR is new, empty, or an earlier export of the same, which is brought up to date. Every
    file is checked by its sha256; manifest.json and SHA256SUMS list them.
    """
    from builder.index.export.export import export

    with options.reporting() as report:
        if targets:
            chosen = _of_targets(
                project, targets, profiles, channel, root, offline=offline, repair=not no_repair, report=report
            )
        else:
            chosen = _of_index(project, directory, profiles, channel, root)
        exported = export(chosen, root, flat=flat, root_url=root_url or "", replace=replace, report=report)
    return _shown(exported)


def _of_index(project: Project, directory: Path, profiles: tuple[str, ...], channel: str | None, root: Path) -> Chosen:
    from builder.index.export.chosen import of_index
    from builder.index.tree import Index

    index = Index.open(index_options.root(project, directory))
    if root.resolve().is_relative_to(index.root.resolve()):
        raise UsageFailure(
            f"{root} is in the index itself", why="It would become a part of it.", next="Name another directory."
        )
    return of_index(index, index_options.branch_profiles(profiles), [channel] if channel else [])


def _of_targets(
    project: Project,
    targets: tuple[str, ...],
    profiles: tuple[str, ...],
    channel: str | None,
    root: Path,
    *,
    offline: bool,
    repair: bool,
    report: Report,
) -> Chosen:
    from builder.index.export.chosen import of_bundles
    from builder.index.layout import PROD
    from builder.index.tree import Index
    from ot2deploy.engine import open_for

    wanted = list(dict.fromkeys(profiles))
    # All are looked up before anything is resolved or built, so that a wrong name is told at once.
    sources = [
        _source(project, target, wanted, offline=offline, repair=repair, report=report)
        for target in dict.fromkeys(targets)
    ]
    bundles = [
        (source.target, profile, source.bundles.for_profile(profile))
        for source in sources
        for profile in source.profiles
    ]
    # What an earlier export has keeps the day on which it came, so that nothing is written for it.
    return of_bundles(bundles, open_for(project, offline=True), channel or PROD, before=Index(root))


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A target, where its bundles come from, and for which profiles they are wanted."""

    target: str
    bundles: Bundles
    profiles: tuple[Profile, ...]


def _source(
    project: Project, target: str, profiles: list[str], *, offline: bool, repair: bool, report: Report
) -> _Source:
    from builder import profile_host
    from ot2deploy.bundles import from_file, held_in, is_bundle_file
    from ot2deploy.engine import environment_bundles

    if is_bundle_file(target):
        bundles = from_file(Path(target))
        profiles = profiles or [bundle.profile for bundle in held_in(Path(target))]
    else:
        bundles = environment_bundles(project, target, offline=offline, repair=repair, report=report)
    wanted = tuple(profile_host.load(name) for name in profiles or [PROFILE])
    return _Source(target=target, bundles=bundles, profiles=wanted)


def _shown(exported: Exported) -> Shown:
    manifest = exported.manifest
    rows = [_row(row["branch"], manifest) for row in manifest["branches"]]
    targets = [f"{row['target']} for {row['profile']}: release {row['digest'][:12]}" for row in manifest["targets"]]
    return Shown(
        result=Result(exported=exported),
        parts=(
            lines(_head(exported), style="title"),
            table(("branch", "projects", "wheels", "size"), rows, right=("projects", "wheels", "size")),
            *((lines("", *_removed(exported.removed)),) if exported.removed else ()),
            *((lines("", *targets),) if targets else ()),
            lines("", *_next(exported)),
        ),
    )


def _head(exported: Exported) -> str:
    count = units.count(len(exported.manifest["files"]), "wheel")
    gone = f", {len(exported.removed)} removed" if exported.removed else ""
    return f"{count} in {exported.root}: {f'{exported.written} written{gone}' if exported.changed else 'no change'}"


def _removed(paths: Sequence[str]) -> list[str]:
    left = len(paths) - MOST_SHOWN
    return [*(f"removed {path}" for path in paths[:MOST_SHOWN]), *([f"... and {left} more"] if left > 0 else [])]


def _row(branch: str, manifest: Mapping[str, Any]) -> tuple[str, ...]:
    files = [row for row in manifest["files"] if branch in row["branches"]]
    projects = len({row["project"] for row in files})
    return branch, str(projects), str(len(files)), units.size(sum(row["size"] for row in files))


def _next(exported: Exported) -> tuple[str, ...]:
    manifest, root = exported.manifest, exported.root.resolve()
    if manifest["kind"] == "flat":
        address = manifest["root_url"] or root
        return (f"Install from it:  pip install NAME --no-index --find-links {address}",)
    simple = index_options.example(row["simple"] for row in manifest["branches"])
    return (
        f"Install from it:   {index_options.pip_install(manifest['root_url'] or f'{root.as_uri()}/', simple)}",
        f"Give it to others: ot2deploy index serve --index {exported.root}, or any web server",
        "Check it later:    sha256sum -c SHA256SUMS",
    )
