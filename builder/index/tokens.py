"""Tokens of an index: who may read or upload, where and how long. Only a digest of each is kept."""

from __future__ import annotations

import contextlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from builder.errors import BuildFailure, UsageFailure
from builder.files import disk_failures, locked, sha256_bytes, write_json
from builder.index.layout import OWN, Branch
from builder.index.server.parts import NotAllowed

SCHEMA = 1
TOKENS = "tokens.json"
READ, UPLOAD = "read", "upload"
SCOPES = (READ, UPLOAD)
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
SECRET = re.compile(r"ot2_([0-9a-f]{16})_[0-9a-f]{64}")  # with a fixed beginning, so that leak scanners know it
TIME = "%Y-%m-%dT%H:%M:%SZ"
TEXTS, LISTS = ("id", "name", "digest", "created", "expires", "revoked"), ("scopes", "profiles", "channels")
NOBODY = "0" * 64  # what the digest of an unknown token is compared with, so that both take as long


@dataclass(frozen=True, kw_only=True)
class Token:
    """What is kept of a token.

    `digest` is the sha256 of its text: 256 random bits cannot be guessed, so a slow digest as for passwords would only
    slow each request. Times are RFC 3339 in UTC; `expires` "" is never, `revoked` "" is not. Without `profiles` or
    `channels` it holds for all.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    digest: str
    created: str
    expires: str = ""
    revoked: str = ""
    profiles: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    def state(self, now: datetime | None = None) -> str:
        """ "good", "expired" or "revoked"."""
        if self.revoked:
            return "revoked"
        return "expired" if self.expires and _said(now) >= self.expires else "good"

    def refusal(self, branch: Branch, scope: str = UPLOAD) -> str:
        """Why it does not hold for a branch, "" where it does.

        Whatever its profiles are, it reads the own branch, which resolvers for each of them need.
        """
        reads_own = scope == READ and branch.profile == OWN
        if self.profiles and branch.profile not in self.profiles and not reads_own:
            return f"token {self.name} is for the profile {', '.join(self.profiles)} only"
        if self.channels and branch.channel not in self.channels:
            return f"token {self.name} is for the channel {', '.join(self.channels)} only"
        return ""

    def as_dict(self) -> dict[str, object]:
        """The token for people and programs: without its digest, with its state."""
        shown = asdict(self)
        del shown["digest"]
        return {**shown, "state": self.state()}


class Tokens:
    """The tokens in the file at `path`, which its owner alone may read. Read anew for each question."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(
        self,
        name: str,
        scopes: Iterable[str],
        *,
        lasts: timedelta | None,
        profiles: Sequence[str] = (),
        channels: Sequence[str] = (),
    ) -> tuple[Token, str]:
        """A new token, and its text, which is nowhere else. `lasts` None is for ever.

        Raises UsageFailure for a name that is none or that a good token has.
        """
        if not NAME.fullmatch(name):
            raise UsageFailure(
                f"`{name[:80]}` is no name of a token",
                why="Names have small letters, digits and . _ - only, and begin with a letter or digit.",
            )
        now = datetime.now(UTC)
        with self._changing() as tokens:
            if any(token.name == name and token.state(now) == "good" for token in tokens):
                raise UsageFailure(
                    f"there is a token {name}",
                    next=f"Revoke it first, or take another name: ot2deploy token revoke {name}",
                )
            public = secrets.token_hex(8)
            text = f"ot2_{public}_{secrets.token_hex(32)}"
            token = Token(
                id=public,
                name=name,
                scopes=tuple(sorted(set(scopes))),
                digest=sha256_bytes(text.encode()),
                created=_said(now),
                expires="" if lasts is None else _said(now + lasts),
                profiles=tuple(profiles),
                channels=tuple(channels),
            )
            tokens.append(token)
        return token, text

    def known(self) -> tuple[Token, ...]:
        """All tokens, the oldest first; expired and revoked ones too. Raises BuildFailure for a damaged file."""
        with disk_failures(self.path):
            try:
                data = self.path.read_bytes()
            except FileNotFoundError:
                return ()
        return _parse(data, self.path)

    def revoke(self, name: str) -> tuple[Token, bool]:
        """Ends a token by its name or id at once; says whether it was good before. Raises UsageFailure."""
        with self._changing() as tokens:
            found = [token for token in tokens if name in (token.name, token.id)]
            if not found:
                known = ", ".join(sorted({token.name for token in tokens if token.state() != "revoked"}))
                raise UsageFailure(f"there is no token {name[:80]}", why=f"There are: {known or 'none'}.")
            token = found[-1]  # of one name only the last one can be good
            if token.revoked:
                return token, False
            ended = replace(token, revoked=_said())
            tokens[tokens.index(token)] = ended
        return ended, True

    def check(self, text: str, scope: str, branch: Branch | None = None) -> Token:
        """The token with this text, if it is good for `scope`, and for `branch` where one is given.

        Raises NotAllowed.
        """
        match = SECRET.fullmatch(text)
        token = next((one for one in self.known() if match and one.id == match[1]), None)
        same = hmac.compare_digest(sha256_bytes(text.encode()), token.digest if token else NOBODY)
        if token is None or not same:
            raise NotAllowed("this token is not known here", known=False)
        if (state := token.state()) != "good":
            when = token.revoked or token.expires
            verb = "is" if state == "revoked" else "has"
            raise NotAllowed(f"token {token.name} {verb} {state} since {when}", known=True)
        if scope not in token.scopes:
            raise NotAllowed(f"token {token.name} may {' and '.join(token.scopes)}, not {scope}", known=True)
        if branch and (refusal := token.refusal(branch, scope)):
            raise NotAllowed(refusal, known=True)
        return token

    @contextlib.contextmanager
    def _changing(self) -> Iterator[list[Token]]:
        """The tokens under a lock; what the block makes of them is written when it ends well."""
        with disk_failures(self.path):
            private_directory(self.path.parent)
            with locked(self.path.with_suffix(".lock")):
                tokens = list(self.known())
                before = list(tokens)
                yield tokens
                if tokens != before:
                    write_json(self.path, {"schema": SCHEMA, "tokens": [asdict(one) for one in tokens]}, mode=0o600)


def private_directory(path: Path) -> None:
    """Makes a directory that its owner alone may read."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)


def _said(when: datetime | None = None) -> str:
    return (when or datetime.now(UTC)).strftime(TIME)


def _parse(data: bytes, path: Path) -> tuple[Token, ...]:
    try:
        read = json.loads(data)
        if read["schema"] == SCHEMA:
            return tuple(_token(row) for row in read["tokens"])
        newer = isinstance(read["schema"], int) and read["schema"] > SCHEMA
    except (ValueError, LookupError, TypeError) as error:
        raise BuildFailure(
            f"{path} is damaged: {type(error).__name__}",
            why="No token can be checked while it is, so none is accepted.",
            next="Put it back from a copy, or remove it and make new tokens.",
        ) from error
    raise BuildFailure(
        f"{path} was written by {'a newer' if newer else 'another'} ot2deploy", next="Upgrade ot2deploy."
    )


def _token(row: dict[str, Any]) -> Token:
    values: dict[str, Any] = {field: str(row[field]) for field in TEXTS}
    return Token(**values | {field: tuple(map(str, row[field])) for field in LISTS})
