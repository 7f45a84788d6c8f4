"""Wheels sent to an index's server, by its legacy interface."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.errors import BuildFailure, NetworkFailure, UsageFailure
from builder.fetch import Fetcher, login_of, public, split
from builder.files import CHUNK, disk_failures, sha256_file
from builder.giving_up import given_up
from builder.index.entry.intake import Taken
from builder.index.layout import PROD
from builder.index.uploads.form import FILE
from builder.index.uploads.offered import OWN_FIELD, PROFILE_FIELD
from builder.logins import TOKEN_USER
from builder.wheel.file import parse_filename

WAYS = (
    "Name a file that holds it (--token-file FILE), set OT2DEPLOY_INDEX_TOKEN, or keep it in the keyring or ~/.netrc "
    f"with the user name {TOKEN_USER}."
)
RIGHT_ADDRESS = "Is this the address of an index, as `ot2deploy index serve` prints it?"


class UploadRefused(BuildFailure):
    """A server did not take a wheel, and said why."""

    code = "upload-refused"


class TokenMissing(BuildFailure):
    """A server takes nothing from us: no token, or one that is not for this."""

    code = "upload-token"


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A server: `url` is the address of its index, with nothing secret in it. Without profiles: every one that fits."""

    url: str
    profiles: tuple[str, ...]
    channel: str

    def __post_init__(self) -> None:
        parts = split(self.url)
        if login_of(self.url):
            raise UsageFailure("the address of an index holds no user name and no token", next=WAYS)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise UsageFailure(f"{public(self.url)} is no address of an index", next="Such as http://index.example/")
        if parts.path.rstrip("/").rpartition("/")[2] in ("legacy", "simple"):
            raise UsageFailure(
                f"{self.url} is not the whole index",
                next="Name the address that its first page has; --profile and --channel say which branch.",
            )

    @property
    def address(self) -> str:
        """Where uploads go."""
        channel = "" if self.channel == PROD else f"{self.channel}/"
        return f"{self.url.rstrip('/')}/{channel}legacy/"


def send(path: Path, destination: Destination, fetcher: Fetcher, *, own: bool, token: str = "") -> Taken:
    """Sends a wheel; the same one again is no change. Without a token, ~/.netrc and the keyring are asked for one.

    Raises UploadRefused, TokenMissing, NetworkFailure, NotAWheel.
    """
    with disk_failures(path):
        body = _Form(path, _fields(path, destination, own=own))
        headers = {"Content-Type": body.content_type, "Accept": "application/json"}
        said = fetcher.post(destination.address, body, headers=headers, login=(TOKEN_USER, token) if token else None)
    try:
        answer = json.loads(said.body)
        if said.status == 200:
            branches = {str(branch): new == "new" for branch, new in answer["branches"].items()}
            return Taken(
                filename=path.name, sha256=answer["sha256"], branches=branches, refused=dict(answer["refused"])
            )
        why = str(answer["error"])
    except (ValueError, LookupError, TypeError, AttributeError):
        raise NetworkFailure(
            f"{destination.address} answered {said.status}, and not as an index does",
            next=RIGHT_ADDRESS,
        ) from None
    if said.status in (401, 403):
        raise TokenMissing(
            f"{destination.url} takes nothing from us: {why}", next=_token_advice(said.status, given=bool(token))
        )
    hint = RIGHT_ADDRESS if said.status in (404, 405) else ""
    raise UploadRefused(why.removeprefix(f"{path.name}: "), subject=path.name, next=hint)


def _token_advice(status: int, *, given: bool) -> str:
    """What to do about a token that a server did not take; `given`: by file or variable."""
    if status == 403:
        return (
            "Say for which branch it is (--channel NAME, --profile NAME), or take a token that allows more: "
            "ot2deploy token create, where the server runs."
        )
    return "See whether it is there and good: ot2deploy token list, where the server runs." if given else WAYS


def _fields(path: Path, destination: Destination, *, own: bool) -> list[tuple[str, str]]:
    name, version, _, _ = parse_filename(path)
    return [
        (":action", "file_upload"),
        ("protocol_version", "1"),
        ("filetype", "bdist_wheel"),
        ("name", name),
        ("version", version),
        ("sha256_digest", sha256_file(path)),
        (OWN_FIELD, str(own).lower()),
        *((PROFILE_FIELD, profile) for profile in destination.profiles),
    ]


class _Form:
    """A form with a file (RFC 7578), read from the disk while it is sent."""

    def __init__(self, path: Path, fields: list[tuple[str, str]]) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields
        ]
        file = f'Content-Disposition: form-data; name="{FILE}"; filename="{path.name}"'
        self._head = f"{''.join(parts)}--{boundary}\r\n{file}\r\n\r\n".encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._path, self._size = path, path.stat().st_size

    def __len__(self) -> int:
        return len(self._head) + self._size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        with self._path.open("rb") as file:
            while piece := file.read(CHUNK):
                if given_up():
                    raise NetworkFailure(f"upload of {self._path.name} was interrupted")
                yield piece
        yield self._tail
