"""Click groups as we have them: help with the whole first sentence of each command, and a command without a name."""

from __future__ import annotations

from typing import Any

import click

LONGEST = 400  # characters; click's own limit is what fits on the line


class Group(click.Group):
    """A group of commands; their sentences are folded where click would cut them off."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, command.get_short_help_str(LONGEST)) for name, command in commands if command]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class DefaultGroup(Group):
    """A group that takes what names none of its commands for the line of one more, which has no name: `default`."""

    def __init__(self, name: str, *, default: click.Command) -> None:
        super().__init__(name, help=default.help)
        self.default = default

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Reads the rest of a command line, as the group's own or as the default command's."""
        if not args or args[0] in self.commands or args[0] in ("--help", "-h"):
            return super().make_context(info_name, args, parent, **extra)
        return self.default.make_context(info_name, args, parent, **extra)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that a line is for, and the rest of the line."""
        return super().resolve_command(ctx, args) if args[0] in self.commands else (None, self.default, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes both kinds of lines."""
        self.default.format_usage(ctx, formatter)
        super().format_usage(ctx, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the default command's options, then the commands."""
        self.default.format_options(ctx, formatter)
        self.format_commands(ctx, formatter)
