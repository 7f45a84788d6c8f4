"""Makes room in the store: files that nothing known names and nobody used lately, and answers about what is gone."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.errors import UsageFailure
from builder.files import disk_failures
from builder.store import RETIRED, SHA256, Store

KEEP_DAYS = 30
DAY = 86400.0
# What was used in the last day may be in use: a command that goes on longer has sent or installed its files long since.
GRACE = DAY
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
# Answers that are of no use without the file that they name.
ABOUT_FILES = ("build", "bundle", "choice", "local", "pack", "source")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Files used since `keep_days` before `now` (seconds since the epoch) stay; with `max_size` (bytes) instead as many
    of the last used ones as fit. What is named, or was used in the last day, stays in any case."""

    now: float
    keep_days: float = KEEP_DAYS
    max_size: int | None = None


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A file of the store: what it is, when it was last used, and why it stays ("" where it goes)."""

    sha256: str
    filename: str
    how: str
    size: int
    used: float
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What went, or would go, what stays, and how many answers and leftovers of killed commands went."""

    gone: tuple[Kept, ...]
    kept: tuple[Kept, ...]
    answers: int
    leftovers: int
    leftover_bytes: int

    @property
    def freed(self) -> int:
        """Bytes of files and leftovers that are free now."""
        return sum(one.size for one in self.gone) + self.leftover_bytes

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "removed": [vars(one) for one in self.gone],
            "kept": len(self.kept),
            "kept_bytes": sum(one.size for one in self.kept),
            "answers": self.answers,
            "leftovers": self.leftovers,
            "freed": self.freed,
        }


def judge(files: tuple[Kept, ...], named: Mapping[str, str], policy: Policy) -> tuple[Kept, ...]:
    """Each file with why it stays; `named` says by sha256 who names it. Pure."""
    room = policy.max_size
    judged = []
    for one in sorted(files, key=lambda one: (-one.used, one.sha256)):
        why = named.get(one.sha256, "")
        if not why and one.used > policy.now - GRACE:
            why = "used in the last day"
        if not why and room is None and one.used > policy.now - policy.keep_days * DAY:
            why = f"used in the last {policy.keep_days:g} days"
        judged.append((one, why))
    if room is not None:
        room -= sum(one.size for one, why in judged if why)
    result = []
    for one, why in judged:
        if not why and room is not None and one.size <= room:
            why, room = "there is room for it", room - one.size
        result.append(Kept(**{**vars(one), "why": why}))
    return tuple(result)


def sweep(store: Store, named: Mapping[str, str], policy: Policy, *, dry_run: bool = False) -> Swept:
    """Judges all files of the store and removes those that go; other commands may be using it meanwhile.

    Raises DiskFailure.
    """
    judged = judge(tuple(_files(store)), named, policy)
    gone, kept = [one for one in judged if not one.why], [one for one in judged if one.why]
    with disk_failures(store.root):
        if not dry_run:
            retired = [one for one in gone if store.retire(one.sha256, max(one.used, 0.0))]
            kept += [one for one in gone if one not in retired and store.record(one.sha256)]
            gone = retired
        without = frozenset(one.sha256 for one in gone)
        answers = [path for path in _answers(store) if _is_about(path, store, without)]
        leftovers = list(_leftovers(store, policy.now - GRACE))
        size = sum(map(_size, leftovers))
        if not dry_run:
            for path in (*answers, *leftovers):
                _remove(path)
    return Swept(
        gone=tuple(gone), kept=tuple(kept), answers=len(answers), leftovers=len(leftovers), leftover_bytes=size
    )


def in_bundles(store: Store, locks: Mapping[str, str]) -> dict[str, str]:
    """The wheels, by sha256, of bundles made of some locks (digest of a lock's file -> who names it)."""
    found: dict[str, str] = {}
    for path in (store.root / "answers" / "bundle").glob("*.json"):
        manifest = _value(path)
        if isinstance(manifest, dict) and (who := locks.get(str(manifest.get("lock")))):
            found |= dict.fromkeys(_sums(manifest), who)
    return found


def parse_size(text: str) -> int:
    """A size such as 800MB or 20GB in bytes. Raises UsageFailure."""
    found = re.fullmatch(r"([0-9]{1,9}) ?([kMGT]?)B?", text)
    if not found:
        raise UsageFailure(f"`{text}` is no size", next="Write it as 800MB or 20GB")
    return int(found[1]) * UNITS[found[2]]


def sizes(root: Path) -> dict[str, int]:
    """Bytes of each directory in the cache beside the store: compilers, headers, builds' work."""
    places = [path for path in sorted(root.glob("*")) if path.is_dir() and path.name not in ("store", "locks")]
    return {path.name: size for path in places if (size := _size(path))}


def now() -> float:
    """The time, in seconds since the epoch."""
    return time.time()


def _files(store: Store) -> Iterator[Kept]:
    for path in sorted((store.root / "records").glob("*.json")):
        record = store.record(path.stem) if SHA256.fullmatch(path.stem) else None
        if record:
            yield Kept(
                sha256=path.stem, filename=str(record["filename"]), how=str(record.get("how")),
                size=int(record["size"]), used=store.used(path.stem),
            )  # fmt: skip


def _leftovers(store: Store, before: float) -> Iterator[Path]:
    """What killed commands left: temporary directories, files without a record, records half removed."""
    places = [*(store.root / "tmp").glob("*"), *(store.root / "records").glob(f"*{RETIRED}")]
    blobs = (store.root / "blobs").glob("*")
    places += [path for path in blobs if not (store.root / "records" / f"{path.name}.json").exists()]
    for path in places:
        try:
            if path.lstat().st_mtime < before:
                yield path
        except FileNotFoundError:
            continue


def _answers(store: Store) -> Iterator[Path]:
    for kind in ABOUT_FILES:
        yield from (store.root / "answers" / kind).glob("*.json")


def _is_about(path: Path, store: Store, without: frozenset[str]) -> bool:
    """Whether an answer names a file that is not in the store, or goes."""
    value = _value(path)
    if isinstance(value, str):
        sums = {value} if SHA256.fullmatch(value) else set()
    elif isinstance(value, dict):
        sums = {str(value["sha256"])} if "sha256" in value else _sums(value)
    else:
        return False
    return any(one in without or not store.used(one) for one in sums)


def _sums(manifest: Mapping[str, Any]) -> set[str]:
    wheels = manifest.get("wheels")
    return {str(row.get("sha256")) for row in wheels if isinstance(row, dict)} if isinstance(wheels, list) else set()


def _value(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes()).get("value")
    except (OSError, ValueError, AttributeError):
        return None


def _size(path: Path) -> int:
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size if path.exists() else 0
    total = 0
    for directory, _, names in os.walk(path):
        for name in names:
            try:
                total += (Path(directory) / name).lstat().st_size
            except FileNotFoundError:
                continue
    return total


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
