"""Sends files through the agent: only what is missing, resumed where a connection broke, many under way at once."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from builder.events import Event, Report
from builder.store import Blob
from ot2deploy.errors import AgentFailure, TransferFailure

PIECE = 256 << 10
# Requests sent ahead of their answers: the robot syncs one file to its card while the next one is on the way.
AHEAD = 8
TRIES = 3
INTERVAL = 0.1  # seconds between two reports


class Conversation(Protocol):
    """What a transfer needs of an AgentSession."""

    robot: str

    def request(self, op: str, **fields: Any) -> dict[str, Any]:
        """The result of one request."""

    def post(self, op: str, **fields: Any) -> None:
        """Sends a request without waiting."""

    def payload(self, data: bytes | memoryview) -> None:
        """Sends a piece of what a request announced."""

    def answer(self) -> dict[str, Any]:
        """The next answer."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What a transfer did: files sent, files that were there, bytes that went over the wire, seconds."""

    sent: int
    reused: int
    bytes: int
    seconds: float

    @property
    def rate(self) -> float:
        """Bytes per second."""
        return self.bytes / self.seconds if self.seconds > 0 else 0.0


@dataclass(kw_only=True)
class Going:
    """A file on its way: from which byte, and at which try."""

    blob: Blob
    offset: int
    tries: int = 1


@dataclass
class Transfer:
    """One call of `AgentSession.send`."""

    agent: Conversation
    kind: str
    blobs: Sequence[Blob]
    report: Report
    total: int = 0
    done: int = 0
    started: float = field(default_factory=time.monotonic)
    reported: float = 0.0
    under_way: deque[Going] = field(default_factory=deque)

    def run(self) -> Sent:
        """Sends what is missing. Raises DiskFull, TransferFailure, ConnectionLost."""
        wanted = {blob.sha256: blob for blob in self.blobs}
        asked = [{"sha256": blob.sha256, "size": blob.size, "filename": blob.filename} for blob in wanted.values()]
        missing = self.agent.request("need", kind=self.kind, blobs=asked)["missing"] if asked else []
        for item in missing:
            if item["sha256"] not in wanted or item["offset"] > wanted[item["sha256"]].size:
                raise AgentFailure("the agent asks for a file that it was not offered", subject=self.agent.robot)
        going = [Going(blob=wanted[item["sha256"]], offset=item["offset"]) for item in missing]
        self.total = sum(one.blob.size - one.offset for one in going)
        for one in going:
            self._send(one)
            if len(self.under_way) >= AHEAD:
                self._settle()
        while self.under_way:
            self._settle()
        self._tell("", last=True)
        seconds = time.monotonic() - self.started
        return Sent(sent=len(going), reused=len(wanted) - len(going), bytes=self.done, seconds=seconds)

    def _send(self, one: Going) -> None:
        blob = one.blob
        self.under_way.append(one)
        self.agent.post(
            "blob", kind=self.kind, sha256=blob.sha256, size=blob.size, filename=blob.filename, offset=one.offset
        )
        buffer = bytearray(PIECE)
        left = blob.size - one.offset
        with blob.path.open("rb", buffering=0) as file:
            file.seek(one.offset)
            while left > 0:
                count = file.readinto(memoryview(buffer)[: min(PIECE, left)])
                if not count:
                    raise self._too_short(blob)
                self.agent.payload(memoryview(buffer)[:count])
                left -= count
                self.done += count
                self._tell(blob.filename)

    def _settle(self) -> None:
        """Takes the answer for the oldest file under way; a damaged one is sent again."""
        one = self.under_way.popleft()
        try:
            self.agent.answer()
        except TransferFailure as failure:
            if one.tries >= TRIES:
                raise
            offset = 0 if failure.agent_code == "blob-sha256" else failure.values.get("offset", 0)
            if type(offset) is not int or not 0 <= offset <= one.blob.size:
                raise
            self.total += one.blob.size - offset
            self._send(Going(blob=one.blob, offset=offset, tries=one.tries + 1))

    def _tell(self, filename: str, *, last: bool = False) -> None:
        now = time.monotonic()
        if not self.total or (not last and now - self.reported < INTERVAL):
            return
        self.reported = now
        rate = self.done / max(now - self.started, 1e-3) / 1e6
        message = f"{filename} {rate:.1f} MB/s".strip()
        self.report(
            Event(subject=self.agent.robot, stage="send", message=message, done=self.done, total=self.total, unit="B")
        )

    def _too_short(self, blob: Blob) -> TransferFailure:
        return TransferFailure(
            f"{blob.filename} in the store is shorter than it should be",
            subject=self.agent.robot,
            next="Run the command again: a damaged file is found and got anew.",
        )
