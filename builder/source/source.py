"""Sources of a project as recipes name them: where the bytes are, and which bytes they must be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from builder.fetch import public


@dataclass(frozen=True, kw_only=True)
class GithubDevSource:
    """The archive that GitHub makes of a tag; `path` is the project's directory inside the repository."""

    kind: ClassVar[str] = "tag archive"
    name: str
    org: str
    repo: str
    tag: str
    path: str | None = None
    sha256: str | None = None

    @property
    def urls(self) -> tuple[str, ...]:
        """Where the archive is."""
        return (f"https://github.com/{self.org}/{self.repo}/archive/refs/tags/{self.tag}.zip",)

    @property
    def filename(self) -> str:
        """The archive's file name."""
        return f"{self.tag.replace('/', '-')}.zip"

    def __str__(self) -> str:
        return f"archive of {self.org}/{self.repo}'s tag {self.tag}"


@dataclass(frozen=True, kw_only=True)
class GithubReleaseSDistSource:
    """A file attached to a GitHub release."""

    kind: ClassVar[str] = "release asset"
    name: str
    org: str
    repo: str
    tag: str
    package_name: str
    path: str | None = None
    sha256: str | None = None

    @property
    def urls(self) -> tuple[str, ...]:
        """Where the file is."""
        return (f"https://github.com/{self.org}/{self.repo}/releases/download/{self.tag}/{self.package_name}",)

    @property
    def filename(self) -> str:
        """The file's name."""
        return self.package_name

    def __str__(self) -> str:
        return f"{self.package_name} of {self.org}/{self.repo}'s release {self.tag}"


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One archive that is in several places: the first that answers with the right bytes will do."""

    kind: ClassVar[str] = "archive"
    urls: tuple[str, ...]
    path: str | None = None
    sha256: str | None = None

    @property
    def filename(self) -> str:
        """The file name in the first URL."""
        return unquote(urlsplit(self.urls[0]).path.rpartition("/")[2])

    def __str__(self) -> str:
        return public(self.urls[0])


@dataclass(frozen=True, kw_only=True)
class IndexSdist:
    """The source distribution that the lock has of the project; `sha256` says that it must be this one."""

    kind: ClassVar[str] = "index sdist"
    sha256: str | None = None
    path: None = None

    def __str__(self) -> str:
        return "the index's source distribution"


@dataclass(frozen=True, kw_only=True)
class DebianSource:
    """The upstream archive of a Debian source package (its .orig.tar), got through the host's apt sources."""

    kind: ClassVar[str] = "Debian source"
    package: str
    version: str
    path: str | None = None
    sha256: str | None = None

    @property
    def url(self) -> str:
        """The package as a URL, for provenance only."""
        return f"debian:{self.package}={self.version}"

    def __str__(self) -> str:
        return f"Debian source package {self.package} {self.version}"


@dataclass(frozen=True, kw_only=True)
class GitSource:
    """The tree of one commit (40 hex digits, which is its pin), without submodules."""

    kind: ClassVar[str] = "git commit"
    url: str
    commit: str
    path: str | None = None

    @property
    def pinned_url(self) -> str:
        """Repository and commit in one, as in a requirement."""
        return f"git+{public(self.url)}@{self.commit}"

    def __str__(self) -> str:
        return f"commit {self.commit[:12]} of {public(self.url)}"


@dataclass(frozen=True, kw_only=True)
class LocalSource:
    """A directory on this host, relative to the recipe's; what lies there is what is built."""

    kind: ClassVar[str] = "local directory"
    path: str

    def __str__(self) -> str:
        return f"local directory {self.path}"


ArchiveSource = GithubDevSource | GithubReleaseSDistSource | Archive
Source = ArchiveSource | IndexSdist | DebianSource | GitSource | LocalSource
