"""What a TARGET of `index publish` means: a directory, HOST:PATH over SSH, or an rsync daemon."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

from builder.errors import UsageFailure
from builder.fetch import split
from builder.index.publish.daemon import Daemon
from builder.index.publish.directory import Directory
from builder.index.publish.flow import Place
from builder.index.publish.ssh import Host, Ssh

SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+)://", re.I)
DAEMON = re.compile(r"(?P<login>[^@:/\s]+@)?(?P<host>\[[0-9a-fA-F:.%]+\]|[^@:/\s\[\]]+)::(?P<path>.*)")
HOST = re.compile(r"(?:(?P<user>[^@:/\s]+)@)?(?P<host>\[[0-9a-fA-F:.%]+\]|[^@:/\s\[\]]+):(?P<path>.*)")
DRIVE = re.compile(r"[A-Za-z]:([\\/].*)?")


def place(text: str, index: Path, *, beside: bool = False) -> Place:
    """The place that a TARGET names; with `beside` a directory may hold other things, too.

    Raises UsageFailure for what names none, and for the directory of the index.
    """
    found = _place(text, beside)
    if isinstance(found, Directory):
        one, other = found.root.resolve(), index.resolve()
        if one == other or one in other.parents or other in one.parents:
            raise UsageFailure(
                f"{found.root} is the index itself, or around or inside it", next="Name another directory."
            )
    return found


def _place(text: str, beside: bool) -> Place:
    if scheme := SCHEME.match(text):
        return _of_url(text, scheme["scheme"].lower(), beside)
    if match := DAEMON.fullmatch(text):
        return Daemon(f"rsync://{match['login'] or ''}{match['host']}/{match['path']}")
    local = text.startswith((".", "/", "~")) or (os.name == "nt" and DRIVE.fullmatch(text))
    if not local and (match := HOST.fullmatch(text)):
        return Ssh(_host(text, match["user"], match["host"].strip("[]"), match["path"]))
    return Directory(Path(text).expanduser().resolve(), beside=beside)


def _of_url(text: str, scheme: str, beside: bool) -> Place:
    parts = split(text)
    if scheme == "rsync":
        return Daemon(text)
    if scheme == "file":
        return Directory(Path(unquote(parts.path)).resolve(), beside=beside)
    if scheme != "ssh":
        raise UsageFailure(
            f"nothing can be sent to {scheme}:// by ot2deploy itself",
            next=f"Name the program that can, such as: --command 'aws s3 sync {{tree}} {scheme}://...'",
        )
    if parts.password is not None:
        raise UsageFailure("a password stands in the ssh URL", next="Use a key: nobody is asked for a password.")
    return Ssh(_host(text, parts.username, parts.hostname or "", unquote(parts.path), parts.port or 0))


def _host(text: str, user: str | None, name: str, path: str, port: int = 0) -> Host:
    """A directory there; one that begins with ~/ or no slash is in the home directory."""
    path = re.sub(r"^/?~(/|$)", "", path) or "."
    if not name or name.startswith("-") or (user or "").startswith("-") or path.startswith(("~", "-")):
        raise UsageFailure(
            f"{text} names no directory of a computer", next="Write HOST:/DIRECTORY or USER@HOST:DIRECTORY."
        )
    return Host(host=f"{user}@{name}" if user else name, directory=path, port=port)
