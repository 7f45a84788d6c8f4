"""What `ot2deploy index publish` says of a publication."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ot2deploy.cli import units
from ot2deploy.cli.result import Part, lines

if TYPE_CHECKING:
    from builder.index.publish.flow import Published

MOST_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was published; 1 when a file is not there as it should be, or nobody looked (`unproved`)."""

    published: Published
    index: Path
    tag: str = ""
    unproved: bool = False

    @property
    def exit_code(self) -> int:
        """0 when every file was compared, or nobody wanted that."""
        return int(bool(self.published.wrong) or self.unproved)

    def as_dict(self) -> dict[str, Any]:
        """Every file, and what is the matter with it."""
        return {"index": str(self.index), "tag": self.tag or None, **self.published.as_dict()}


def parts(result: Result) -> tuple[Part, ...]:
    """What a person sees of it: what was sent, what is stale, what is wrong there."""
    published = result.published
    shown: list[Part] = [lines(_head(published), style="title")]
    if result.tag:
        shown.append(lines(f"tag: {result.tag}"))
    if published.printed:
        shown.append(lines(*published.printed.splitlines()[-MOST_SHOWN:], style="dim"))
    shown += _told(published)
    if published.wrong:
        shown += _wrong(published)
    elif published.proof:
        count = units.count(len(published.publication.files), "file")
        shown.append(lines(f"{count} compared there: {published.proof}", style="good"))
    if result.unproved:
        shown.append(
            lines(
                "Nothing was verified: the program ended with 0, and that is all that is known.",
                "Say where it can be read (--url URL, --read-back CMD), or that this is enough (--no-verify).",
                style="warning",
            )
        )
    return tuple(shown)


def _wrong(published: Published) -> list[Part]:
    rows = [f"{one.path}: {one.why}" for one in published.wrong]
    if all("://" in one.path for one in published.wrong):  # the address by which it was to be read
        advice = "Look at --url: it is where a web server gives the index's first page. And is the server up?"
        return [lines("", *rows, style="bad"), lines(advice)]
    head = f"{units.count(len(rows), 'file')} not there as published:"
    advice = "Run the same command again: it sends what is missing. See docs/index-publishing.md."
    return [lines("", head, *rows, style="bad"), lines(advice)]


def _told(published: Published) -> list[Part]:
    """What a dry run would do, and what is stale."""
    shown: list[Part] = []
    if published.dry_run and published.sent:
        shown.append(lines(*_short([f"would send {path}" for path in published.sent])))
    if published.stale:
        verb = "removed" if published.removed else "is still there, and no longer in the index:"
        verb = "would remove" if published.removed and published.dry_run else verb
        shown.append(lines(*_short([f"{verb} {path}" for path in published.stale])))
        if not published.removed:
            shown.append(lines("--delete removes these."))
    return shown


def _short(rows: list[str]) -> list[str]:
    left = len(rows) - MOST_SHOWN
    return [*rows[:MOST_SHOWN], f"... and {left} more"] if left > 0 else rows


def _head(published: Published) -> str:
    files: Mapping[str, int] = {file.path: file.size for file in published.publication.files}
    what = f"{units.count(published.publication.wheels, 'wheel')} for {published.name}"
    if not published.changed:
        return f"{what}: no change"
    size = units.size(sum(files[path] for path in published.sent))
    verb = "would be sent" if published.dry_run else "sent"
    return f"{what}: {units.count(len(published.sent), 'file')} ({size}) {verb}"
