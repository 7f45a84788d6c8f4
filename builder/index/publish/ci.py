"""The names under which continuous integration publishes: a push's channel, a build's tag. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from builder.errors import UsageFailure
from builder.index.layout import PROD, channel_of

STAGING = "staging"
HEADS, TAGS = "refs/heads/", "refs/tags/"
MAIN = ("main", "master")
RELEASE = re.compile(r"packages@v\d.*")
SHA = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True, kw_only=True)
class Build:
    """One build of a lab's packages: of the git commit `sha`, at `at`. Its names are those of earlier builders."""

    sha: str
    at: datetime

    def __post_init__(self) -> None:
        """Raises UsageFailure for what is no commit."""
        if not SHA.fullmatch(self.sha):
            raise UsageFailure(f"`{self.sha}` is no git commit", next="Name the build with --tag.")

    @property
    def tag(self) -> str:
        """The tag of a release: build-YYYYMMDD-HHMMSS-<sha7>, in UTC."""
        return f"build-{self.at.astimezone(UTC):%Y%m%d-%H%M%S}-{self.sha[:7]}"

    @property
    def name(self) -> str:
        """The name of what is kept of it: opentrons-packages-<sha>."""
        return f"opentrons-packages-{self.sha}"


def channel_of_ref(ref: str) -> str:
    """The channel of a full git ref: staging of the main branch, prod of a tag packages@v*, else the branch's own.

    Raises UsageFailure for every other tag or ref: nobody says where that should go.
    """
    if ref.startswith(HEADS):
        branch = ref.removeprefix(HEADS)
        return STAGING if branch in MAIN else channel_of(branch)
    if ref.startswith(TAGS) and RELEASE.fullmatch(ref.removeprefix(TAGS)):
        return PROD
    raise UsageFailure(
        f"`{ref}` has no channel",
        why="Channels belong to branches (refs/heads/...) and to tags of releases (refs/tags/packages@v...).",
        next="Name a channel with --channel.",
    )
