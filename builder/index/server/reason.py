"""An error's sentence as the reason phrase of its answer: twine shows nothing else of one.

ASGI has no place for it, so the application puts it into a header, and the connection takes it from there.
"""

from __future__ import annotations

from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER = "ot2deploy-reason"
MOST = 1000  # letters
BUFFER = 16 * 1024  # bytes of a request's head; uvicorn's own default


def header(sentence: str) -> dict[str, str]:
    """The header by which an application hands a sentence on."""
    letters = " ".join(sentence.split()).encode("ascii", "replace").decode()
    return {HEADER: "".join(letter for letter in letters if letter.isprintable())[:MOST]}


class SpokenErrors(H11Protocol):
    """uvicorn's own connection for HTTP/1.1, but for the reason phrase."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.conn = _Connection(h11.SERVER, self.config.h11_max_incomplete_event_size or BUFFER)


class _Connection(h11.Connection):
    def send_with_data_passthrough(self, event: h11.Event) -> list[bytes] | None:
        """What goes out for an event; `send` asks here."""
        return super().send_with_data_passthrough(_with_reason(event) if isinstance(event, h11.Response) else event)


def _with_reason(answer: h11.Response) -> h11.Response:
    said = [value for name, value in answer.headers if name == HEADER.encode()]
    rest = [(name, value) for name, value in answer.headers.raw_items() if name.lower() != HEADER.encode()]
    return h11.Response(status_code=answer.status_code, headers=rest, reason=said[0]) if said else answer
