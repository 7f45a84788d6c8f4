"""A running remote command as a Stream: reads and writes on one SSH channel, efficiently and with time limits."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ot2deploy.errors import CommandFailure, ConnectionLost

if TYPE_CHECKING:
    from paramiko import Channel

TICK = 0.2  # seconds between looks at the clock while a channel is silent
STALL = 60.0  # seconds a write may wait for the far side before the connection counts as lost
SETTLE = 0.5  # seconds a broken transport may take to say so
OVERHEAD = 64  # bytes of a packet that paramiko keeps for itself
LONGEST_LINE = 32 << 20  # bytes; a journal's last lines come as one
FALLBACK_STATUS = -1  # paramiko's "no exit status came"


class ChannelStream:
    """A Stream over a paramiko channel on which a command was started.

    A connection that breaks looks like the end of output; only the missing EOF message tells them apart.
    """

    def __init__(self, channel: Channel, robot: str) -> None:
        self._channel, self._robot = channel, robot
        self._channel.settimeout(TICK)
        self._line = bytearray()
        self._turn = threading.Lock()
        self._given_up = False

    def write(self, data: bytes | memoryview) -> None:
        """Sends bytes to standard input. Raises BrokenPipeError when the command has ended, ConnectionLost."""
        size = max(1024, self._channel.out_max_packet_size - OVERHEAD)
        view = memoryview(data)
        with self._turn:
            while view:
                view = view[self._send(bytes(view[:size])) :]

    def _send(self, piece: bytes) -> int:
        since = time.monotonic()
        while True:
            try:
                sent = self._channel.send(piece)
            except TimeoutError:
                if time.monotonic() - since > STALL:
                    raise ConnectionLost(
                        f"the robot took no data for {STALL:.0f} s", subject=self._robot, next="Check its network."
                    ) from None
                continue
            except (OSError, EOFError):
                sent = 0
            if sent:
                return sent
            self._raise_if_lost()
            raise BrokenPipeError("the remote command has ended")

    def finish(self) -> None:
        """Ends standard input."""
        with self._turn:
            try:
                self._channel.shutdown_write()
            except (OSError, EOFError):
                self._raise_if_lost()

    def read(self, size: int, timeout: float | None = None) -> bytes:
        """Up to `size` bytes of standard output, b"" at its end. Raises TimeoutError, ConnectionLost."""
        if self._line:
            taken = bytes(self._line[:size])
            del self._line[:size]
            return taken
        return self._receive(self._channel.recv, size, timeout)

    def readline(self, timeout: float | None = None) -> bytes:
        """The next line of standard output, b"" at its end. Raises TimeoutError, ConnectionLost."""
        deadline = None if timeout is None else time.monotonic() + timeout
        start = 0
        while (end := self._line.find(b"\n", start)) < 0:
            start = len(self._line)
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            data = self._receive(self._channel.recv, 65536, left)
            if not data:
                end = start - 1
                break
            self._line += data
            if len(self._line) > LONGEST_LINE and b"\n" not in data:
                raise CommandFailure(
                    f"the robot said a line of more than {LONGEST_LINE >> 20} MB", subject=self._robot,
                    why="Nothing of ours does; what was current stays current.",
                )  # fmt: skip
        line = bytes(self._line[: end + 1])
        del self._line[: end + 1]
        return line

    def read_error(self, size: int, timeout: float | None = None) -> bytes:
        """Up to `size` bytes of standard error, b"" at its end. Raises TimeoutError, ConnectionLost."""
        return self._receive(self._channel.recv_stderr, size, timeout)

    def _receive(self, receive: Callable[[int], bytes], size: int, timeout: float | None) -> bytes:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                data = receive(size)
            except TimeoutError:
                if deadline is not None and time.monotonic() >= deadline:
                    raise TimeoutError("no output in time") from None
                continue
            if not data:
                self._raise_if_lost()
            return data

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit status, None where none was given. Raises TimeoutError, ConnectionLost."""
        if not self._channel.status_event.wait(timeout):
            raise TimeoutError("the remote command did not end in time")
        status: int = self._channel.exit_status
        if status != FALLBACK_STATUS:
            return status
        self._raise_if_lost()
        transport = self._channel.transport
        if transport is not None and not self._given_up:
            transport.join(SETTLE)
            if not transport.is_active():
                self._lost()
        return None

    def close(self) -> None:
        """Gives the command up; its standard input ends."""
        self._given_up = True
        with contextlib.suppress(OSError, EOFError):  # it says goodbye, which a broken connection cannot carry
            self._channel.close()

    def _raise_if_lost(self) -> None:
        if not self._channel.eof_received and not self._given_up:
            self._lost()

    def _lost(self) -> None:
        raise ConnectionLost(
            "the connection broke off", subject=self._robot, why="The robot restarted, or its network is gone."
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
