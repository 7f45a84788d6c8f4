"""A session: takes requests off standard input, one after the other, and answers each with a result or an error."""

from __future__ import annotations

import os
import sys

from builder.checks import child
from ot2deploy.agent import PROTOCOL, fields, frames
from ot2deploy.agent.operations import OPERATIONS
from ot2deploy.agent.refusal import Refusal, bad_request, from_os_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ot2deploy.agent.blobs import Blobs
    from ot2deploy.agent.frames import Data
    from ot2deploy.agent.layout import Layout
    from ot2deploy.agent.lock import Lock

    Answer = dict[str, Any]

ENDED, BROKEN, CUT = 0, 2, 3  # exit statuses: host closed; host sent nonsense; host went away during a request


class Session:
    """What one connection has taken (lock, layout, blobs proven) and how its requests are served."""

    def __init__(self, reader_fd: int, writer_fd: int, archive: str) -> None:
        self.archive = archive
        self.outlet = frames.Outlet(writer_fd)
        self.reader = frames.Reader(reader_fd, self._host_is_gone)
        self.lock: Lock | None = None
        self.layout: Layout | None = None
        self.blobs: Blobs | None = None
        self.run = self.who = ""
        self._busy = False
        self._ahead: tuple[str, Data] | None = None

    def serve(self, sha256: str) -> int:
        """Says hello and answers requests until the host closes. Returns the exit status."""
        self.reader.start()
        self.outlet.send(
            {
                "type": "hello",
                "protocol": PROTOCOL,
                "agent": sha256,
                "python": sys.version.split()[0],
                "pid": os.getpid(),
            }
        )
        while True:
            kind, data = self._take()
            if kind == frames.END:
                return ENDED
            if kind == frames.BROKEN:
                self.outlet.send(Refusal("protocol", data.decode("utf-8", "replace")).as_message())
                return BROKEN
            if kind == frames.JSON:
                self._busy = True
                answer = self._answer(data)
                self._busy = False
                self.outlet.send(answer)
            # Data outside a blob is the rest of one that was refused while it was still coming.

    def end(self) -> None:
        """Ends children and gives the lock back."""
        child.stop_all()
        if self.lock is not None:
            self.lock.release()

    def _host_is_gone(self) -> None:
        """Called from the reader's thread. In the middle of a request nothing may go on that nobody watches; being
        killed at any point leaves `current` whole, so that is how it ends."""
        if self._busy:
            self.end()
            os._exit(CUT)

    def _take(self) -> tuple[str, Data]:
        if self._ahead is not None:
            frame, self._ahead = self._ahead, None
            return frame
        return self.reader.take()

    def _answer(self, data: Data) -> Answer:
        try:
            request = frames.parse_request(data)
            operation = OPERATIONS.get(fields.text(request, "op"))
            if operation is None:
                raise Refusal(
                    "unknown-op", "this agent has no request %r" % request["op"],
                    why="Host and agent are of different versions.",
                )  # fmt: skip
            return dict(operation(self, request), type="result")
        except Refusal as refusal:
            return refusal.as_message()
        except child.Stopped:
            return Refusal("stopped", "the agent is ending").as_message()
        except OSError as error:
            return from_os_error(error, self.layout.base if self.layout else "/").as_message()
        except Exception as error:
            import traceback  # takes long to load, and nobody should need it

            return Refusal(
                "agent-bug", "the agent failed: %s: %s" % (type(error).__name__, error),
                why="This is a fault of ot2deploy; what was current stays current.",
                next="Please report it with the lines above.",
                details=traceback.format_exc().splitlines()[-12:],
            ).as_message()  # fmt: skip

    # For the operations

    def begun(self) -> tuple[Layout, Blobs]:
        """The layout and the blobs. Refuses a session that has not begun."""
        if self.lock is None or self.layout is None or self.blobs is None:
            raise bad_request("the first request of a session is begin")
        return self.layout, self.blobs

    def pieces(self, expected: int) -> Iterator[Data]:
        """The payload of `expected` bytes that follows a blob request. Refuses more, less, or something else."""
        while expected > 0:
            kind, data = self._take()
            if kind != frames.DATA:
                self._ahead = kind, data
                raise bad_request("a blob ended %d bytes too early" % expected)
            if len(data) > expected:
                raise bad_request("a blob has %d bytes too many" % (len(data) - expected))
            expected -= len(data)
            yield data
