"""`ot2deploy wheel`: wheels for robots, and what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import options, qualify, wheel_build, wheel_missing, wheel_show
from ot2deploy.cli.group import Group
from ot2deploy.cli.result import Lines, Shown, lines, table

if TYPE_CHECKING:
    from builder.audit import Audit


@dataclass(frozen=True, kw_only=True)
class Audits:
    """The audits of some wheels; 1 when one of them is refused."""

    audits: tuple[Audit, ...]

    @property
    def exit_code(self) -> int:
        """0 when every wheel fits."""
        return int(not all(audit.ok for audit in self.audits))

    def as_dict(self) -> dict[str, Any]:
        """Every audit, whole."""
        return {"audits": [audit.as_dict() for audit in self.audits]}


@click.group("wheel", cls=Group)
def command() -> None:
    """Wheels for robots: build, missing, audit, show, qualify."""


command.add_command(wheel_build.command)
command.add_command(wheel_missing.command)
command.add_command(wheel_show.command)
command.add_command(qualify.command)


@command.command("audit")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--profile", required=True, metavar="NAME", help="The ABI to judge for: ot2-py310, ot2-py312 ...")
@options.output
def audit_files(files: tuple[Path, ...], profile: str) -> Shown:
    """Judge wheels for a profile by their contents, whatever their tags say.

    Ends with 1 when one of them would be refused.
    """
    from builder import profile_host
    from builder.audit import audit

    wanted = profile_host.load(profile)
    audits = tuple(audit(path, wanted) for path in files)
    rows = [(one.filename, "ok" if one.ok else "refused", str(len(one.binaries)), _glibc(one)) for one in audits]
    return Shown(
        result=Audits(audits=audits),
        parts=(
            table(("wheel", "state", "binaries", "glibc"), rows, title=f"for {wanted.name}", right=("binaries",)),
            *(_findings(one) for one in audits if one.findings),
        ),
    )


def _glibc(audit: Audit) -> str:
    return "%d.%d" % audit.max_glibc if audit.max_glibc else ""


def _findings(audit: Audit) -> Lines:
    return lines("", audit.filename, *(f"  {finding}" for finding in audit.findings))
