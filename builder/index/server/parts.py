"""What an index's server may be given beside the tree: uploads, tokens of readers, a mirror; and how they refuse."""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from builder.errors import Failure
from builder.index.layout import Branch
from builder.index.page import Link, Page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


class Refused(Failure):
    """A request that is answered with an HTTP status and one line: `what`. Nothing private may be in it.

    `allow` names the methods that the address has, where it was the method (405).
    """

    code = "refused"

    def __init__(self, status: int, what: str, *, allow: str = "") -> None:
        self.status, self.allow = status, allow
        super().__init__(what)


class NotAllowed(Failure):
    """A token that does not open the door; `known` tells one that is too old or for something else (403) from one that
    never was (401).
    """

    code = "not-allowed"

    def __init__(self, what: str, *, known: bool) -> None:
        self.known = known
        super().__init__(what)


class Uploads(Protocol):
    """Takes `POST .../legacy/`. `words` are what stands before `legacy` in the address, safe as names of files:
    () for `/legacy/`, (profile,) or (channel,), or (profile, channel).
    """

    def __call__(self, request: Request, words: tuple[str, ...]) -> Awaitable[Response]:
        """Answers an upload; it reads the body itself. Raises Refused, NotAllowed."""
        ...


class Readers(Protocol):
    """Who may read a private index."""

    def check(self, secret: str, scope: str, branch: Branch | None) -> object:
        """Passes where a token has the scope ("read" or "upload") for a branch; without one, for any branch at all.

        Raises NotAllowed.
        """
        ...


class Mirror(Protocol):
    """Public projects from elsewhere. It is asked only for names that no branch of the index has."""

    async def page(self, branch: Branch, name: str) -> tuple[Page, Link] | None:
        """The page of a project and how it links to files; None where there is none. `name` is normalised (PEP 503).

        Links lead to `/<profile>/mirror/<sha256>/<filename>` of this server and are relative to the page's address.
        Raises Refused.
        """
        ...

    async def file(self, profile: str, sha256: str, filename: str) -> Path | None:
        """The file that such a link names (also with `.metadata` at its end), fetched where it is not there yet.

        `sha256` has 64 hexadecimal digits, `filename` is safe as a file's name; the server opens the file at once and
        holds it open while it is sent. None where there is none. Raises Refused.
        """
        ...
