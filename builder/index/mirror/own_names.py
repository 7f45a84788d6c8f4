"""Names that are never asked for elsewhere: what the index has, own projects that it ever had, and reserved ones.

Without this, whoever registers a lab's name on the public index is installed on its robots ("dependency confusion").
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from packaging.utils import canonicalize_name

from builder.errors import ConfigFailure, UsageFailure
from builder.files import locked, write_json
from builder.index.change import SETTINGS
from builder.index.layout import OWN, SIMPLE, Branch
from builder.index.tree import Index

log = logging.getLogger("ot2deploy.index")

SCHEMA = 1
NAMES = "own-names.json"
PATTERN = re.compile(r"[a-z0-9*?][a-z0-9*?-]{0,199}")


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is remembered: normalised names of own projects, and patterns of names (`lab-*`), both sorted."""

    own: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()


class OwnNames:
    """The names of one index, remembered in `path`: a project that is removed from the index does not become public."""

    def __init__(self, index: Index, path: Path) -> None:
        self._index, self._path = index, path
        self._guard = threading.Lock()
        self._seen: tuple[tuple[Path, int], ...] | None = None
        self._known = Known()

    def covers(self, name: str) -> bool:
        """Whether nobody elsewhere may be asked for a normalised name. Without an index nothing is known of what is
        the lab's own, so all names are covered. Raises ConfigFailure, DiskFailure.
        """
        if not (self._index.root / SETTINGS).is_file():
            return True
        known = self.look()
        if name in known.own or any(fnmatchcase(name, pattern) for pattern in known.reserved):
            return True
        return any((self._index.root / branch.page(name)).exists() for branch in self._index.branches())

    def look(self) -> Known:
        """Remembers the own projects that the index has now; says all that is remembered."""
        with self._guard:
            seen = self._stamps()
            if seen != self._seen:
                self._keep(add=self._own_now())
                self._seen = seen
            return self._known

    def reserve(self, patterns: Iterable[str]) -> Known:
        """Covers names like `lab-*` from now on, also after a restart. Raises UsageFailure for what is no pattern."""
        return self._keep(reserve=[_pattern(one) for one in patterns])

    def release(self, names: Iterable[str]) -> Known:
        """Forgets names and patterns. One that the index has stays, and one that is not remembered changes nothing:
        both are logged, as they stand in the command of a server that is started again and again.
        """
        known = self._keep(add=self._own_now())
        gone = {re.sub(r"[-_.]+", "-", name).lower() for name in names}
        for name in sorted(gone & self._own_now()):
            log.warning("mirror: %s is in the index, and stays the lab's own as long as it is there", name)
        for name in sorted(gone.difference(known.own, known.reserved)):
            log.warning("mirror: %s was not kept from the mirror", name)
        return self._keep(release=gone - self._own_now())

    def _own_now(self) -> set[str]:
        channels = self._index.channels(OWN)
        return {name for one in channels for name in self._index.names(Branch(profile=OWN, channel=one))}

    def _keep(self, *, add: Iterable[str] = (), reserve: Iterable[str] = (), release: Iterable[str] = ()) -> Known:
        """Changes what is remembered: nothing that another process wrote is lost."""
        gone = set(release)
        with locked(self._path.with_name(f"{self._path.name}.lock")):
            before = _read(self._path)
            self._known = Known(
                own=tuple(sorted({*before.own, *add} - gone)),
                reserved=tuple(sorted({*before.reserved, *reserve} - gone)),
            )
            if self._known != before:
                write_json(self._path, {"schema": SCHEMA, **asdict(self._known)}, mode=0o600)
        return self._known

    def _stamps(self) -> tuple[tuple[Path, int], ...]:
        """Times that change when an own project comes or goes, and when another process changes what is remembered."""
        root = self._index.root / OWN
        return tuple(
            (path, path.stat().st_mtime_ns)
            for path in (self._path, *sorted([*root.glob(SIMPLE), *root.glob(f"*/{SIMPLE}")]))
            if path.exists()
        )


def _pattern(text: str) -> str:
    pattern = re.sub(r"[-_.]+", "-", text).lower()
    if not PATTERN.fullmatch(pattern) or canonicalize_name(pattern) != pattern:
        raise UsageFailure(f"`{text}` is no pattern of names", next="For example: --reserve 'lab-*'")
    return pattern


def _read(path: Path) -> Known:
    try:
        data = json.loads(path.read_bytes())
        if data["schema"] != SCHEMA:
            raise ConfigFailure(f"{path} was written by a newer ot2deploy", next="Upgrade ot2deploy.")
        return Known(own=tuple(map(str, data["own"])), reserved=tuple(map(str, data["reserved"])))
    except FileNotFoundError:
        return Known()
    except (ValueError, LookupError, TypeError) as error:
        raise ConfigFailure(
            f"{path} is damaged: {type(error).__name__}",
            why="It says which names are the lab's own, so nothing is asked for elsewhere without it.",
            next="Put it back from a backup; or remove it, and reserve the lab's names again: --reserve 'lab-*'",
        ) from error
