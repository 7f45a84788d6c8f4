"""Writes the pages of docs/ that are made from code; with --check it only says whether they are up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from builder.audit import findings
from ot2deploy.cli import __doc__ as boundary
from ot2deploy.cli import cli
from ot2deploy.cli.commands import SECTIONS
from ot2deploy.cli.group import DefaultGroup

DOCS = Path(__file__).resolve().parent.parent / "docs"


def main() -> None:
    """Writes or checks the pages."""
    for name, wanted in (("reference.md", page()), ("findings.md", findings_page())):
        path = DOCS / name
        if "--check" not in sys.argv[1:]:
            path.write_text(wanted, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != wanted:
            raise SystemExit(f"docs/{name} is not up to date\n  Its source changed.\n  Run: scripts/reference")


def findings_page() -> str:
    """The page of everything that the audit of a wheel can find."""
    lead = "Made from `builder/audit/findings.py` by `scripts/reference`. An error refuses the wheel."
    return f"# Findings\n\n{lead}\n\n{findings.reference()}"


def page() -> str:
    """The page of commands: the exit codes, then every command, groups before members, in the order of the help."""
    parts = ["# Reference", "Made from the parser by `scripts/reference`.", f"Exit codes: {exit_codes()}"]
    root = click.Context(cli, info_name="ot2deploy")
    for title, names in SECTIONS.items():
        if names:
            parts.append(f"## {title}")
        for name in names:
            command = cli.get_command(root, name)
            if command is None:
                raise SystemExit(f"{name} stands in the table of commands and cannot be loaded")
            parts += described(root, name, command)
    return "\n\n".join(parts) + "\n"


def exit_codes() -> str:
    """The sentence about exit codes, as the boundary's docstring has it."""
    return (boundary or "").partition("Exit codes:")[2].strip()


def described(parent: click.Context, name: str, command: click.Command) -> Iterator[str]:
    """One command's part of the page and, where it is a group, those of its members."""
    context = click.Context(command, info_name=name, parent=parent)
    yield f"### `{context.command_path}`"
    plain = command.default if isinstance(command, DefaultGroup) else command
    if not isinstance(plain, click.Group):
        yield f"```text\n{context.command_path} {' '.join(plain.collect_usage_pieces(context))}\n```"
    yield paragraphs(plain)
    options = [row for parameter in plain.params if (row := option(context, parameter))]
    if options:
        yield "\n".join(options)
    if isinstance(command, click.Group):
        for member in command.list_commands(context):
            inner = command.get_command(context, member)
            if inner is not None:
                yield from described(context, member, inner)


def paragraphs(command: click.Command) -> str:
    """The command's help, one line for each paragraph."""
    text = (command.help or "").replace("\b\n", "")
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def option(context: click.Context, parameter: click.Parameter) -> str:
    """One option as a list item; empty for what is no option."""
    record = parameter.get_help_record(context)
    if record is None or not isinstance(parameter, click.Option):
        return ""
    return f"- `{record[0]}` {' '.join(record[1].split())}"


if __name__ == "__main__":
    main()
