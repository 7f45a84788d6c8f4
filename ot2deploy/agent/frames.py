"""The protocol's two directions: frames in, lines of JSON out, and the watch over the host's being there.

In: `J <n>\\n` + n bytes of JSON, `B <n>\\n` + n bytes of payload, `H 0\\n`. Anything that arrives is a heartbeat.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import queue
import re
import select
import threading
import time

from ot2deploy.agent.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Union

    Data = Union[bytes, bytearray]

SILENCE = 30.0  # seconds without a byte after which the host is taken for gone
LARGEST_JSON = 4 << 20
LARGEST_DATA = 64 << 20  # one frame; it is passed on in pieces, so it costs no memory
PIECE = 1 << 18
WAITING = 8  # pieces between the reader and the session
HEADER = re.compile(rb"([JBH]) (0|[1-9][0-9]{0,8})\n")
LONGEST_HEADER = 12
F_SETPIPE_SZ, PIPE = 1031, 1 << 20  # Linux, fcntl(2): with 64 kB the SSH server waits for us at every turn
# With that much room the reader lets some of it fill: a tenth of the turns leaves the robot's cores to the SSH server.
PAUSE, ENOUGH = 0.003, 1 << 16

JSON, DATA, END, BROKEN = "J", "B", "end", "broken"


class FrameError(Exception):
    """Bytes that are no frame; there is no way to find the next one."""


class Reader:
    """Reads frames off a descriptor in a thread of its own.

    `take()` gives (JSON, bytes), (DATA, piece of payload), (END, reason) or (BROKEN, reason). When the host is
    gone (EOF, an error, or silence) `on_end` is called from the thread before END is given.
    """

    def __init__(self, fd: int, on_end: Callable[[], None], silence: float = SILENCE) -> None:
        self._fd, self._on_end, self._silence = fd, on_end, silence
        self._queue: queue.Queue[tuple[str, Data]] = queue.Queue(WAITING)
        self._buffer = bytearray()
        self._pause = 0.0
        self._thread = threading.Thread(target=self._read_all, daemon=True)

    def start(self) -> None:
        """Starts reading."""
        with contextlib.suppress(OSError):  # no pipe, or not Linux: then it stays as small as it is
            fcntl.fcntl(self._fd, F_SETPIPE_SZ, PIPE)
            self._pause = PAUSE
        self._thread.start()

    def take(self) -> tuple[str, Data]:
        """The next frame or piece of one, waiting for it."""
        return self._queue.get()

    def _read_all(self) -> None:
        try:
            while True:
                self._one_frame()
        except FrameError as error:
            self._queue.put((BROKEN, str(error).encode()))
        except (EOFError, OSError) as error:
            self._on_end()
            self._queue.put((END, str(error).encode()))
        except Exception as error:  # or the session would wait forever for a thread that is no more
            self._queue.put((BROKEN, repr(error).encode()))

    def _one_frame(self) -> None:
        kind, length = self._header()
        if kind == DATA:
            if length > LARGEST_DATA:
                raise FrameError("a data frame of %d bytes; the limit is %d" % (length, LARGEST_DATA))
            while length:
                piece = self._exactly(min(length, PIECE))
                length -= len(piece)
                self._queue.put((DATA, piece))
        elif kind == JSON:
            if length > LARGEST_JSON:
                raise FrameError("a request of %d bytes; the limit is %d" % (length, LARGEST_JSON))
            self._queue.put((JSON, self._exactly(length)))
        elif length:
            raise FrameError("a heartbeat with a payload")

    def _header(self) -> tuple[str, int]:
        while b"\n" not in self._buffer[:LONGEST_HEADER]:
            if len(self._buffer) >= LONGEST_HEADER:
                break
            self._more()
        match = HEADER.match(bytes(self._buffer[:LONGEST_HEADER]))
        if match is None:
            raise FrameError("not a frame: %r" % bytes(self._buffer[:LONGEST_HEADER]))
        del self._buffer[: match.end()]
        return match.group(1).decode(), int(match.group(2))

    def _exactly(self, length: int) -> bytearray:
        """The next bytes, read to where they stay: a robot's memory is slow, and a hundred megabytes come this way."""
        piece = bytearray(length)
        held = min(len(self._buffer), length)
        piece[:held] = self._buffer[:held]
        del self._buffer[:held]
        view = memoryview(piece)[held:]
        while view:
            self._wait()
            got = os.readv(self._fd, [view])
            if not got:
                raise EOFError("the connection was closed")
            view = view[got:]
            if len(view) > ENOUGH:
                time.sleep(self._pause)
        return piece

    def _more(self) -> None:
        """Adds what can be read now, little enough for a header; raises EOFError when the host is gone."""
        self._wait()
        chunk = os.read(self._fd, LONGEST_HEADER)
        if not chunk:
            raise EOFError("the connection was closed")
        self._buffer += chunk

    def _wait(self) -> None:
        """Waits for something to read; raises EOFError when the host is silent for too long."""
        waited = time.monotonic()
        while not select.select([self._fd], [], [], 0.25)[0]:
            if time.monotonic() - waited > self._silence:
                raise EOFError("nothing was heard of the host for %g s" % self._silence)


class Outlet:
    """Writes messages as lines of JSON to a descriptor. Threads may share it."""

    def __init__(self, fd: int) -> None:
        self._fd, self._guard = fd, threading.Lock()

    def send(self, message: dict[str, Any]) -> None:
        """Writes one message; when the host is gone, that is the reader's business."""
        data = memoryview(json.dumps(message, default=str).encode("ascii", "backslashreplace") + b"\n")
        with self._guard:
            try:
                while data:
                    data = data[os.write(self._fd, data) :]
            except BrokenPipeError:
                pass

    def event(self, stage: str, message: str = "", done: int | None = None, total: int | None = None) -> None:
        """Tells how far a request is."""
        self.send({"type": "event", "stage": stage, "message": message, "done": done, "total": total})


def parse_request(data: Data) -> dict[str, Any]:
    """A J frame's object. Refuses what is not one."""
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Refusal("bad-request", "a request is not JSON: %s" % error) from error
    if not isinstance(value, dict):
        raise Refusal("bad-request", "a request is not a JSON object")
    return value


def read_one(fd: int) -> dict[str, Any]:
    """Reads exactly one J frame and not a byte more: what follows on the descriptor belongs to somebody else."""
    header = b""
    while not header.endswith(b"\n") and len(header) < LONGEST_HEADER:
        header += _some(fd, 1)
    match = HEADER.fullmatch(header)
    if match is None or match.group(1) != b"J" or int(match.group(2)) > LARGEST_JSON:
        raise Refusal("bad-request", "not a request: %r" % header)
    length, data = int(match.group(2)), b""
    while len(data) < length:
        data += _some(fd, length - len(data))
    return parse_request(data)


def _some(fd: int, length: int) -> bytes:
    chunk = os.read(fd, length)
    if not chunk:
        raise Refusal("bad-request", "standard input ended before the request was complete")
    return chunk
