"""The command line: one group, one boundary.

Exit codes: 0 done, or nothing to do; 1 failed; 2 the command line or a file given to it is wrong;
3 some robots failed and others did not; 4 a release failed after the switch and was taken back; 130 interrupted;
141 whoever read the output has gone. `ot2deploy exec` ends with the program's own.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from builder.errors import Failure, UsageFailure
from builder.printable import printable
from ot2deploy import __version__
from ot2deploy.cli import document
from ot2deploy.cli.commands import BY_NAME, SECTIONS
from ot2deploy.cli.lazy import LazyGroup, ReaderGone
from ot2deploy.cli.options import Settings
from ot2deploy.cli.result import Shown, envelope
from ot2deploy.errors import Interrupted

PROGRAM = "ot2deploy"
PIPE_CLOSED = 141  # 128 + SIGPIPE

cli = click.version_option(__version__, prog_name=PROGRAM)(
    LazyGroup(
        name=PROGRAM,
        entries=BY_NAME,
        sections=SECTIONS,
        help="Installs Python packages on Opentrons OT-2 robots over SSH: builds wheels, pushes, verifies, rolls back.",
    )
)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs one command line and exits: the only place where results are printed and errors become exit codes."""
    words = list(sys.argv[1:] if argv is None else argv)
    settings = Settings()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal or pipe may know fewer letters than names, paths and foreign output have.
            stream.reconfigure(errors="backslashreplace")
    try:
        status = _run(words, settings)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us has gone (`| head`); the flush at exit must not complain about it either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = PIPE_CLOSED
    sys.exit(status)


def _run(words: list[str], settings: Settings) -> int:
    try:
        returned = cli.main(args=words, prog_name=PROGRAM, standalone_mode=False, obj=settings)
        if isinstance(returned, Shown):
            return _finish(returned, settings)
        return returned if isinstance(returned, int) else 0
    except (KeyboardInterrupt, click.Abort):
        return _fail(settings, Interrupted("interrupted"))
    except BrokenPipeError:
        raise
    except ReaderGone as gone:
        raise BrokenPipeError from gone
    except Failure as failure:
        return _fail(settings, failure)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return error.exit_code
    except click.ClickException as error:
        settings.json = settings.json or "--json" in words  # the parser may have stopped before it
        settings.command = settings.command or _path(error)
        return _fail(settings, _usage(error))
    except Exception as error:
        if isinstance(error, FileNotFoundError) and _is_nowhere():
            return _fail(settings, UsageFailure("the working directory is gone", next="Run: cd into one that exists."))
        bug = _Bug(
            f"this is a bug in ot2deploy: {type(error).__name__}: {error}",
            next="" if settings.verbose else "Run again with -v for the traceback.",
        )
        bug.__cause__ = error
        return _fail(settings, bug)


def _is_nowhere() -> bool:
    """Whether the directory we were started in was removed: whatever looks for it then fails."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


class _Bug(Failure):
    """An exception that nobody foresaw."""

    code = "bug"


def _finish(shown: Shown, settings: Settings) -> int:
    status = shown.result.exit_code
    if settings.json:
        document.as_json(envelope(settings.command, exit_code=status, result=shown.result.as_dict(), error=None))
    else:
        from ot2deploy.cli import render

        render.result(shown)
    return status


def _fail(settings: Settings, failure: Failure) -> int:
    if settings.verbose:
        import traceback

        click.echo(printable("".join(traceback.format_exception(failure))), err=True, nl=False)
    if settings.json:
        document.as_json(envelope(settings.command, exit_code=failure.exit_code, result=None, error=failure.as_dict()))
    else:
        first, *rest = failure.lines()
        click.secho(first, err=True, fg="red", bold=True)
        for line in rest:
            click.echo(line, err=True)
    return failure.exit_code


def _usage(error: click.ClickException) -> Failure:
    message = error.format_message()
    path = f"{PROGRAM} {_path(error)}".rstrip()
    return UsageFailure(message[:1].lower() + message[1:].rstrip("."), next=f"Run: {path} --help")


def _path(error: click.ClickException) -> str:
    """The words that name the command whose line could not be parsed."""
    context = getattr(error, "ctx", None)
    return context.command_path.removeprefix(PROGRAM).strip() if context else ""
