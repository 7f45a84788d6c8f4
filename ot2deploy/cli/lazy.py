"""A click group that imports a command's module only when that command is called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib import import_module

import click

from builder.errors import UsageFailure
from ot2deploy.cli.commands import Entry
from ot2deploy.cli.options import Settings


class ReaderGone(Exception):
    """Whoever read our output has gone. click would take the BrokenPipeError itself and end with a plain 1."""


class LazyGroup(click.Group):
    """Commands come from a table of entries; the help is drawn from the table alone, in its sections."""

    def __init__(self, *, entries: Mapping[str, Entry], sections: Iterable[str], name: str, help: str) -> None:
        super().__init__(name=name, help=help, no_args_is_help=True, context_settings={"max_content_width": 100})
        self.entries = entries
        self.sections = tuple(sections)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        command = import_module(entry.module).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.module}.command is not a click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.entries and not args[0].startswith("-"):
            ctx.ensure_object(Settings).json |= "--json" in args  # no command will read it
            close = get_close_matches(args[0], self.entries, 1)
            raise UsageFailure(
                f"there is no command {args[0]}",
                why=f"Did you mean {close[0]}?" if close else "",
                next="Run: ot2deploy --help",
            )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGone from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        for section in self.sections:
            rows = [(entry.name, entry.help) for entry in self.entries.values() if entry.section == section]
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows)
