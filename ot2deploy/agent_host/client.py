"""Conversations with the agent on a robot: requests and their answers, with a heartbeat while nothing is said."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from builder.events import Event, Report, silent
from builder.store import Blob
from ot2deploy.agent_host import archive, shapes
from ot2deploy.agent_host.answers import addressed, failure_of
from ot2deploy.agent_host.arrival import MISSING, agent_command, bring
from ot2deploy.agent_host.transfer import Sent, Transfer
from ot2deploy.errors import AgentFailure, ConnectionLost, Locked, RobotFailure
from ot2deploy.inventory import Robot
from ot2deploy.runs.record import who
from ot2deploy.transport import Session, Stream

PROTOCOL = 1
HEARTBEAT = 5.0  # seconds; the agent gives up after 30 of silence
PATIENCE = 1800.0  # seconds without a word from the agent; an installation on a slow robot says little
HELLO = 120.0  # seconds until the agent says hello; an emulated robot under load is slow
LAST_WORDS = 1.0  # seconds for what an agent wrote to standard error to arrive after its end
CUT = "cut"  # the `agent_code` of a failure of an agent that was ended by a signal
CUT_STATUS = (3, -9, 137)  # its exit statuses then; see ot2deploy.agent.session
STAGE, MESSAGE = 40, 500  # letters of an agent's event that are kept
GOODBYE = 10.0  # seconds for the agent to give the lock back and end


class AgentSession:
    """A conversation with the agent, for one thread. `open_agent` makes one that holds the lock, `reading` without."""

    def __init__(self, stream: Stream, robot: str, report: Report = silent) -> None:
        self.robot, self.report = robot, report
        self._stream = stream
        self._frames = threading.Lock()
        self._ended = threading.Event()
        self._errors: deque[bytes] = deque(maxlen=64)
        self._asked: deque[str] = deque()  # requests whose answers are to come
        self._threads = [
            threading.Thread(target=work, name=f"{robot} {name}", daemon=True)
            for name, work in (("heartbeat", self._beat), ("errors", self._listen))
        ]
        for thread in self._threads:
            thread.start()

    def request(self, op: str, **fields: Any) -> dict[str, Any]:
        """The result of one request; events on the way go to the report.

        Raises the Failure that the agent's error stands for, AgentFailure for an answer that is none, ConnectionLost.
        """
        self.post(op, **fields)
        return self.answer()

    def post(self, op: str, **fields: Any) -> None:
        """Sends a request without waiting for its answer; answers come in the order of the requests."""
        self._asked.append(op)
        self._write("J", json.dumps({"op": op, **fields}).encode())

    def payload(self, data: bytes | memoryview) -> None:
        """Sends a piece of what a request announced."""
        self._write("B", data)

    def answer(self) -> dict[str, Any]:
        """The next answer; see `request`."""
        while True:
            message = self._message(PATIENCE)
            kind = message.get("type")
            if kind == "event":
                self.report(_event(self.robot, message))
            elif kind == "result":
                op = self._asked.popleft() if self._asked else ""
                if not shapes.fits(op, message):
                    raise self._broken(f"its answer to `{op}` is none")
                return message
            elif kind == "error":
                if self._asked:
                    self._asked.popleft()
                raise failure_of(self.robot, message)
            else:
                raise self._broken(f"it said {kind!r}")

    def send(self, kind: str, blobs: Sequence[Blob], report: Report | None = None) -> Sent:
        """Sends the blobs that are missing on the robot ("wheels" or "packs"), resuming cut ones.

        Raises DiskFull, TransferFailure, ConnectionLost.
        """
        return Transfer(self, kind, blobs, report or self.report).run()

    def hello(self, sha256: str) -> None:
        """Reads the agent's first message and checks that both speak the same protocol."""
        message = self._message(HELLO, first=True)
        if message.get("type") == "error":
            raise failure_of(self.robot, message)
        if message.get("type") != "hello" or message.get("protocol") != PROTOCOL:
            raise self._broken(f"it speaks protocol {message.get('protocol')}, this ot2deploy {PROTOCOL}")
        if message.get("agent") != sha256:
            raise AgentDamaged("the agent on the robot is not the file we brought", subject=self.robot)

    def close(self) -> None:
        """Ends the conversation and waits a moment for the agent to give the lock back."""
        self._ended.set()
        with contextlib.suppress(ConnectionLost, TimeoutError, BrokenPipeError):
            self._stream.finish()
            self._stream.wait(GOODBYE)
        self.abandon()

    def abandon(self) -> None:
        """Ends the conversation without waiting."""
        self._ended.set()
        self._stream.close()

    def _write(self, kind: str, data: bytes | memoryview) -> None:
        try:
            with self._frames:
                self._stream.write(b"%s %d\n" % (kind.encode(), len(data)))
                self._stream.write(data)
        except BrokenPipeError:
            # It ended; what it said before tells why: let whoever reads next find that.
            if self._ended.is_set():
                raise
            self._explain()

    def _explain(self) -> None:
        """Raises what the agent said last, or that it said nothing."""
        while True:
            message = self._message(GOODBYE)
            if message.get("type") == "error":
                raise failure_of(self.robot, message)

    def _message(self, timeout: float, *, first: bool = False) -> dict[str, Any]:
        """The agent's next message. Before the first one a robot may print other lines, such as a MOTD."""
        while True:
            try:
                line = self._stream.readline(timeout)
            except TimeoutError:
                raise self._broken(f"it said nothing for {timeout:.0f} s") from None
            if not line:
                status = self._stream.wait(GOODBYE)
                if first and status == MISSING:
                    raise AgentMissing("the agent is not on the robot yet", subject=self.robot)
                broken = self._broken(f"it ended with status {status}")
                broken.agent_code = CUT if status in CUT_STATUS else ""
                raise broken
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                message = None
            if isinstance(message, dict):
                return message
            if not first:
                raise self._broken(f"it said {line[:80]!r}")

    def _broken(self, why: str) -> AgentFailure:
        self._threads[-1].join(LAST_WORDS)
        tail = b"".join(self._errors).decode(errors="replace").splitlines()[-12:]
        return AgentFailure(
            f"the agent on the robot failed: {why}",
            subject=self.robot,
            why="What was current stays current.",
            next="Push again; if it stays, run with -v and report it.",
            details=tuple(tail),
        )

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT):
            if self._frames.acquire(blocking=False):  # whoever holds it is sending, which is as good
                try:
                    self._stream.write(b"H 0\n")
                except (BrokenPipeError, ConnectionLost):
                    return
                finally:
                    self._frames.release()

    def _listen(self) -> None:
        with contextlib.suppress(ConnectionLost):
            while data := self._stream.read_error(4096):
                self._errors.append(data)


class AgentMissing(AgentFailure):
    """The agent's file is not on the robot; `open_agent` brings it."""

    code = "agent-missing"


class AgentDamaged(AgentFailure):
    """The agent's file on the robot has other bytes than its name says; `open_agent` brings it again, once."""

    code = "agent-damaged"


@contextlib.contextmanager
def open_agent(
    session: Session, robot: Robot, *, run: str, environment: str | None, fingerprint: str, report: Report = silent,
    wait: bool = False,
) -> Iterator[AgentSession]:  # fmt: skip
    """A session with the agent that holds the robot's lock; both end with the block.

    `run` is the run's id, `fingerprint` the probed one. The agent is brought when it is not there. Raises Locked
    (unless `wait`), AgentTooNew, RobotUnsupported, AgentFailure, ConnectionLost.
    """
    agent = _started(session, robot, report)
    try:
        asked = {
            "protocol": PROTOCOL, "base": robot.base, "root": robot.root, "run": run, "who": who(),
            "fingerprint": fingerprint, "environment": environment,
        }  # fmt: skip
        try:
            agent.request("begin", **asked, wait=wait)
        except Locked as locked:
            if locked.holder.get("run") != run:
                locked.next += f" To end it: ot2deploy robot unlock {robot.name}{robot.file_option} --force"
                raise
            # Our own connection broke off before, and the agent behind it has not noticed yet: it does within 30 s.
            agent.request("begin", **asked, wait=True)
        yield agent
    except BaseException as error:
        if isinstance(error, RobotFailure):
            error.next = addressed(error.next, robot)
        agent.abandon()
        raise
    agent.close()


@contextlib.contextmanager
def reading(session: Session, robot: Robot, report: Report = silent) -> Iterator[AgentSession]:
    """A session with the agent that holds no lock: for requests that need none. Raises as `open_agent`, but Locked."""
    agent = _started(session, robot, report)
    try:
        yield agent
    except BaseException:
        agent.abandon()
        raise
    agent.close()


def frame(kind: str, data: bytes) -> bytes:
    """One frame of the protocol: kind, length, newline, data."""
    return b"%s %d\n%s" % (kind.encode(), len(data), data)


def _started(session: Session, robot: Robot, report: Report) -> AgentSession:
    sha256 = archive.build()[1]
    for last in (False, True):
        agent = AgentSession(session.open(agent_command(robot, "session")), robot.name, report)
        try:
            agent.hello(sha256)
        except (AgentMissing, AgentDamaged):
            agent.abandon()
            if last:
                raise
            bring(session, robot)
        except BaseException:
            agent.abandon()
            raise
        else:
            return agent
    raise AssertionError("unreachable")


def _event(robot: str, message: dict[str, Any]) -> Event:
    done, total = message.get("done"), message.get("total")
    counted = type(done) is int and type(total) is int and 0 <= done <= total
    return Event(
        subject=robot,
        stage=str(message.get("stage", ""))[:STAGE],
        message=str(message.get("message") or "")[:MESSAGE],
        done=done if counted else None,
        total=total if counted else None,
    )
