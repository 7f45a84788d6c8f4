"""What the rest of ot2deploy knows of a connection to a robot: two Protocols, one value, one rule for commands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

SAFE_WORD = re.compile(r"[A-Za-z0-9._/-]+", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Output:
    """What a finished command printed, and its exit status (None when the robot gave none: the command was killed)."""

    status: int | None
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.stdout.decode(errors="replace")

    @property
    def error(self) -> str:
        """Standard error as text, without surrounding space."""
        return self.stderr.decode(errors="replace").strip()


class Stream(Protocol):
    """A running command. One thread may write while another reads; `write` may be called by several, in turns.

    Every method raises ConnectionLost when the connection breaks.
    """

    def write(self, data: bytes | memoryview) -> None:
        """Sends bytes to standard input; waits while the far side is not ready for more."""

    def finish(self) -> None:
        """Ends standard input."""

    def read(self, size: int, timeout: float | None = None) -> bytes:
        """Up to `size` bytes of standard output, b"" at its end. Raises TimeoutError (seconds)."""

    def readline(self, timeout: float | None = None) -> bytes:
        """The next line of standard output with its newline, b"" at the end. Raises TimeoutError (seconds)."""

    def read_error(self, size: int, timeout: float | None = None) -> bytes:
        """Up to `size` bytes of standard error, b"" at its end. Raises TimeoutError (seconds)."""

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit status, or None where the far side gave none. Raises TimeoutError (seconds)."""

    def close(self) -> None:
        """Gives the command up; on the robot it sees the end of its input and lives on if it wants to."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Session(Protocol):
    """A connection to one robot."""

    @property
    def robot(self) -> str:
        """The robot's name, for messages."""

    def run(self, command: str, *, input: bytes = b"", timeout: float = 60.0) -> Output:
        """Runs a command to its end. Raises ConnectionLost; CommandFailure when it takes longer (seconds)."""

    def open(self, command: str) -> Stream:
        """Starts a command and returns while it runs. Raises ConnectionLost."""

    def close(self) -> None:
        """Ends the connection; closing twice is fine."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def script(text: str, **words: str) -> str:
    """A constant shell text with `@name@` replaced by words that no shell can misread.

    Raises ValueError for a word with other characters than `command` takes, and for an @name@ without a word.
    """
    for name, word in words.items():
        text = text.replace(f"@{name}@", command(word))
    if left := re.search(r"@[a-z]+@", text):
        raise ValueError(f"no word for {left.group()}")
    return text


def command(*words: str) -> str:
    """A remote command line of words that no shell can misread. Anything a user typed travels on stdin instead.

    Raises ValueError for a word with other characters than A-Z a-z 0-9 . _ / -
    """
    for word in words:
        if not SAFE_WORD.fullmatch(word):
            raise ValueError(f"not fit for a remote command line: {word!r}")
    return " ".join(words)
