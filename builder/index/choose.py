"""What a person names of an index: versions as NAME==VERSION, branches by profiles and channels. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from builder.errors import UsageFailure
from builder.index.layout import Branch
from builder.index.page import File, Page


@dataclass(frozen=True, kw_only=True)
class Named:
    """A project by its normalised name, and one version of it, or none named."""

    name: str
    version: Version | None = None

    def __str__(self) -> str:
        return f"{self.name}=={self.version}" if self.version else self.name

    def files(self, page: Page) -> tuple[File, ...]:
        """The files of the version that is named, or all of them."""
        return tuple(file for file in page.files if self.version in (None, Version(file.version)))


def named(text: str, *, exact: bool = False) -> Named:
    """What NAME or NAME==VERSION names; `exact` wants a version. Raises UsageFailure."""
    name, equals, version = (part.strip() for part in text.partition("=="))
    try:
        found = Named(name=canonicalize_name(name, validate=True), version=Version(version) if equals else None)
    except (InvalidName, InvalidVersion):
        found = None
    if found is None or (exact and found.version is None):
        form = "NAME==VERSION" if exact else "NAME or NAME==VERSION"
        raise UsageFailure(
            f"`{text}` is not {form}", next="As in: demo==1.2   (see which there are: ot2deploy index list)"
        )
    return found


def newest_first(files: Iterable[File]) -> list[tuple[Version, list[File]]]:
    """Files by their versions, the newest version first: by its public part, of equal ones what was uploaded last.

    Local parts do not count before that: those of loose files (`0+1a2b`) are digests, which have no order.
    """
    found: dict[Version, list[File]] = {}
    for file in files:
        found.setdefault(Version(file.version), []).append(file)

    def age(version: Version) -> tuple[Version, datetime, Version]:
        return Version(version.public), max(map(uploaded, found[version])), version

    return [(version, found[version]) for version in sorted(found, key=age, reverse=True)]


def uploaded(file: File) -> datetime:
    """When a file was uploaded."""
    read = datetime.fromisoformat(file.uploaded)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def branches(there: Sequence[Branch], profiles: Sequence[str] = (), channels: Sequence[str] = ()) -> tuple[Branch, ...]:
    """Those of an index's branches that are of these profiles and channels; all where none is named.

    Raises UsageFailure for a profile or channel that has none, and for a profile that has none of the channels.
    """
    for word, wanted, known in (
        ("profile", profiles, {branch.profile for branch in there}),
        ("channel", channels, {branch.channel for branch in there}),
    ):
        if missing := [name for name in wanted if name not in known]:
            raise UsageFailure(
                f"the index has no {word} {', '.join(missing)}",
                why=f"It has: {', '.join(sorted(known)) or 'none yet'}.",
                next="See what it has: ot2deploy index list",
            )
    found = tuple(
        branch
        for branch in there
        if (not profiles or branch.profile in profiles) and (not channels or branch.channel in channels)
    )
    if without := sorted(set(profiles) - {branch.profile for branch in found}):
        raise UsageFailure(f"{', '.join(without)} has no channel {', '.join(channels)}")
    return found
