"""Publishing to an rsync daemon (rsync://), which has no shell: it is asked by rsync's own comparison."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from builder.errors import UsageFailure
from builder.events import Event, Report
from builder.index.publish import rsync
from builder.index.publish.directory import portions
from builder.index.publish.publication import Listed, Publication


class Daemon:
    """A directory of an rsync daemon, `rsync://[USER@]HOST[:PORT]/MODULE[/PATH]`."""

    proof = "rsync's checksums"

    def __init__(self, url: str) -> None:
        """Raises UsageFailure for a URL with a password, or without a module, and where this computer has no rsync."""
        parts = urlsplit(url)
        if parts.password is not None:
            raise UsageFailure(
                "a password stands in the rsync URL",
                why="Command lines are seen by everybody on this computer, and are kept in shells' histories.",
                next=f"Write the URL without it, and put the password into the variable {rsync.PASSWORD}.",
            )
        if not parts.path.strip("/"):
            raise UsageFailure(f"{url} names no module of the daemon", next="Write rsync://HOST/MODULE[/PATH].")
        if not rsync.usable():
            raise UsageFailure("there is no rsync on this computer", next="Install it (Debian: apt-get install rsync).")
        self.name = url.rstrip("/")

    def there(self, publication: Publication) -> dict[str, str]:
        """See Place: a file that has other bytes there has no sha256. Raises ToolFailure."""
        found = set(rsync.listing(self.name))
        listed = [file for file in publication.files if file.path in found]
        other = rsync.differing(publication.root, self.name, listed) if listed else set()
        return dict.fromkeys(found, "") | {file.path: file.sha256 for file in listed if file.path not in other}

    def send(self, publication: Publication, files: Sequence[Listed], report: Report) -> None:
        """See Place. Raises ToolFailure."""
        total, done = sum(file.size for file in files), 0
        for some in portions(files):
            report(Event(subject=self.name, stage="send", done=done, total=total, unit="B"))
            rsync.send(publication.root, self.name, some)
            done += sum(file.size for file in some)
        report(Event(subject=self.name, stage="send", done=done, total=total, unit="B"))

    def remove(self, paths: Sequence[str]) -> None:
        """See Place. Raises ToolFailure."""
        rsync.remove(self.name, paths)
