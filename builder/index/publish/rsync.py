"""rsync, for publishing: files of a tree, each whole or not at all at the other side."""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from builder.errors import ToolFailure
from builder.index.publish.publication import Listed
from builder.run import environment, run

PASSWORD = "RSYNC_PASSWORD"  # rsync's own way to be told a daemon's password without an argument
LONGEST = 6 * 3600.0  # seconds
SILENCE = 120  # seconds without a byte
PARTIAL = 23  # rsync's status where some files could not be had
CHOSEN = ("--files-from=-",)
BASE = ("--recursive", "--protect-args", f"--timeout={SILENCE}")
# Without --times a quick look at size and time would tell nothing: what is sent was found to differ by its bytes.
MOVED = ("--ignore-times", "--perms", "--chmod=D755,F644", "--no-implied-dirs", "--delay-updates")
ENTRY = re.compile(r"-\S{9}\s+[\d,]+ \d{4}/\d\d/\d\d \d\d:\d\d:\d\d (?P<path>.+)")


def usable() -> bool:
    """Whether this computer has the rsync that we mean (macOS has another one of that name)."""
    if not shutil.which("rsync"):
        return False
    said = run(["rsync", "--version"], timeout=30, check=False)
    return said.status == 0 and "openrsync" not in said.stdout


def send(root: Path, place: str, files: Sequence[Listed], *, shell: Sequence[str] = ()) -> None:
    """Sends files below `root` to the directory `place` (HOST:PATH, rsync://...); they are renamed when all are there.

    What an interrupted call sent of a file is kept and gone on with. Raises ToolFailure.
    """
    options = ["--partial-dir=.ot2deploy-publish", *(("--rsh", shlex.join(shell)) if shell else ("--mkpath",))]
    _run([*MOVED, *options, *CHOSEN, f"{root}/", f"{place}/"], [file.path for file in files])


def differing(root: Path, place: str, files: Sequence[Listed]) -> set[str]:
    """The files that an rsync daemon lacks or has other bytes of, by rsync's checksums. Raises ToolFailure."""
    options = ["--checksum", "--dry-run", "--out-format=%i %n"]
    said = _run([*options, *CHOSEN, f"{root}/", f"{place}/"], [file.path for file in files])
    return {line.partition(" ")[2] for line in said.splitlines() if line.startswith("<f")}


def listing(place: str) -> tuple[str, ...]:
    """The paths of all files in a directory of an rsync daemon; none where it is not there yet. Raises ToolFailure."""
    try:
        said = _run(["--list-only", "--exclude=.*", f"{place}/"])
    except ToolFailure as failure:
        if failure.status == PARTIAL and "No such file or directory" in "".join(failure.details):
            return ()
        raise
    return tuple(match["path"] for match in map(ENTRY.fullmatch, said.splitlines()) if match)


def remove(place: str, paths: Sequence[str]) -> None:
    """Removes files at an rsync daemon, which are named as lacking here. Raises ToolFailure."""
    with tempfile.TemporaryDirectory(prefix="ot2deploy-publish-") as empty:
        for path in paths:  # rsync looks at the directories
            (Path(empty) / path).parent.mkdir(parents=True, exist_ok=True)
        _run(["--delete-missing-args", *CHOSEN, f"{empty}/", f"{place}/"], paths)


def _run(words: Sequence[str], paths: Sequence[str] | None = None) -> str:
    try:
        return run(
            ["rsync", *BASE, *words],
            env=environment({"LC_ALL": "C"}, passed=(PASSWORD,)),
            input=None if paths is None else "".join(f"{path}\n" for path in paths).encode(),
            timeout=LONGEST,
            called="rsync",
        ).stdout
    except ToolFailure as failure:
        failure.next = "Run the same command again when it is mended; what is there already is not sent again."
        raise
