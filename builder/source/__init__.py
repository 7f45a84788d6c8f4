"""Sources: where a project's bytes are, and the tree that they unpack to."""

from builder.source.source import (
    Archive,
    ArchiveSource,
    DebianSource,
    GithubDevSource,
    GithubReleaseSDistSource,
    GitSource,
    IndexSdist,
    LocalSource,
    Source,
)

__all__ = [
    "Archive",
    "ArchiveSource",
    "DebianSource",
    "GitSource",
    "GithubDevSource",
    "GithubReleaseSDistSource",
    "IndexSdist",
    "LocalSource",
    "Source",
]
