"""The options that commands of an index share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ot2deploy.cli.wheel_order import PROFILE

if TYPE_CHECKING:
    from builder.index.journal import Journal
    from builder.index.layout import Branch
    from builder.index.tree import Index
    from ot2deploy.project import Project

F = TypeVar("F", bound=Callable[..., Any])

directory = click.option(
    "--index", "directory", type=click.Path(path_type=Path, file_okay=False), default=Path("index"), show_default=True,
    metavar="DIR", help="The index; relative to the project.",
)  # fmt: skip


def _root_url(_ctx: click.Context, _: click.Parameter, value: str | None) -> str | None:
    from builder.errors import UsageFailure
    from builder.fetch import split

    if not value:
        return value
    parts = split(value)
    if "@" in parts.netloc:
        raise UsageFailure(
            "the root URL holds a user name or password",
            why="It would stand in every page, for everybody to read.",
            next="Leave them out; whoever installs gives their own.",
        )
    if parts.scheme not in ("http", "https", "file") or not (parts.netloc or parts.path) or parts.query:
        raise UsageFailure(
            f"`{value}` is no root URL", next="Write, for example: --index-root-url http://index.example/"
        )
    return value


root_url = click.option(
    "--index-root-url", "root_url", metavar="URL", callback=_root_url,
    help="Begin the links of its pages with this address; without it, they are relative, and the index may be moved.",
)  # fmt: skip


def profiles(note: str) -> Callable[[F], F]:
    """--profile, which may be given again; `note` says what holds without it."""
    return click.option(
        "--profile", "profiles", multiple=True, metavar="NAME", help=f"The ABI: ot2-py310, ot2-py312 ... {note}"
    )


def branch_profiles(profiles: Iterable[str]) -> list[str]:
    """The profiles' names as branches have them: `host` stands for this computer's own."""
    from builder.profile_host import host_profile

    return [host_profile().name if name == "host" else name for name in dict.fromkeys(profiles)]


def channel(command: F) -> F:
    """--channel, --git-branch and --git-ref; the command gets the channel's name as `channel`."""
    return _channels(command, _channel, "The channel; without it, prod, the one of plain addresses.")


def any_channel(command: F) -> F:
    """--channel, --git-branch and --git-ref where all channels are meant without them; `channel` is None then."""
    return _channels(command, channel_or_none, "Only this channel.")


def _channels(command: F, callback: Callable[..., str | None], note: str) -> F:
    named = click.option("--channel", metavar="NAME", callback=callback, help=note)
    return named(git_branch("--channel")(_git_ref_option(command)))


def channels(note: str) -> Callable[[F], F]:
    """--channel, which may be given again; `note` says what holds without it."""
    return click.option(
        "--channel", "channels", multiple=True, metavar="NAME", help=f"This channel only. May be given again; {note}."
    )


def git_branch(other: str) -> Callable[[F], F]:
    """--git-branch, in the place of the parameter `other`, whose callback is `channel_or_none`."""
    return click.option(
        "--git-branch", metavar="NAME", expose_value=False, callback=_git_branch, is_eager=True,
        help=f"The channel of this git branch, in place of {other}.",
    )  # fmt: skip


def example(simples: Iterable[str]) -> str:
    """Of branches' directories (`ot2-py310/simple/`) the one to show a command for: that of most robots, in prod."""
    return min(simples, key=lambda simple: (not simple.startswith(f"{PROFILE}/"), simple.count("/"), simple))


def pip_install(url: str, simple: str) -> str:
    """The command that installs from a branch, `simple` being its directory below the index's URL."""
    from builder.index.consumers import place

    untrusted = place(url).untrusted if url.startswith("http") else ""
    return f"pip install NAME --index-url {url}{simple}{f' --trusted-host {untrusted}' if untrusted else ''}"


def root(project: Project, directory: Path) -> Path:
    """The index's directory."""
    return project.root / directory


def branches_in(root: Path) -> tuple[Branch, ...] | None:
    """The branches of the index that is in a directory; None where there is none yet."""
    from builder.index.change import SETTINGS
    from builder.index.tree import Index

    return Index(root).branches() if (root / SETTINGS).exists() else None


def state(project: Project) -> Path:
    """Where an index's private files are: tokens, journal, what a mirror keeps. Never in the tree that others read."""
    return project.state_dir / "index"


def remember_names(project: Project, index: Index) -> None:
    """Remembers the index's own projects before some of them may go, so that a mirror never asks for them elsewhere."""
    from builder.index.mirror.own_names import NAMES, OwnNames

    OwnNames(index, state(project) / NAMES).look()


def journal(project: Project) -> Journal:
    """The journal of the project's index."""
    from builder.index.journal import JOURNAL, Journal

    return Journal(state(project) / JOURNAL)


def _git_ref_option(command: F) -> F:
    return click.option(
        "--git-ref", metavar="REF", expose_value=False, callback=_git_ref, is_eager=True,
        help="The channel of what CI was started for: staging of refs/heads/main, prod of refs/tags/packages@v*, of "
        "other branches their own.",
    )(command)  # fmt: skip


def _git_ref(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        from builder.index.publish.ci import channel_of_ref

        _remember(ctx, channel_of_ref(value))


def _remember(ctx: click.Context, channel: str) -> None:
    from builder.errors import UsageFailure

    if ctx.meta.get("channel"):
        raise UsageFailure("--git-branch and --git-ref both name a channel", next="Give one of them.")
    ctx.meta["channel"] = channel


def _git_branch(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        from builder.index.layout import channel_of

        _remember(ctx, channel_of(value))


def _channel(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str:
    from builder.index.layout import PROD

    return channel_or_none(ctx, parameter, value) or PROD


def channel_or_none(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The channel that a parameter beside --git-branch names, None where neither does. Raises UsageFailure."""
    from builder.errors import UsageFailure
    from builder.index import layout

    of_branch = ctx.meta.get("channel")
    if value is not None and of_branch:
        raise UsageFailure(f"{parameter.opts[0]} and a git branch both name a channel", next="Give one of them.")
    return of_branch if value is None else layout.channel(value)
