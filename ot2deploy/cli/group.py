"""A click group whose help shows the whole first sentence of each command."""

from __future__ import annotations

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
