"""Files as we write them: atomic, hashed, canonical, locked."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

from builder.errors import BuildFailure, DiskFailure
from builder.giving_up import given_up
from builder.places import cache_root

try:
    import fcntl
except ImportError:  # Windows: one process at a time is then the user's own care
    fcntl = None  # type: ignore[assignment]

CHUNK = 1 << 20
SYNC_ALL = 16  # files; more are synced by one call for all file systems
PARTS = ".*.part"  # what is not written to its end: `replacing` of somebody who writes, or was killed
TURN = 0.2  # seconds between two looks whether a lock is still waited for
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
DENIED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOENT)


def sha256_bytes(data: bytes) -> str:
    """Hexadecimal sha256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hexadecimal sha256 of a file, read in chunks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys and no spaces, so that equal values are equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest_of(value: Any) -> str:
    """Hexadecimal sha256 of a value's canonical JSON."""
    return sha256_bytes(canonical_json(value))


@contextlib.contextmanager
def replacing(path: Path, *, mode: int = 0o644, synced: bool = True) -> Iterator[Path]:
    """A temporary path beside `path`; renamed over it, synced, when the block ends well, removed when not.

    Without `synced` the file may be empty after a power cut: for what can be made again.
    """
    temporary = _beside(path)
    try:
        yield temporary
        temporary.chmod(mode)
        if synced:
            sync([temporary])
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_all() -> Iterator[Callable[[Path], Path]]:
    """Gives a temporary path beside each path it is asked for; all are renamed over them, in that order, when the block
    ends well, and removed when not, with the directories that were made for them. They are synced together: one by one
    a thousand take seconds.
    """
    places: dict[Path, Path] = {}
    made: set[Path] = set()

    def beside(path: Path) -> Path:
        made.update(takewhile(lambda directory: not directory.exists(), path.parents))
        places[path] = _beside(path)
        return places[path]

    try:
        yield beside
        for temporary in places.values():
            temporary.chmod(0o644)
        sync(list(places.values()))
        for path, temporary in places.items():
            temporary.replace(path)
    finally:
        for temporary in places.values():
            temporary.unlink(missing_ok=True)
        for directory in sorted(made, reverse=True):  # those inside of others first
            with contextlib.suppress(OSError):  # what holds something stays
                directory.rmdir()


def _beside(path: Path) -> Path:
    """A new empty file beside `path`, in whose place it can be renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".part")
    os.close(handle)
    return Path(name)


def sync(paths: list[Path]) -> None:
    """Waits until files are on the disk."""
    if len(paths) > SYNC_ALL and hasattr(os, "sync"):
        os.sync()
        return
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())


def write_bytes(path: Path, data: bytes, *, mode: int = 0o644, synced: bool = True) -> None:
    """Writes a file whole or not at all; `synced` as for `replacing`."""
    with replacing(path, mode=mode, synced=synced) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: Any, *, mode: int = 0o644, synced: bool = True) -> None:
    """Writes a value as indented JSON, whole or not at all; `synced` as for `replacing`."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
    write_bytes(path, text.encode() + b"\n", mode=mode, synced=synced)


@contextlib.contextmanager
def disk_failures(where: Path) -> Iterator[None]:
    """Raises DiskFailure for a full disk or denied access in the block; it names the file, or else `where`."""
    try:
        yield
    except OSError as error:
        number = _number(error)
        if number not in (*FULL, *DENIED, errno.EIO):
            raise
        full = number in FULL  # a copy names first what it reads, and it is the other file that finds no room
        place = Path(str((full and error.filename2) or error.filename or where))
        way = "Free some space there" if full else "Look at its owner and permissions"
        raise DiskFailure(f"{place}: {os.strerror(number)}", next=f"{way}, or {_elsewhere(place)}.") from error


def _elsewhere(place: Path) -> str:
    """How to write to another directory than that of a path."""
    if place.is_relative_to(cache_root()):
        return "use another place; $OT2DEPLOY_CACHE says where the store is"
    return f"use another directory than {place if place.is_dir() else place.parent}"


def _number(error: OSError) -> int | None:
    """What the system said; of a tree that was copied, the first time (shutil.Error has it in words only)."""
    if isinstance(error, shutil.Error) and (found := re.search(r"\[Errno (\d+)\]", str(error))):
        return int(found[1])
    return error.errno


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock named by `path` (a file of its own), waiting for other processes and threads.

    Raises BuildFailure when work is given up meanwhile.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _wait_for(file.fileno(), path.name)
        yield


def _wait_for(handle: int, name: str) -> None:
    """Lets a thread of its own wait in the kernel, which no other one could tell to give up."""
    same = os.dup(handle)  # the thread's own: the lock goes when both are closed, whoever is the last
    done = threading.Event()
    failed: list[OSError] = []

    def take() -> None:
        try:
            fcntl.flock(same, fcntl.LOCK_EX)
        except OSError as error:
            failed.append(error)
        finally:
            os.close(same)
            done.set()

    threading.Thread(target=take, daemon=True).start()
    while not done.wait(TURN):
        if given_up():
            raise BuildFailure(f"interrupted while waiting for {name}")
    if failed:
        raise failed[0]


@contextlib.contextmanager
def held(directory: Path) -> Iterator[bool]:
    """Holds a directory in the block unless another process does, without waiting; says whether it could.

    The kernel lets go of it when the process ends, whatever ended it. Nothing can be held on Windows.
    """
    if fcntl is None:
        yield False
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)
