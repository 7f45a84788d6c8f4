"""The ASGI application that gives an index to its readers, and hands uploads and mirrored files to who has them."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from builder.errors import BuildFailure, DiskFailure, Failure
from builder.index.layout import METADATA, OWN
from builder.index.layout import wheel as wheel_place
from builder.index.page import JSON_TYPE, to_html, to_json
from builder.index.server import address as addresses
from builder.index.server import reason
from builder.index.server.accept import OFFERED, PLAIN_HTML, choose, of_format, wants_json
from builder.index.server.address import Elsewhere, Front, Health, Legacy, Listing, Mirrored, Wheel
from builder.index.server.give import FileAnswer, Opened, open_inside
from builder.index.server.guard import let_in
from builder.index.server.parts import Mirror, NotAllowed, Readers, Refused, Uploads
from builder.index.tree import Index

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

log = logging.getLogger("ot2deploy.index")

FOREVER = "max-age=31536000, immutable"  # one file name is one content, for ever
ENDINGS = {"json": (b"}\n", b"}"), "html": (b"</html>\n", b"</html>")}  # of pages that are whole
REALM = 'Basic realm="ot2deploy index", charset="UTF-8"'


def make_app(
    index: Index,
    *,
    uploads: Uploads | None = None,
    readers: Readers | None = None,
    mirror: Mirror | None = None,
    prefix: str = "",
    version: str = "",
) -> App:
    """The application of an index; with `readers` it is private.

    `prefix` is what a reverse proxy leaves in front of every path ("/wheels"). One line for each request is logged as
    `ot2deploy.index`.
    """
    lead = prefix.rstrip("/").encode()
    return App(index=index, uploads=uploads, readers=readers, mirror=mirror, prefix=lead, version=version)


@dataclass(frozen=True, kw_only=True)
class App:
    """Answers requests from the tree as it stands at that moment."""

    index: Index
    uploads: Uploads | None
    readers: Readers | None
    mirror: Mirror | None
    prefix: bytes
    version: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request: answered, and logged. No error leaves it."""
        if scope["type"] != "http":
            return
        meter = Meter(send, head=scope["method"] == "HEAD")
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
            await answer(scope, receive, meter)
        except ClientDisconnect:
            meter.note = "the client has gone"
        except asyncio.CancelledError:  # nothing above would do better than to log it
            meter.note = "cut off: the server stops"
        except Exception as error:
            meter.note = _told(error)
            if not meter.status:
                await _refusal(request, error)(scope, receive, meter)
        meter.line(scope)

    async def _answer(self, request: Request) -> Response | FileAnswer:
        path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
        if request.method == "POST" and path.endswith(b"/legacy"):
            path += b"/"  # those who upload follow no redirect
        address = addresses.parse(path.removeprefix(self.prefix))
        if request.method == "POST" and self.uploads and not isinstance(address, Legacy):
            lead = self.prefix.decode()
            what = f"POST is not for this address: uploads go to {lead}/legacy/, or to {lead}/PROFILE/CHANNEL/legacy/"
            raise Refused(405 if address else 404, what, allow="GET, HEAD" if address else "")
        if address is None:
            raise Refused(404, "not found")
        if isinstance(address, Legacy):
            return await self._upload(request, address)
        if request.method not in ("GET", "HEAD"):
            raise Refused(405, f"{request.method[:20]} is not for this address", allow="GET, HEAD")
        if self.readers and not isinstance(address, Health):
            let_in(self.index, self.readers, address, request.headers.get("authorization", ""))
        return await self._found(request, address)

    async def _found(self, request: Request, address: addresses.Address) -> Response | FileAnswer:
        match address:
            case Elsewhere(location=location):
                return _moved(request, location)
            case Health():
                return self._health()
            case Front():
                return self._file(request, PurePosixPath("index.html"), f"{PLAIN_HTML}; charset=utf-8", "no-cache")
            case Listing():
                return await self._listing(request, address)
            case Wheel(profile=profile, filename=filename):
                return self._file(request, wheel_place(profile, filename), _type(filename), FOREVER)
            case Mirrored():
                return await self._mirrored(request, address)
        raise Refused(404, "not found")

    async def _upload(self, request: Request, address: Legacy) -> Response:
        if request.method != "POST":
            raise Refused(405, "this address takes uploads, by POST", allow="POST")
        if self.uploads is None:
            raise Refused(403, "this index takes no uploads here")
        return await self.uploads(request, address.words)

    async def _listing(self, request: Request, listing: Listing) -> Response | FileAnswer:
        media = _media(request, listing)
        form = "json" if media == JSON_TYPE else "html"
        place = listing.branch.page(listing.name) if listing.name else listing.branch.simple
        opened = open_inside(self.index.root, place / f"index.{form}", kind=str(OFFERED.index(media)))
        media = media if form == "json" else f"{media}; charset=utf-8"
        headers = {"vary": "Accept"}
        if opened:
            if not opened.ends(*ENDINGS[form]):
                opened.file.close()
                raise BuildFailure(f"{place}/index.{form} is damaged")  # told in the log; the client hears of that
            return self._given(request, opened, media, "no-cache", headers)
        if self.mirror and listing.name and listing.branch.profile != OWN and not self._is_ours(listing.name):
            found = await self.mirror.page(listing.branch, listing.name)
            if found:
                body = (to_json if form == "json" else to_html)(*found)
                return Response(body, media_type=media, headers={**headers, "cache-control": "no-cache"})
        there = (self.index.root / listing.branch.simple).is_dir()
        what = f"{listing.branch} has no project {listing.name}" if there else f"no branch {listing.branch}"
        raise Refused(404, what)

    def _is_ours(self, name: str) -> bool:
        """Whether any branch has a project of this name: such a one never comes from elsewhere."""
        return any((self.index.root / branch.page(name)).is_dir() for branch in self.index.branches())

    async def _mirrored(self, request: Request, asked: Mirrored) -> FileAnswer:
        path = await self.mirror.file(asked.profile, asked.sha256, asked.filename) if self.mirror else None
        opened = open_inside(path.parent, Path(path.name)) if path else None
        if opened is None:
            raise Refused(404, "not found")
        return self._given(request, opened, _type(asked.filename), FOREVER)

    def _file(self, request: Request, place: PurePosixPath, media: str, cache: str) -> FileAnswer:
        opened = open_inside(self.index.root, place)
        if opened is None:
            raise Refused(404, "not found")
        return self._given(request, opened, media, cache)

    def _given(
        self, request: Request, opened: Opened, media: str, cache: str, more: dict[str, str] | None = None
    ) -> FileAnswer:
        cache = f"private, {cache}" if self.readers else cache
        headers = {"content-type": media, "cache-control": cache, "x-content-type-options": "nosniff", **(more or {})}
        return FileAnswer(opened=opened, part=opened.part(request.headers), headers=headers)

    def _health(self) -> Response:
        """Whether the tree and its lists of projects can be read. A private index says no more than that."""
        try:
            index = Index.open(self.index.root)
            index.check_lists()
            branches = [str(branch) for branch in index.branches()]
        except Failure as failure:
            log.error("not healthy: %s", failure)
            return JSONResponse({"ok": False, "why": "the index cannot be read"}, 503)
        said: dict[str, Any] = {"ok": True, "version": self.version}
        return JSONResponse(said if self.readers else {**said, "branches": branches})


class Meter:
    """Sends on, and remembers what was sent."""

    def __init__(self, send: Send, *, head: bool) -> None:
        self._send, self._head = send, head
        self.status, self.bytes, self.note = 0, 0, ""
        self._start = time.perf_counter()

    async def __call__(self, message: Message) -> None:
        """One ASGI message."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif not self._head:
            self.bytes += len(message.get("body", b""))
        await self._send(message)

    def line(self, scope: Scope) -> None:
        """Logs the request: method, path as it was sent but without its query, status, bytes, milliseconds."""
        path = (scope.get("raw_path") or b"").decode("ascii", "backslashreplace")[:400]
        took = (time.perf_counter() - self._start) * 1000
        said = "".join(letter if letter.isprintable() else " " for letter in self.note)  # a line stays one
        note = f" ({said})" if said else ""
        log.info("%s %s %d %d %.1f%s", scope["method"][:20], path, self.status, self.bytes, took, note)


def _media(request: Request, listing: Listing) -> str:
    """The media type of a page for a client. Raises Refused."""
    if listing.form:
        return JSON_TYPE if listing.form == "json" else PLAIN_HTML
    if asked := of_format(_query(request)):
        return asked
    found = choose(", ".join(request.headers.getlist("accept")))
    if found is None:
        raise Refused(406, f"there are {', '.join(OFFERED)}")
    return found


def _type(filename: str) -> str:
    return "text/plain; charset=utf-8" if filename.endswith(METADATA) else "application/octet-stream"


def _query(request: Request) -> str:
    """The query as it was sent; Starlette would read it off a URL made of the Host header, which may be anything."""
    query: bytes = request.scope["query_string"]
    return query.decode("ascii", "ignore")


def _moved(request: Request, location: str) -> Response:
    query = _query(request)
    target = f"{location}?{query}" if query else location
    return Response(status_code=301, headers={"location": target, "cache-control": "no-cache"})


def _told(error: Exception) -> str:
    """An error in the log's line; one that nobody foresaw is logged whole."""
    if isinstance(error, Refused | NotAllowed):
        return error.what
    if isinstance(error, Failure | OSError):
        return f"{type(error).__name__}: {error}"
    log.exception("this is a bug in ot2deploy")
    return type(error).__name__


def _refusal(request: Request, error: Exception) -> Response:
    """An error as the client gets it: one line. What nobody meant for clients stays in the log."""
    headers: dict[str, str] = {}
    match error:
        case Refused(status=status, what=what, allow=allow):
            headers = {"allow": allow} if allow else {}
        case NotAllowed(known=known, what=what):
            status = 403 if known else 401
            headers = {} if known else {"www-authenticate": REALM}
        case DiskFailure():
            status, what = 507, "the index's disk is full, or access to it is denied"
        case _:
            status, what = 500, "the index could not answer this; its log says why"
    if request.method == "POST":
        headers |= reason.header(what)
    if wants_json(request.headers.get("accept", "")):
        return JSONResponse({"error": what}, status, headers)
    return PlainTextResponse(f"{what}\n", status, headers)
