"""`ot2deploy doctor`."""

from __future__ import annotations

import click

from ot2deploy.cli import options
from ot2deploy.cli.result import Shown, lines, table


@click.command("doctor")
@options.output
def command() -> Shown:
    """Look over this machine: what is missing, and the fix.

    Ends with 1 when something is missing that a push needs; the rest are warnings.
    """
    from ot2deploy.doctor import doctor

    report = doctor()
    rows = [(finding.name, finding.state, finding.detail) for finding in report.findings]
    fixes = [f"  {finding.name}: {finding.fix}" for finding in report.findings if finding.state != "ok" and finding.fix]
    ready = "This machine is ready to push." if report.exit_code == 0 else "Something that a push needs is missing."
    return Shown(
        result=report,
        parts=(
            table(("part", "state", "found"), rows),
            *((lines("", "Fixes:", *fixes),) if fixes else ()),
            lines("", ready, style="good" if report.exit_code == 0 else "bad"),
        ),
    )
