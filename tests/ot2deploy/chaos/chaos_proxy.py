"""A TCP proxy on 127.0.0.1 that does to connections what bad networks do."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

PIECE = 16384
UP, DOWN = "up", "down"


@dataclass(kw_only=True)
class Weather:
    """What happens to the first `times` connections. Bytes are counted in each direction by itself.

    `after` bytes in `direction`: `deed` "cut" resets the connection, "silence" swallows everything from then on in both
    directions, "deaf" in that one, "stall" stops it for `seconds`, "flip" inverts a byte. `refused` connections are
    closed before a word is said. `delay` is in seconds each way, `rate` in bytes per second, `loss` how many of 100
    pieces wait as long as a lost packet is sent again.
    """

    deed: str = ""
    after: int = 0
    direction: str = UP
    seconds: float = 0.0
    times: int = 1
    refused: int = 0
    delay: float = 0.0
    rate: float = 0.0
    loss: int = 0
    seed: int = 0
    done: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def proxy(port: int, weather: Weather) -> Iterator[int]:
    """Passes connections on to a port through some weather; gives the port to connect to."""
    listener = socket.create_server(("127.0.0.1", 0))
    open_sockets: list[socket.socket] = []
    left = [weather.times, weather.refused]

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                open_sockets.append(client)
                if left[1] > 0:
                    left[1] -= 1
                    _reset(client)
                    continue
                server = socket.create_connection(("127.0.0.1", port))
                open_sockets.append(server)
                struck = left[0] > 0
                left[0] -= 1
                silent = threading.Event()
                for source, target, direction in ((client, server, UP), (server, client, DOWN)):
                    pump = _Pump(source, target, direction, weather, struck, silent)
                    threading.Thread(target=pump.run, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for one in open_sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@dataclass
class _Pump:
    """One direction of one connection."""

    source: socket.socket
    target: socket.socket
    direction: str
    weather: Weather
    struck: bool
    silent: threading.Event
    seen: int = 0

    def run(self) -> None:
        chance = random.Random(f"{self.weather.seed} {self.direction}")
        with contextlib.suppress(OSError):
            while data := self.source.recv(PIECE):
                data = self._struck(data)
                if self.silent.is_set():
                    continue
                self._slow(len(data), chance)
                self.target.sendall(data)
        if not self.silent.is_set():
            for side in (self.source, self.target):
                with contextlib.suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)

    def _struck(self, data: bytes) -> bytes:
        weather, before = self.weather, self.seen
        self.seen += len(data)
        if not (self.struck and weather.deed and weather.direction == self.direction and self.seen > weather.after):
            return data
        at = max(0, weather.after - before)
        if weather.deed == "deaf":
            weather.done.set()
            return data[:at]
        self.struck = False
        weather.done.set()
        if weather.deed == "cut":
            with contextlib.suppress(OSError):
                self.target.sendall(data[:at])
            _reset(self.source)
            _reset(self.target)
            raise OSError
        if weather.deed == "silence":
            self.silent.set()
        elif weather.deed == "stall":
            time.sleep(weather.seconds)
        elif weather.deed == "flip":
            return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
        return data

    def _slow(self, size: int, chance: random.Random) -> None:
        weather = self.weather
        pause = weather.delay + (size / weather.rate if weather.rate else 0.0)
        if weather.loss and chance.randrange(100) < weather.loss:
            pause += 0.2  # what Linux waits at least before it sends a packet again
        if pause:
            time.sleep(pause)


def _reset(one: socket.socket) -> None:
    """Closes a socket so that the other side reads a reset, not an end."""
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.shutdown(socket.SHUT_RDWR)
    one.close()


def until(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether something became so in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
