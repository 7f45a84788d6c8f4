"""`ot2deploy robot keys`: who may log in to the robots."""

from __future__ import annotations

from typing import Any

import click

from ot2deploy.cli import options
from ot2deploy.cli.group import Group
from ot2deploy.cli.outcomes import failed
from ot2deploy.cli.result import Shown, lines, table


@click.group("keys", cls=Group)
def command() -> None:
    """The SSH keys that robots let in: list, revoke. (A new one: robot enroll --key FILE.pub)"""


@command.command("list")
@options.fleet
@options.output
def list_keys(**where: Any) -> Shown:
    """List the SSH keys that each robot lets in, and which are this computer's."""
    from ot2deploy.enroll import keeping

    with options.visiting(**where) as fleet:
        result = keeping.list_keys(fleet)
    rows = [
        (outcome.robot.name, key.kind, key.comment, key.fingerprint, "yes" if key.line in outcome.value.ours else "")
        for outcome in result.outcomes
        if outcome.value
        for key in outcome.value.keys
    ]
    columns = ("robot", "type", "comment", "fingerprint", "this computer's")
    return Shown(result=result, parts=(table(columns, rows), *failed(result.outcomes)))


@command.command("revoke")
@click.argument("key", metavar="FINGERPRINT|COMMENT")
@click.option("--force", is_flag=True, help="Also the key that this computer logs in with; never a robot's last one.")
@options.fleet
@options.output
def revoke(key: str, force: bool, **where: Any) -> Shown:
    """Take an SSH key off the robots: its computer cannot log in any more.

    \b
    ot2deploy robot keys revoke ann@old-laptop
    ot2deploy robot keys revoke SHA256:... --limit otto
    """
    from ot2deploy.enroll import keeping

    with options.visiting(**where) as fleet:
        result = keeping.revoke(fleet, key, force=force)
    said = [
        f"{outcome.robot.name}: "
        + (f"revoked {gone[0].kind} {gone[0].fingerprint} {gone[0].comment}".rstrip() if gone else "no change")
        for outcome in result.outcomes
        if outcome.value is not None
        for gone in [outcome.value.keys]
    ]
    if not any(outcome.failure or (outcome.value and outcome.value.keys) for outcome in result.outcomes):
        said.append(f"None has a key with the fingerprint or comment {key!r}. See which are: ot2deploy robot keys list")
    return Shown(result=result, parts=(*([lines(*said)] if said else []), *failed(result.outcomes)))
