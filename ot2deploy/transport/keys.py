"""Private keys in files: which kind each is, whether it can be used, and unlocking one with its passphrase."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import paramiko

State = Literal["usable", "locked", "putty", "unreadable"]
PUTTY = b"PuTTY-User-Key-File"

_unlocked: dict[Path, paramiko.PKey] = {}


@dataclass(frozen=True, kw_only=True)
class KeyFile:
    """A private key's file. `line` is its public half as "type base64", "" where that is not known without more.

    `state`: "usable", "locked" (it has a passphrase), "putty" (PuTTY's format) or "unreadable" (no key that we know).
    """

    path: Path
    state: State
    line: str = ""

    @property
    def kind(self) -> str:
        """The key's type, as "ssh-ed25519"; "" where it is not known."""
        return self.line.split()[0] if self.line else ""


def look(path: Path) -> KeyFile | None:
    """What a file is, as a private key; None for one that is no key at all. Nothing of it is kept or told."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
        if start.startswith(PUTTY):
            return KeyFile(path=path, state="putty", line=_public(path))
        if b"PRIVATE KEY-----" not in start:
            return None
        return KeyFile(path=path, state="usable", line=_line(private_key(path)))
    except (paramiko.PasswordRequiredException, TypeError):  # cryptography says TypeError: a password is missing
        return KeyFile(path=path, state="locked", line=_public(path))
    except (OSError, ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType):
        return KeyFile(path=path, state="unreadable", line=_public(path))


def private_key(path: Path) -> paramiko.PKey:
    """The key in a file, with its passphrase where it was unlocked. Raises what paramiko and cryptography raise."""
    return _unlocked.get(path) or _read(path)


def unlock(path: Path, passphrase: str) -> KeyFile | None:
    """Opens a key for the rest of this process; None where that is not its passphrase."""
    try:
        _unlocked[path] = paramiko.PKey.from_path(path, password=passphrase.encode())  # type: ignore[arg-type]
    except (ValueError, TypeError, paramiko.SSHException):
        return None
    return KeyFile(path=path, state="usable", line=_line(_unlocked[path]))


@lru_cache(maxsize=32)
def _read(path: Path) -> paramiko.PKey:
    return paramiko.PKey.from_path(path)


def _line(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {key.get_base64()}"


def _public(path: Path) -> str:
    """The public half that lies beside a private key."""
    try:
        words = path.with_name(f"{path.name}.pub").read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return ""
    return " ".join(words[:2]) if len(words) > 1 else ""
