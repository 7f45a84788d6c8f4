"""The tree of an index: read as it stands, changed as a whole or not at all.

The JSON pages are the truth; HTML, the lists of projects and the own branch are drawn from them. Readers need no lock:
wheels come before the pages that name them, and every file is renamed into its place.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from packaging.utils import canonicalize_name

from builder.errors import BuildFailure, UsageFailure
from builder.files import disk_failures, locked
from builder.index import layout
from builder.index.change import SCHEMA, SETTINGS, Change
from builder.index.layout import OWN, PROD, SIMPLE, Branch
from builder.index.page import Page, from_json

LOCK = ".lock"


class Index:
    """An index in the directory `root`. `root_url` begins the links of its pages where they are to be absolute."""

    def __init__(self, root: Path, root_url: str = "") -> None:
        self.root, self.root_url = root, root_url

    @classmethod
    def open(cls, root: Path) -> Index:
        """The index that is there. Raises UsageFailure where there is none, or one of a newer version."""
        try:
            settings = json.loads((root / SETTINGS).read_bytes())
            schema, root_url = settings["schema"], str(settings["root_url"])
        except FileNotFoundError:
            raise UsageFailure(
                f"there is no index in {root}",
                next="Make one: ot2deploy index build   (or name another with --index DIR)",
            ) from None
        except (ValueError, LookupError, TypeError, OSError) as error:
            raise UsageFailure(f"{root / SETTINGS} is not an index's: {type(error).__name__}") from error
        if schema != SCHEMA:
            raise UsageFailure(f"the index in {root} was written by a newer ot2deploy", next="Upgrade ot2deploy.")
        return cls(root, root_url)

    @classmethod
    def create(cls, root: Path, root_url: str | None = None) -> Index:
        """The index in `root`, made where there is none; a `root_url` that is given holds from now on ("" for relative
        links). Raises UsageFailure for a directory that holds something else, DiskFailure.
        """
        if (root / SETTINGS).exists():
            index = cls.open(root)
            if root_url is None or root_url.rstrip("/") == index.root_url.rstrip("/"):
                return index
        elif root.exists() and (not root.is_dir() or any(not path.name.startswith(".") for path in root.iterdir())):
            raise UsageFailure(
                f"{root} holds something that is no index", next="Name a new or empty directory with --index DIR."
            )
        index = cls(root, f"{root_url.rstrip('/')}/" if root_url else "")
        with index.change() as change:
            change.draw_all()
        return index

    def branches(self) -> tuple[Branch, ...]:
        """All branches of profiles that have pages, sorted."""
        return tuple(branch for branch in self._all_branches() if branch.profile != OWN)

    def channels(self, profile: str) -> tuple[str, ...]:
        """The channels that a profile has pages in, "prod" first."""
        found = [branch.channel for branch in self._all_branches() if branch.profile == profile]
        return tuple(sorted(found, key=lambda name: (name != PROD, name)))

    def names(self, branch: Branch) -> tuple[str, ...]:
        """The projects of a branch, sorted."""
        return tuple(sorted(path.parent.name for path in (self.root / branch.simple).glob("*/index.json")))

    def page(self, branch: Branch, name: str) -> Page:
        """A project's page, without files where the branch does not have it.

        Raises BuildFailure for one that is damaged or cannot be read.
        """
        path = self.root / branch.page(canonicalize_name(name)) / "index.json"
        try:
            return from_json(path.read_bytes())
        except FileNotFoundError:
            return Page(name=canonicalize_name(name))
        except ValueError as error:
            raise BuildFailure(
                f"{path}: {error}", next="Remove this file, and upload the project's wheels again."
            ) from error
        except OSError as error:
            raise _unreadable(path, error) from error

    def pages(self, branch: Branch) -> Iterator[Page]:
        """All pages of a branch, by name."""
        for name in self.names(branch):
            yield self.page(branch, name)

    def check_lists(self) -> None:
        """Passes an index whose lists of projects can all be read. Raises BuildFailure."""
        for branch in self._all_branches():
            path = self.root / branch.simple / "index.json"
            try:
                _ = [project["name"] for project in json.loads(path.read_bytes())["projects"]]
            except FileNotFoundError:  # a writer that was killed before the list
                continue
            except OSError as error:
                raise _unreadable(path, error) from error
            except (ValueError, LookupError, TypeError) as error:
                raise BuildFailure(f"{path} is damaged", next="Have it drawn anew: ot2deploy index gc") from error

    def wheel(self, profile: str, filename: str) -> Path:
        """Where a wheel is, or would be."""
        return self.root / layout.wheel(profile, filename)

    @contextlib.contextmanager
    def change(self) -> Iterator[Change]:
        """Holds the index against other writers; what the block did is written when it ends well, all of it or nothing.

        Raises DiskFailure.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with disk_failures(self.root), locked(self.root / LOCK):
            change = Change(self)
            yield change
            change.write()

    def _all_branches(self) -> tuple[Branch, ...]:
        plain = [Branch(profile=path.parent.name) for path in self.root.glob(f"*/{SIMPLE}") if path.is_dir()]
        others = [
            Branch(profile=path.parts[-3], channel=path.parts[-2])
            for path in self.root.glob(f"*/*/{SIMPLE}")
            if path.is_dir() and path.parts[-2] != SIMPLE  # not the page of a project of that name
        ]
        return tuple(sorted([*plain, *others]))


def _unreadable(path: Path, error: OSError) -> BuildFailure:
    return BuildFailure(f"{path} cannot be read: {error.strerror or error}", next="Look at its owner and permissions.")
