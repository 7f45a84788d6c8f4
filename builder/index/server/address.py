"""What an address of an index's server means. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from packaging.utils import canonicalize_name

from builder.index import layout
from builder.index.layout import Branch

LEGACY = "legacy"
FRONT = ("", "index.html")
WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+!-]{0,250}")  # of a name of ours; never begins with a dot
SHA256 = re.compile(r"[0-9a-f]{64}")
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
FIXED = {"index.html": "html", "index.json": "json"}


@dataclass(frozen=True, kw_only=True)
class Front:
    """The page for people."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """Whether the server can do its work."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A page of a branch: of the project `name`, or with "" the list of projects.

    `form` is "html" or "json" where the address names that file, as on a server of plain files; "" leaves it to what
    the client accepts.
    """

    branch: Branch
    name: str = ""
    form: str = ""


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A wheel of a profile, or its METADATA."""

    profile: str
    filename: str


@dataclass(frozen=True, kw_only=True)
class Mirrored:
    """A file that a mirror has or fetches."""

    profile: str
    sha256: str
    filename: str


@dataclass(frozen=True, kw_only=True)
class Legacy:
    """Where uploads go; `words` stand before it."""

    words: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """The right address of what was asked for, relative to the one that was used."""

    location: str


Address = Front | Health | Listing | Wheel | Mirrored | Legacy | Elsewhere


def parse(raw_path: bytes) -> Address | None:
    """What a path as it was sent (percent-encoded, without query) means; None for what is no address of an index.

    Decoded once, after it was split: an encoded slash separates nothing. Nothing is corrected but a missing slash at
    the end and a project's name that is not normalised: `..`, empty words and names that begin with a dot are none.
    """
    first, *rest = raw_path.split(b"/")
    words = [_decoded(word) for word in rest]
    if first or not words or None in words:
        return None
    *before, last = (word or "" for word in words)
    if before == ["-"]:
        return Health() if last in ("health", "ready") else None
    if any(not WORD.fullmatch(word) for word in (*before, *filter(None, [last]))):
        return None
    if not before:
        return Front() if last in FRONT else Elsewhere(location=f"{last}/") if last == LEGACY else None
    return _inside(tuple(before), last)


def _inside(before: tuple[str, ...], last: str) -> Address | None:
    if before[-1] == LEGACY and not last and len(before) <= 3 and layout.SIMPLE not in before:
        return Legacy(words=before[:-1])
    match before:
        case (profile, layout.FILES) if last:
            return Wheel(profile=profile, filename=last)
        case (profile, "mirror", sha256) if last and SHA256.fullmatch(sha256):
            return Mirrored(profile=profile, sha256=sha256, filename=last)
        case (profile, layout.SIMPLE, *names):
            return _listing(Branch(profile=profile), names, last)
        case (profile, channel, layout.SIMPLE, *names) if layout.CHANNEL.fullmatch(channel) and channel != layout.PROD:
            return _listing(Branch(profile=profile, channel=channel), names, last)
    if last in (layout.SIMPLE, LEGACY) and len(before) <= 2:
        return Elsewhere(location=f"{last}/")
    return None


def _listing(branch: Branch, names: list[str], last: str) -> Address | None:
    form = FIXED.get(last, "")
    if last and not form:  # a project without the slash at its end
        right = _normalised(last) if not names else None
        return Elsewhere(location=f"{right}/") if right else None
    if not names:
        return Listing(branch=branch, form=form)
    right = _normalised(names[0]) if len(names) == 1 else None
    if not right:
        return None
    if right != names[0]:
        return Elsewhere(location=f"../{right}/{last}")
    return Listing(branch=branch, name=right, form=form)


def _normalised(name: str) -> str | None:
    return canonicalize_name(name) if NAME.fullmatch(name) else None


def _decoded(word: bytes) -> str | None:
    try:
        return unquote_to_bytes(word).decode()
    except UnicodeDecodeError:
        return None
