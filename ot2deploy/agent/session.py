"""A session: takes requests off standard input, one after the other, and answers each with a result or an error."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import traceback

from builder.checks import child
from builder.checks import facts as facts_of
from ot2deploy.agent import PROTOCOL, SCHEMA, fields, frames, journal, release, statefile
from ot2deploy.agent import layout as layouts
from ot2deploy.agent import lock as locks
from ot2deploy.agent.blobs import Blobs
from ot2deploy.agent.manifest import SHARED
from ot2deploy.agent.refusal import Refusal, bad_request, from_os_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from ot2deploy.agent.fields import Request
    from ot2deploy.agent.frames import Data

    Answer = dict[str, Any]

API_PATH = re.compile(r"/[A-Za-z0-9_./?=-]{1,200}")
ENDED, BROKEN, CUT = 0, 2, 3  # exit statuses: host closed; host sent nonsense; host went away during a request


class Session:
    """What one connection has taken (lock, layout, blobs proven) and how its requests are served."""

    def __init__(self, reader_fd: int, writer_fd: int, archive: str) -> None:
        self.archive = archive
        self.outlet = frames.Outlet(writer_fd)
        self.reader = frames.Reader(reader_fd, self._host_is_gone)
        self.lock: locks.Lock | None = None
        self.layout: layouts.Layout | None = None
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
            return Refusal(
                "agent-bug", "the agent failed: %s: %s" % (type(error).__name__, error),
                why="This is a fault of ot2deploy; what was current stays current.",
                next="Please report it with the lines above.",
                details=traceback.format_exc().splitlines()[-12:],
            ).as_message()  # fmt: skip

    # Requests

    def begin(self, request: Request) -> Answer:
        """Takes the lock, sweeps what interrupted runs left, and writes the robot's facts where they are not known."""
        if request.get("protocol") != PROTOCOL:
            raise Refusal(
                "protocol-version", "the agent speaks protocol %d, not %r" % (PROTOCOL, request.get("protocol"))
            )
        if self.lock is not None:
            raise bad_request("this session has begun already")
        layout = layouts.of_request(request)
        fingerprint = fields.text(request, "fingerprint")
        environment = fields.environment(request) if request.get("environment") else None
        self.run, self.who = fields.text(request, "run"), fields.text(request, "who")
        self.layout = layout
        os.makedirs(layout.base, exist_ok=True)
        waiting = (lambda words: self.outlet.event("lock", words)) if fields.flag(request, "wait") else None
        self.lock = locks.take(layout.lock, self.run, self.who, waiting)
        try:
            _check_age(layout, environment)
            journal.settle(layout.journal, self.lock.taken_over, lambda name: layouts.current_digest(layout, name))
            swept = release.sweep(layout)
            os.makedirs(layout.tmp, exist_ok=True)
            _repair_links(layout)
            self._write_facts(layout, fingerprint)
        except BaseException:
            self.lock.release()
            self.lock = self.layout = None
            raise
        self.blobs = Blobs(layout)
        return {"holder": self.lock.taken_over, "swept": swept}

    def need(self, request: Request) -> Answer:
        """Says which blobs are missing."""
        return self._begun()[1].need(request)

    def blob(self, request: Request) -> Answer:
        """Takes one blob out of the data frames that follow."""
        return self._begun()[1].receive(request, self._pieces)

    # What only some requests need is imported with them: loading tarfile or ctypes takes long on a robot.

    def install(self, request: Request) -> Answer:
        """Makes a release."""
        from ot2deploy.agent.install import install

        layout, blobs = self._begun()
        done = install(layout, blobs, request, self.outlet.event)
        blobs.remove_parts()
        return done

    def verify(self, request: Request) -> Answer:
        """Runs a release's checks."""
        from ot2deploy.agent.verify import verify

        layout, _ = self._begun()
        return verify(layout, self.archive, request, lambda *at: self.outlet.event("verify", *at))

    def switch(self, request: Request) -> Answer:
        """Makes a release current."""
        from ot2deploy.agent.switch import switch

        with self._announced("switch", request) as layout:
            return switch(layout, request, self.run, self.who)

    def rollback(self, request: Request) -> Answer:
        """Makes an earlier release current."""
        from ot2deploy.agent.switch import rollback

        with self._announced("rollback", request) as layout:
            return rollback(layout, request, self.run, self.who)

    def withdraw(self, request: Request) -> Answer:
        """Makes no release current."""
        from ot2deploy.agent.switch import withdraw

        with self._announced("withdraw", request) as layout:
            return withdraw(layout, request, self.run, self.who)

    def kernel(self, request: Request) -> Answer:
        """Offers an environment to the robot's Jupyter."""
        from ot2deploy.agent.kernel import register

        return register(self._begun()[0], request, self.run, self.who)

    def remove(self, request: Request) -> Answer:
        """Takes an environment off the robot."""
        from ot2deploy.agent.remove import remove

        return remove(self._begun()[0], request, self.run, self.who)

    def collect(self, request: Request) -> Answer:
        """Removes releases that nobody goes back to."""
        from ot2deploy.agent.collect import collect

        return collect(self._begun()[0], self.archive, request, self.run, self.who)

    def purge(self, request: Request) -> Answer:
        """Takes everything of ours off the robot. The session has then to begin again."""
        from ot2deploy.agent.purge import purge

        layout, _ = self._begun()
        answer = purge(layout, fields.flag(request, "force"))
        if self.lock is not None:
            self.lock.release()
        self.lock = self.layout = self.blobs = None
        return answer

    def unlock(self, request: Request) -> Answer:
        """Frees the lock from a dead holder or, by force, a live one. Needs no lock: it names base and root itself."""
        from ot2deploy.agent.unlock import unlock

        if self.lock is not None:
            raise bad_request("this session holds the lock itself")
        run, who = fields.text(request, "run"), fields.text(request, "who")
        return unlock(layouts.of_request(request), run, who, fields.flag(request, "force"))

    def activity(self, request: Request) -> Answer:
        """What the robot is doing, by its own HTTP API; over the session's channel, since a second one may break it."""
        from ot2deploy.agent import activity

        paths = request.get("paths")
        if not isinstance(paths, list) or not all(isinstance(path, str) and API_PATH.fullmatch(path) for path in paths):
            raise bad_request("field paths is not a list of paths")
        return activity.look(self._begun()[0].root, fields.number(request, "port"), paths)

    def record(self, request: Request) -> Answer:
        """Adds a line about a push that failed or was refused to the journal."""
        line = dict(fields.mapping(request, "line"))
        line.setdefault("run", self.run)
        line.setdefault("who", self.who)
        return {"line": journal.append(self._begun()[0].journal, line)}

    def journal(self, request: Request) -> Answer:
        """The last lines of the journal. Needs no lock: it may name base and root itself."""
        limit = fields.number(request, "limit")
        lines = journal.read((self.layout or layouts.of_request(request)).journal)
        return {"lines": lines[-limit:] if limit else []}

    # Parts of them

    def _begun(self) -> tuple[layouts.Layout, Blobs]:
        if self.lock is None or self.layout is None or self.blobs is None:
            raise bad_request("the first request of a session is begin")
        return self.layout, self.blobs

    @contextlib.contextmanager
    def _announced(self, op: str, request: Request) -> Iterator[layouts.Layout]:
        """Says in the lock what is done; cut off before the journal has its line, the next run writes that."""
        layout, environment = self._begun()[0], fields.environment(request)
        assert self.lock is not None
        before = layouts.current_digest(layout, environment)
        self.lock.tell({"op": op, "environment": environment, "previous": before})
        try:
            yield layout
        finally:
            self.lock.tell(None)

    def _pieces(self, expected: int) -> Iterator[Data]:
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

    def _write_facts(self, layout: layouts.Layout, fingerprint: str) -> None:
        known = statefile.read(layout.facts)
        if known is None or known.get("fingerprint") != fingerprint:
            facts = facts_of.facts()
            facts["sys_path"] = [entry for entry in facts["sys_path"] if entry != self.archive]
            statefile.write(layout.facts, {"schema": SCHEMA, "fingerprint": fingerprint, "facts": facts})


def _repair_links(layout: layouts.Layout) -> None:
    """Makes the shared environment's links what they should be, where there ever was one."""
    if os.path.isdir(layout.environment(SHARED)) or os.path.isfile(layout.shared):
        from ot2deploy.agent import shared

        shared.converge(layout)


def _check_age(layout: layouts.Layout, environment: str | None) -> None:
    """Refuses a base directory in which a newer ot2deploy has written."""
    statefile.read(layout.facts)
    journal.read(layout.journal)
    current = layouts.current_digest(layout, environment) if environment else None
    if environment and current:
        for name in (layouts.MANIFEST, layouts.VERIFIED):
            statefile.read(os.path.join(layout.release(environment, current), name))


OPERATIONS: dict[str, Callable[[Session, Request], Answer]] = {
    "begin": Session.begin, "need": Session.need, "blob": Session.blob, "install": Session.install,
    "verify": Session.verify, "switch": Session.switch, "rollback": Session.rollback, "withdraw": Session.withdraw,
    "record": Session.record, "journal": Session.journal, "remove": Session.remove, "collect": Session.collect,
    "purge": Session.purge, "unlock": Session.unlock, "activity": Session.activity,
    "kernel": Session.kernel,
}  # fmt: skip
