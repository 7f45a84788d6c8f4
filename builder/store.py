"""The store: files by sha256 with their provenance, and answers already given, safe for several processes at once."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.errors import BuildFailure, HashFailure
from builder.files import locked, sha256_file, write_json

SCHEMA = 1
SHA256 = re.compile(r"[0-9a-f]{64}")
MARK_EVERY = 3600.0  # seconds: a blob's last use is known to the hour
RETIRED = ".retired"  # what a record is called while its blob is removed
FILENAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+!-]{0,250}")


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A file of the store (a wheel or an sdist), found by the sha256 of its bytes; `size` in bytes."""

    filename: str
    sha256: str
    size: int
    path: Path


class Store:
    """A directory of `blobs/<sha256>/<filename>`, their `records/`, and `answers/` to questions by key.

    A blob is trusted while its size and time are those of the moment when it was hashed; else it is hashed again,
    and removed when it is damaged, so that whoever asks gets it anew.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def blob(self, sha256: str, *, verify: bool = False) -> Blob | None:
        """The file with this sha256, or None where it is not there, was damaged or belongs to a newer ot2deploy.

        `verify` hashes it even when its size and time have not changed.
        """
        record = self.record(sha256)
        if record is None:
            return None
        path = self._blob_path(sha256, record["filename"])
        stamp = _stamp(path)
        if stamp is None:
            return None
        if verify or stamp != record["stamp"]:
            with self.lock(f"blob-{sha256}"):  # what another process has just made good must not be removed
                return self._hashed(sha256)
        if not self._mark_used(sha256):
            return None  # it is just being retired
        return Blob(filename=record["filename"], sha256=sha256, size=record["size"], path=path)

    def _hashed(self, sha256: str) -> Blob | None:
        """`blob` with `verify`, for who holds the blob's lock."""
        record = self.record(sha256)
        path = self._blob_path(sha256, record["filename"]) if record else None
        stamp = _stamp(path) if path else None
        if not record or not path or not stamp:
            return None
        if sha256_file(path) != sha256:
            self.remove(sha256)
            return None
        if stamp != record["stamp"]:
            write_json(self._record_path(sha256), {**record, "stamp": stamp})
        return Blob(filename=record["filename"], sha256=sha256, size=record["size"], path=path)

    def hashes(self) -> tuple[str, ...]:
        """The sha256 of every blob, sorted; whether each is good `blob` says."""
        return tuple(sorted(path.name for path in (self.root / "blobs").glob("*") if SHA256.fullmatch(path.name)))

    def record(self, sha256: str) -> dict[str, Any] | None:
        """Provenance of a blob: filename, size, unpacked (bytes), files, `how` it came and what that says, or None."""
        found = _read_json(self._record_path(sha256))
        return found if found and found.get("schema") == SCHEMA else None

    def add(self, path: Path, *, how: str, facts: Mapping[str, Any] | None = None, sha256: str | None = None) -> Blob:
        """Takes a copy of a file; `sha256` is the one it must have. What is already known of the same bytes stays.

        Raises HashFailure, and AuditFailure where a wheel cannot even be opened.
        """
        with self.incoming(path.name) as incoming:
            shutil.copyfile(path, incoming)
            return self.adopt(incoming, how=how, facts=facts, sha256=sha256)

    def adopt(self, path: Path, *, how: str, facts: Mapping[str, Any] | None = None, sha256: str | None = None) -> Blob:
        """Takes a file of `incoming` itself; otherwise like `add`."""
        _check_name(path.name)
        found = sha256_file(path)
        if sha256 not in (None, found):
            raise HashFailure(f"{path.name} has another sha256 than promised", why=f"Expected {sha256}, got {found}.")
        with self.lock(f"blob-{found}"):
            known = self._hashed(found)
            if known and known.filename == path.name:
                return known
            record = {
                "schema": SCHEMA,
                "filename": path.name,
                "sha256": found,
                "size": path.stat().st_size,
                **_measures(path),
                "how": how,
                "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "facts": dict(facts or {}),
            }
            place = self._blob_path(found, path.name)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
            write_json(self._record_path(found), {**record, "stamp": _stamp(place)})
        return Blob(filename=path.name, sha256=found, size=record["size"], path=place)

    @contextlib.contextmanager
    def incoming(self, filename: str) -> Iterator[Path]:
        """A path in the store's file system for a file that is to be adopted; removed when nobody did.

        Raises BuildFailure for a name that could lead out of it: names come from indexes, locks and bundles.
        """
        _check_name(filename)
        with self.scratch() as directory:
            yield directory / filename

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A temporary directory in the store's file system."""
        base = self.root / "tmp"
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=base) as name:
            yield Path(name)

    def remove(self, sha256: str) -> None:
        """Removes a blob and its record."""
        self._record_path(sha256).unlink(missing_ok=True)
        shutil.rmtree(self.root / "blobs" / sha256, ignore_errors=True)

    def used(self, sha256: str) -> float:
        """When a blob was last given out, in seconds since the epoch, to the hour; 0 where there is none."""
        try:
            return self._record_path(sha256).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def retire(self, sha256: str, before: float) -> bool:
        """Removes a blob unless it was given out after `before`, which some process may then be using.

        The record is moved away before it is looked at: whoever asks meanwhile finds no blob, or has marked it.
        """
        record = self._record_path(sha256)
        retired = record.with_suffix(RETIRED)
        with self.lock(f"blob-{sha256}"):
            try:
                record.replace(retired)
            except FileNotFoundError:
                return False
            if retired.stat().st_mtime > before:
                retired.replace(record)
                return False
            shutil.rmtree(self.root / "blobs" / sha256, ignore_errors=True)
            retired.unlink()
        return True

    def _mark_used(self, sha256: str) -> bool:
        """Notes that a blob is given out now. False where it has no record any more."""
        path = self._record_path(sha256)
        try:
            if abs(time.time() - path.stat().st_mtime) > MARK_EVERY:
                os.utime(path)
        except FileNotFoundError:
            return False
        except OSError:  # a store that only others may write to
            pass
        return True

    def answer(self, kind: str, key: str) -> Any:
        """What was kept for a question (`kind` and the digest of all it depends on), or None."""
        found = _read_json(self._answer_path(kind, key))
        return found["value"] if found and found.get("schema") == SCHEMA else None

    def keep_answer(self, kind: str, key: str, value: Any) -> None:
        """Keeps a JSON value for a question. It is not synced: an answer that a power cut took is asked for again."""
        write_json(self._answer_path(kind, key), {"schema": SCHEMA, "value": value}, synced=False)

    def lock(self, key: str) -> contextlib.AbstractContextManager[None]:
        """Holds `key` against other threads and processes, so that nothing is done twice at the same time."""
        return locked(self.root / "locks" / key)

    def _blob_path(self, sha256: str, filename: str) -> Path:
        return self.root / "blobs" / sha256 / filename

    def _record_path(self, sha256: str) -> Path:
        return self.root / "records" / f"{sha256}.json"

    def _answer_path(self, kind: str, key: str) -> Path:
        return self.root / "answers" / kind / f"{key}.json"


def _check_name(filename: str) -> None:
    if not FILENAME.fullmatch(filename):
        raise BuildFailure(f"{filename[:80]!r} is no name for a wheel or sdist")


def _measures(path: Path) -> dict[str, Any]:
    """What a manifest says of a wheel, known once and for all; an sdist has none."""
    if path.suffix != ".whl":
        return {}
    from builder.wheel import WheelFile

    wheel = WheelFile.open(path)
    return {
        "name": wheel.name,
        "version": wheel.version,
        "unpacked": wheel.unpacked_size,
        "files": wheel.file_count,
        "top_level": list(wheel.top_level),
    }


def _stamp(path: Path) -> list[int] | None:
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return [facts.st_size, facts.st_mtime_ns]


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None
