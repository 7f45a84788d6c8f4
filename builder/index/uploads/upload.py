"""Uploads over HTTP as twine and uv speak them: PyPI's legacy interface, POST .../legacy/."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from starlette.responses import JSONResponse, PlainTextResponse

from builder.engine import Engine
from builder.errors import AuditFailure, DiskFailure, Failure
from builder.files import CHUNK, FULL, PARTS, disk_failures, locked
from builder.giving_up import giving_up
from builder.index.change import Conflict
from builder.index.entry.intake import Taken, Upload, open_to, take
from builder.index.journal import JOURNAL, Journal
from builder.index.server.accept import wants_json
from builder.index.server.guard import secret
from builder.index.server.parts import NotAllowed, Refused
from builder.index.tokens import TOKENS, UPLOAD, Tokens, private_directory
from builder.index.tree import LOCK, Index
from builder.index.uploads import offered
from builder.index.uploads.form import ROOM, Form, FormReader, too_large
from builder.work import held_directory

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

T = TypeVar("T")

MOST = 500_000_000  # bytes of one wheel
THREADS = 4  # uploads that are hashed, audited and written at once; readers have threads of their own


@contextlib.contextmanager
def receiving(index: Index, engine: Engine, state: Path, *, most: int = MOST) -> Iterator[Receiver]:
    """Takes uploads into an index while the block lasts; what a killed server left of some is removed first.

    `state` is the private directory with the tokens and the journal; uploads wait there, too, until they are admitted.
    `most` is how large a wheel may be (bytes). Raises DiskFailure.
    """
    with contextlib.ExitStack() as stack:
        with disk_failures(state):
            private_directory(state)
            incoming = stack.enter_context(held_directory(state / "incoming", "server-"))
        with disk_failures(index.root), locked(index.root / LOCK):
            for part in index.root.rglob(PARTS):  # who holds the lock is the only writer
                part.unlink(missing_ok=True)
        pool = ThreadPoolExecutor(THREADS, "upload")
        stack.callback(_end, pool)
        yield Receiver(index, engine, state, incoming=incoming, pool=pool, most=most)


def _end(pool: ThreadPoolExecutor) -> None:
    """Ends the threads; one that still waits for the index's lock need not any more."""
    with giving_up():
        pool.shutdown(cancel_futures=True)


class Receiver:
    """Answers uploads; see `receiving`."""

    def __init__(
        self, index: Index, engine: Engine, state: Path, *, incoming: Path, pool: ThreadPoolExecutor, most: int
    ) -> None:
        self.index, self.engine = index, engine
        self.tokens, self.journal = Tokens(state / TOKENS), Journal(state / JOURNAL)
        self.incoming, self.most = incoming, most
        self._pool = pool

    async def __call__(self, request: Request, words: tuple[str, ...]) -> Response:
        """Answers an upload. Raises Refused and NotAllowed, after the whole body: who still sends hears no answer."""
        body = request.stream()
        try:
            taken = await self._taken(request, words, body)
        except Failure as failure:
            if "expect" not in request.headers:  # else the client waits for a word before it sends
                await _pass_over(body, 2 * self.most + ROOM)
            raise _told(failure) from failure
        if wants_json(request.headers.get("accept", "")):
            return JSONResponse(taken.as_dict())
        return PlainTextResponse(f"{taken}\n")

    async def _taken(self, request: Request, words: tuple[str, ...], body: AsyncIterator[bytes]) -> Taken:
        token = self.tokens.check(secret(request.headers.get("authorization", "")), UPLOAD)
        target = offered.target(words, open_to(self.index)).for_token(token)
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self.most + ROOM:
            raise too_large(self.most)
        with disk_failures(self.incoming), tempfile.TemporaryDirectory(dir=self.incoming) as name:
            form = await self._form(request.headers.get("content-type", ""), body, Path(name))
            offered.check(form)
            target = offered.named(target, form).for_token(token)
            upload = Upload(
                path=form.file.path,
                branches=target.branches,
                every=target.every,
                who=token.name,
                own=offered.is_own(form),
            )
            return await self._aside(partial(self._take, upload))

    def _take(self, upload: Upload) -> Taken:
        index = Index.open(self.index.root)  # commands may have changed its settings since the server began
        return take(upload, index, self.engine, self.journal)

    async def _form(self, content_type: str, body: AsyncIterator[bytes], directory: Path) -> Form:
        """The form, its file in `directory`; a large body is never in memory, and never stops the event loop."""
        reader = FormReader(content_type, directory, known=offered.KNOWN, most=self.most)
        with contextlib.closing(reader):
            async for piece in _pieces(body):
                await self._aside(partial(reader.feed, piece))
            return reader.form()

    async def _aside(self, work: Callable[[], T]) -> T:
        """Does work in another thread, to its end even when the server stops meanwhile."""
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._pool, work))


async def _pieces(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A body in larger pieces: each one costs a change of threads."""
    waiting = bytearray()
    async for piece in body:
        waiting += piece
        if len(waiting) >= CHUNK:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting)


async def _pass_over(body: AsyncIterator[bytes], most: int) -> None:
    """Reads what is left of a body, up to `most` bytes."""
    async for piece in body:
        most -= len(piece)
        if most < 0:
            return


def _told(failure: Failure) -> Failure:
    """A failure as whoever uploads may hear it, with the status of its answer."""
    match failure:
        case Refused() | NotAllowed():
            return failure
        case Conflict():
            return Refused(409, _sentence(failure))
        case AuditFailure():
            return Refused(400, _sentence(failure))
        case DiskFailure() if isinstance(failure.__cause__, OSError) and failure.__cause__.errno in FULL:
            return Refused(507, "the index's disk is full; nothing of the upload was kept")
    return failure


def _sentence(failure: Failure) -> str:
    """A failure in one line, which is all that some clients show."""
    return " ".join(filter(None, [f"{failure}.", *failure.details, failure.why, failure.next]))
