"""`ot2deploy token`: who may read from an index's server or upload to it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ot2deploy.cli import index_options, options
from ot2deploy.cli.group import Group
from ot2deploy.cli.result import Answer, Shown, lines, table

if TYPE_CHECKING:
    from builder.index.tokens import Token, Tokens
    from ot2deploy.project import Project


def _span(_ctx: click.Context, _: click.Parameter, value: str) -> timedelta | None:
    """A time span such as 12h, 90d or 8w; None for "never"."""
    if value == "never":
        return None
    from builder.index.upkeep.retention import span

    return span(value)


@click.group("token", cls=Group)
def command() -> None:
    """Who may read from an index's server or upload to it: create, list, revoke.

    Only a digest of each token is kept, in the project's state directory; a server sees a change at once.
    """


@command.command("create")
@click.option("--name", required=True, metavar="NAME", help="What it is for, such as ci; it stands in the journal.")
@click.option(
    "--scope", "scopes", required=True, multiple=True, type=click.Choice(["read", "upload"]),
    help="What it allows; upload alone does not allow to read. May be given again.",
)  # fmt: skip
@click.option(
    "--expires", "lasts", default="90d", show_default=True, metavar="SPAN", callback=_span,
    help="How long it holds: 12h, 90d, 8w, or never.",
)  # fmt: skip
@index_options.profiles("May be given again; without it, for all.")
@click.option(
    "--channel", "channels", multiple=True, metavar="NAME",
    help="For this channel only. May be given again; without it, for all.",
)  # fmt: skip
@options.project
@options.output
def create(
    project: Project,
    name: str,
    scopes: tuple[str, ...],
    lasts: timedelta | None,
    profiles: tuple[str, ...],
    channels: tuple[str, ...],
) -> Shown:
    """Make a token, and show it this once.

    Keep it where programs look for it: the variable OT2DEPLOY_INDEX_TOKEN, a secret of the CI, keyring or ~/.netrc.
    """
    from builder.index import layout
    from builder.index.begun import begun
    from builder.index.layout import Branch
    from builder.profile import load

    for profile in profiles:
        load(profile)
    for channel in channels:
        layout.channel(channel)
    token, text = _tokens(project).create(name, scopes, lasts=lasts, profiles=profiles, channels=channels)
    there = index_options.branches_in(index_options.root(project, Path("index"))) or ()
    new = begun(there, (Branch(profile=there[0].profile, channel=one) for one in channels if there))
    until = f"until {token.expires}" if token.expires else "for ever"
    told = f"Token {token.name} may {' and '.join(token.scopes)}{_limits(token)} {until}. It is shown this once:"
    return Shown(
        result=Answer(data={"token": token.as_dict(), "secret": text, "begun": new.as_dict()}),
        parts=(
            lines(told, style="good"),
            lines(text),
            *([lines(*new.lines(""), style="warning")] if new.channels else []),
            lines("Its user name is __token__. End it with: ot2deploy token revoke " + token.name, style="dim"),
        ),
    )


@command.command("list")
@options.project
@options.output
def list_(project: Project) -> Shown:
    """Show the tokens and what they allow; never their text."""
    tokens = _tokens(project).known()
    rows = [
        (
            token.name,
            token.id,
            ", ".join(token.scopes),
            ", ".join(token.profiles) or "all",
            ", ".join(token.channels) or "all",
            token.expires or "never",
            token.state(),
        )
        for token in tokens
    ]
    shown = table(("name", "id", "scope", "profiles", "channels", "expires", "state"), rows)
    nothing = lines("There are no tokens. Make one: ot2deploy token create --name ci --scope upload")
    return Shown(
        result=Answer(data={"tokens": [token.as_dict() for token in tokens]}),
        parts=(shown if tokens else nothing,),
    )


@command.command("revoke")
@click.argument("name")
@options.project
@options.output
def revoke(project: Project, name: str) -> Shown:
    """End a token, by its name or id; a server refuses it from then on."""
    token, ended = _tokens(project).revoke(name)
    told = f"token {token.name}: {'revoked' if ended else f'no change, revoked since {token.revoked}'}"
    return Shown(result=Answer(data={"token": token.as_dict(), "changed": ended}), parts=(lines(told),))


def _limits(token: Token) -> str:
    limits = [*token.profiles, *token.channels]
    return f" ({', '.join(limits)} only)" if limits else ""


def _tokens(project: Project) -> Tokens:
    from builder.index.tokens import TOKENS, Tokens

    return Tokens(index_options.state(project) / TOKENS)
