"""A recipe's patches applied to a source tree: unified diffs, exact, and nothing outside the tree."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from builder.errors import BuildFailure, MissingExtra

if TYPE_CHECKING:
    from unidiff.patch import Hunk, PatchedFile, PatchSet

NOWHERE = "/dev/null"


class PatchFailure(BuildFailure):
    """A patch of a recipe does not fit the source."""

    code = "patch-failed"


def apply(tree: Path, patches: Iterable[Path]) -> None:
    """Applies patches in order, as `patch -p1` does but without fuzz: lines may have moved, not changed.

    Raises PatchFailure that names the patch, the file and the hunk.
    """
    for patch in patches:
        for file in _read(patch):
            _write(*_changed(tree, patch, file))


def _read(patch: Path) -> PatchSet:
    try:
        from unidiff.errors import UnidiffParseError
        from unidiff.patch import PatchSet
    except ImportError:
        raise MissingExtra("build", "unidiff") from None
    try:
        files = PatchSet(_lines(patch.read_bytes().decode()))
    except (OSError, UnicodeDecodeError, UnidiffParseError) as error:
        raise PatchFailure(f"{patch.name} is no unified diff: {error}") from error
    if not files:
        raise PatchFailure(f"{patch.name} changes no file")
    return files


def _changed(tree: Path, patch: Path, file: PatchedFile) -> tuple[Path | None, Path | None, str]:
    """What becomes of one file: where it was, where it goes (None: nowhere), and its new text."""
    if file.is_binary_file:
        raise PatchFailure(f"{patch.name} changes {file.path}, which is not text")
    old, new = (_place(tree, patch, name) for name in (file.source_file, file.target_file))
    try:
        lines = _lines(old.read_bytes().decode()) if old else []
    except (OSError, UnicodeDecodeError) as error:
        raise PatchFailure(f"{patch.name} does not apply: {file.path} cannot be read: {error}") from error
    grown = 0  # lines, by the hunks before
    for number, hunk in enumerate(file, 1):
        before, after = _texts(hunk, "-"), _texts(hunk, "+")
        stated = hunk.source_start - bool(before) + grown  # a hunk that only adds names the line before it
        at = _nearest(lines, before, stated)
        if at is None:
            raise PatchFailure(
                f"{patch.name} does not apply: {file.path}, hunk {number} of {len(file)}",
                why=f"The source has no such lines as the hunk expects at line {hunk.source_start}.",
                next="Make the patch anew from this version's source, or give the version a recipe of its own.",
                details=tuple(str(hunk).splitlines()[:12]),
            )
        lines[at : at + len(before)] = after
        grown = at - stated + grown + len(after) - len(before)
    return old, new, "".join(lines)


def _place(tree: Path, patch: Path, name: str) -> Path | None:
    """The file that a diff's header names, without the first directory (a/ and b/)."""
    if name == NOWHERE:
        return None
    path = tree.joinpath(*PurePosixPath(name).parts[1:])
    if not path.resolve().is_relative_to(tree.resolve()) or path == tree:
        raise PatchFailure(
            f"{patch.name} changes {name}, which is not in the source",
            next="Write its paths as git does, with a/ and b/ before the source's root.",
        )
    return path


def _texts(hunk: Hunk, own: str) -> list[str]:
    """The lines of one side of a hunk (`own` is - or +), with their ends."""
    lines: list[str] = []
    last = ""
    for line in hunk:
        if line.line_type == "\\":  # "No newline at end of file" is about the line before it
            if last in (" ", own):
                lines[-1] = lines[-1].removesuffix("\n")
        elif line.line_type in (" ", own):
            lines.append(line.value)
        last = line.line_type
    return lines


def _nearest(lines: list[str], wanted: list[str], stated: int) -> int | None:
    """Where the wanted lines stand, as near as can be to where they should."""
    places = (at for at in range(len(lines) - len(wanted) + 1) if lines[at : at + len(wanted)] == wanted)
    return min(places, key=lambda at: abs(at - stated), default=None)


def _lines(text: str) -> list[str]:
    """A text's lines with their ends; only a line feed ends one, as in a diff."""
    return [line for line in re.split(r"(?<=\n)", text) if line]


def _write(old: Path | None, new: Path | None, text: str) -> None:
    if new:
        mode = old.stat().st_mode if old else None
        new.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(text.encode())
        if mode is not None:
            new.chmod(mode)
    if old and old != new:
        old.unlink()
