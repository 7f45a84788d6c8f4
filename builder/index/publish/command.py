"""Publishing by a command that the user gives, to whatever has a program: an object store, a code host's releases."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builder.errors import ToolFailure, UsageFailure
from builder.index.publish.directory import Directory
from builder.index.publish.flow import Published, compared
from builder.index.publish.publication import Publication
from builder.run import run

FILES = "{files}"
PLACEHOLDER = re.compile(r"\{([A-Za-z_]+)\}")
LONGEST = 6 * 3600.0  # seconds

Values = Mapping[str, Callable[[], str]]


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command line to publish by, run in `cwd`, and perhaps one that gets everything back into the directory {back}.

    `values` are what `{tag}` and `{name}` stand for, found out when they are needed.
    """

    line: str
    read_back: str = ""
    values: Values
    cwd: Path


def publish_by(command: Command, publication: Publication, *, dry_run: bool = False) -> Published:
    """Hands a publication over to a command, all of it each time; compares what can be got back.

    Raises UsageFailure for a command that cannot be meant, ToolFailure for one that fails.
    """
    back = publication.root.with_name("back")
    values = {**command.values, "tree": lambda: str(publication.root)}
    argv = words(command.line, values, [publication.root / file.path for file in publication.files])
    getting = words(command.read_back, {**values, "back": lambda: str(back)}) if command.read_back else []
    sent = tuple(file.path for file in publication.files)
    done = Published(name=f"the program {Path(argv[0]).name}", publication=publication, sent=sent, dry_run=dry_run)
    if dry_run:
        return done
    done = replace(done, printed=_run(argv, command.cwd))
    if not getting:
        return done
    back.mkdir()
    _run(getting, command.cwd)
    wrong = compared(publication.files, Directory(back, beside=True).there(publication))
    return replace(done, proof=f"sha256, got back by {Path(getting[0]).name}", wrong=wrong)


def words(command: str, values: Values, files: Sequence[Path] = ()) -> list[str]:
    """The argv of a command: split as a shell would, never run by one; placeholders stand for `values`.

    `{files}` is a word of its own and becomes one for each file. A value is asked for only where it is used.
    Raises UsageFailure for an unknown placeholder, for `{files}` within a word, and what cannot be split.
    """
    try:
        split = shlex.split(command)
    except ValueError as error:
        raise UsageFailure(f"the command cannot be split into words: {error}", next="Look at its quotes.") from error
    if not split:
        raise UsageFailure("--command is empty")
    known = {*values, "files"} if files else set(values)
    if unknown := sorted(set(PLACEHOLDER.findall(" ".join(split))) - known):
        raise UsageFailure(
            f"the command has unknown placeholders: {', '.join(f'{{{name}}}' for name in unknown)}",
            next=f"There are {', '.join(f'{{{name}}}' for name in sorted(known))}.",
        )
    if any(FILES in word and word != FILES for word in split):
        raise UsageFailure(
            f"{FILES} stands within a word", next=f"Write {FILES} as a word of its own, one argument each."
        )
    argv: list[str] = []
    for word in split:
        argv += map(str, files) if word == FILES else [PLACEHOLDER.sub(lambda match: values[match[1]](), word)]
    return argv


def _run(argv: Sequence[str], cwd: Path) -> str:
    """Runs a command with the whole environment, where its credentials are; what it printed. Raises ToolFailure."""
    try:
        done = run(argv, timeout=LONGEST, cwd=cwd, env=dict(os.environ), called=Path(argv[0]).name)
    except ToolFailure as failure:
        failure.next = "Mend it, and run the same command again: all of it is handed over anew."
        raise
    return (done.stdout + done.stderr).strip()
