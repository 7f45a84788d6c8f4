"""Notices a robot that has gone silent: one whose bytes nobody carries any more, though the connection looks open.

TCP notices by itself when the peer's kernel answers no more. Behind a jump host or a proxy something else answers.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import time
from typing import Any

import paramiko
from paramiko import common

KEEPALIVE = 5.0  # seconds between two questions
SILENCE = 60.0  # seconds without a byte, though asked; at 59 kB/s an answer may wait behind a full buffer for 40


class Listening:
    """A socket that remembers when something was last heard, and breaks when that was too long ago."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._heard = time.monotonic()

    def recv(self, size: int) -> bytes:
        """As a socket's."""
        data: bytes = self._sock.recv(size)
        self._heard = time.monotonic()
        return data

    def send(self, data: bytes) -> int:
        """As a socket's; paramiko calls it again and again while the far side takes nothing."""
        try:
            sent: int = self._sock.send(data)
        except TimeoutError:
            self.check()
            raise
        return sent

    def check(self) -> None:
        """Breaks the connection after too long a silence: whoever reads or writes then finds it lost."""
        if time.monotonic() - self._heard > SILENCE:
            with contextlib.suppress(OSError):
                if isinstance(self._sock, socket.socket):
                    self._sock.shutdown(socket.SHUT_RDWR)
            self._sock.close()
            raise ConnectionResetError(errno.ECONNRESET, "the robot has gone silent")  # paramiko wants both

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def keep_asking(transport: paramiko.Transport) -> None:
    """Asks the far side every few seconds whether it is there, in a way that any SSH server answers."""
    sock = transport.sock
    assert isinstance(sock, Listening)

    def ask() -> None:  # called by the transport's own thread while nothing comes
        sock.check()
        question = paramiko.Message()
        question.add_byte(common.cMSG_GLOBAL_REQUEST)
        question.add_string("keepalive@openssh.com")
        question.add_boolean(True)
        transport._send_user_message(question)  # type: ignore[attr-defined]

    transport.packetizer.set_keepalive(KEEPALIVE, ask)
