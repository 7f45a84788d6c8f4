"""`ot2deploy bundle`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import bundle_sign, options, units
from ot2deploy.cli.group import DefaultGroup
from ot2deploy.cli.outcomes import release
from ot2deploy.cli.result import Shown, lines, table

if TYPE_CHECKING:
    from builder.bundle import Bundle
    from ot2deploy.project import Project


@dataclass(frozen=True, kw_only=True)
class Written:
    """A bundle file and what is in it."""

    path: Path
    origin: str
    bundles: tuple[Bundle, ...]

    exit_code = 0

    def as_dict(self) -> dict[str, Any]:
        """The manifests, and where the file is. Variables may be secret: only their names are told."""
        return {
            "path": str(self.path),
            "size": self.path.stat().st_size,
            "origin": self.origin,
            "manifests": [
                {**bundle.manifest, "variables": dict.fromkeys(bundle.manifest["variables"], "***")}
                for bundle in self.bundles
            ],
        }


@click.command("bundle")
@options.target_argument
@options.profiles
@click.option(
    "-o", "--output", "path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Where to write it; without it, TARGET's name with .ot2bundle here.",
)  # fmt: skip
@options.project
@bundle_sign.key_option(
    "--sign", "Also sign it with this SSH key; may be a public key whose private one the ssh agent has."
)
@options.no_repair
@options.offline
@options.output
def make(
    target: str,
    profiles: tuple[str, ...],
    path: Path | None,
    key: Path | None,
    project: Project,
    no_repair: bool,
    offline: bool,
) -> Shown:
    """Write an environment's wheels for one or more profiles into one file.

    Such a file can be pushed with neither index, uv nor compiler. It can be
    signed, so that robots take it from those alone who may make it.
    """
    from builder import bundle, profile_host
    from builder.places import cache_root
    from builder.standing import standing
    from builder.store import Store
    from ot2deploy.engine import environment_bundles

    if path and not key:
        _check_unsigned(path)
    wanted = [profile_host.load(name) for name in profiles]
    with options.reporting() as report:
        source = environment_bundles(project, target, offline=offline, repair=not no_repair, report=report)
        made = tuple(source.for_profile(profile) for profile in wanted)
    if key:
        made = tuple(bundle_sign.signed(one, key) for one in made)
    path = path or Path(f"{source.environment}.ot2bundle")
    if not key:
        _check_unsigned(path)
    bundle.write(made, path)
    store = Store(cache_root() / "store")
    rows = [(*_row(one), standing(one, store)) for one in made]
    return Shown(
        result=Written(path=path, origin=source.origin, bundles=made),
        parts=(
            lines(f"{source.environment}: {source.origin}", style="title"),
            table(("profile", "release", "wheels", "size", "from", "proof"), rows, right=("wheels", "size")),
            lines("", f"{path}, {units.size(path.stat().st_size)}{_signed_by(made)}"),
        ),
    )


command = DefaultGroup("bundle", default=make)
command.add_command(bundle_sign.sign)
command.add_command(bundle_sign.verify)


def _check_unsigned(path: Path) -> None:
    """Raises UsageFailure where an unsigned bundle would take the place of a signed one."""
    from builder import bundle
    from builder.errors import Failure, UsageFailure

    try:
        signed = path.exists() and any(one.signatures for one in bundle.read(path))
    except Failure:  # no bundle that is whole
        return
    if signed:
        raise UsageFailure(
            f"{path} is signed, and what would take its place is not",
            why="Nothing was written.",
            next="Sign it, too, with --sign KEY, or write another file with -o FILE.",
        )


def _signed_by(made: tuple[Bundle, ...]) -> str:
    from builder import signing

    signers = {str(signing.check(one.manifest, text)) for one in made for text in one.signatures}
    return f", signed by {', '.join(sorted(signers))}" if signers else ""


def _row(one: Bundle) -> tuple[str, ...]:
    wheels = one.manifest["wheels"]
    how = Counter(wheel["how"] for wheel in wheels)
    return (
        one.manifest["profile"]["name"],
        release(one.manifest["digest"]),
        str(len(wheels)),
        units.size(sum(wheel["size"] for wheel in wheels)),
        ", ".join(f"{number} {name}" for name, number in how.most_common()),
    )
