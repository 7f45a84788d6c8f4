"""Where things are in an index: branches, their directories, and how pages link to wheels. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote

from builder.errors import UsageFailure
from builder.files import sha256_bytes
from builder.profile import names

PROD = "prod"  # the channel of a branch's plain address
OWN = "own"  # in the place of a profile: the lab's own projects, of all profiles
SIMPLE, FILES = "simple", "files"
METADATA = ".metadata"  # after the name of a wheel: its METADATA, beside it (PEP 658)
CHANNEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
HOST = "host"  # the profile of this computer, by the name that people give it
# In addresses these mean something else; a channel called like a profile would be taken for this one's prod.
RESERVED = (SIMPLE, FILES, OWN, "legacy", "mirror", "health", HOST, *names())


@dataclass(frozen=True, kw_only=True, order=True)
class Branch:
    """A profile's wheels in one channel; `profile` is "own" for the branch that lists the lab's own projects."""

    profile: str
    channel: str = PROD

    def __str__(self) -> str:
        return self.profile if self.channel == PROD else f"{self.profile}/{self.channel}"

    @property
    def simple(self) -> PurePosixPath:
        """The directory of its pages, relative to the index's root."""
        return PurePosixPath(str(self)) / SIMPLE

    def page(self, name: str) -> PurePosixPath:
        """The directory of a project's page; `name` is normalised (PEP 503)."""
        return self.simple / name

    def link(self, profile: str, filename: str, root_url: str = "") -> str:
        """The URL of a wheel of `profile` for this branch's pages: relative to them, or below `root_url`."""
        up = root_url if root_url else "../" * len(self.page("x").parts)
        if profile == self.profile and not root_url:  # without its own name, so that the directory may be renamed
            up = "../" * (len(self.page("x").parts) - 1)
            return f"{up}{FILES}/{quote(filename)}"
        return f"{up}{profile}/{FILES}/{quote(filename)}"


def wheel(profile: str, filename: str) -> PurePosixPath:
    """Where a wheel of a profile is, relative to the index's root; its METADATA stands beside it with `.metadata`."""
    return PurePosixPath(profile) / FILES / filename


def channel(name: str) -> str:
    """A channel's name as it was given. Raises UsageFailure for what can be none."""
    if not CHANNEL.fullmatch(name) or name in RESERVED:
        raise UsageFailure(
            f"`{name}` is no name of a channel",
            why="Names have small letters, digits and . _ - only, begin with a letter or digit, and are none of "
            f"{', '.join(RESERVED)}.",
            next="Usual ones: dev, staging, prod; for a git branch: --git-branch NAME.",
        )
    return name


def channel_of(git_branch: str) -> str:
    """The channel of a git branch: its name where that can be one, else made like it, with a digest against doubles."""
    if CHANNEL.fullmatch(git_branch) and git_branch not in (*RESERVED, PROD):
        return git_branch
    like = re.sub(r"[^a-z0-9._-]+", "-", git_branch.lower()).strip("-._")[:50] or "branch"
    return f"{like}-{sha256_bytes(git_branch.encode())[:8]}"
