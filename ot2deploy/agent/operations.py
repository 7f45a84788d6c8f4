"""The operations that a request can ask of a session: each takes both, and gives the fields of its result.

What only some of them need is imported with them: loading tarfile or ctypes takes long on a robot.
"""

from __future__ import annotations

import os
import re

from ot2deploy.agent import PROTOCOL, SCHEMA, fields, journal, release, statefile
from ot2deploy.agent import layout as layouts
from ot2deploy.agent import lock as locks
from ot2deploy.agent.blobs import Blobs
from ot2deploy.agent.manifest import SHARED
from ot2deploy.agent.refusal import Refusal, bad_request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ot2deploy.agent.fields import Request
    from ot2deploy.agent.layout import Layout
    from ot2deploy.agent.session import Session

    Answer = dict[str, Any]

API_PATH = re.compile(r"/[A-Za-z0-9_./?=-]{1,200}")


def begin(session: Session, request: Request) -> Answer:
    """Takes the lock, sweeps what interrupted runs left, and writes the robot's facts where they are not known."""
    if request.get("protocol") != PROTOCOL:
        raise Refusal("protocol-version", "the agent speaks protocol %d, not %r" % (PROTOCOL, request.get("protocol")))
    if session.lock is not None:
        raise bad_request("this session has begun already")
    layout = layouts.of_request(request)
    fingerprint = fields.text(request, "fingerprint")
    environment = fields.environment(request) if request.get("environment") else None
    session.run, session.who = fields.text(request, "run"), fields.text(request, "who")
    session.layout = layout
    os.makedirs(layout.base, exist_ok=True)
    waiting = (lambda words: session.outlet.event("lock", words)) if fields.flag(request, "wait") else None
    session.lock = locks.take(layout.lock, session.run, session.who, waiting)
    try:
        _check_age(layout, environment)
        journal.settle(layout.journal, session.lock.taken_over, lambda name: layouts.current_digest(layout, name))
        swept = release.sweep(layout)
        os.makedirs(layout.tmp, exist_ok=True)
        _repair_links(layout)
        _write_facts(layout, fingerprint, session.archive)
    except BaseException:
        session.lock.release()
        session.lock = session.layout = None
        raise
    session.blobs = Blobs(layout)
    return {"holder": session.lock.taken_over, "swept": swept}


def need(session: Session, request: Request) -> Answer:
    """Says which blobs are missing."""
    return session.begun()[1].need(request)


def blob(session: Session, request: Request) -> Answer:
    """Takes one blob out of the data frames that follow."""
    return session.begun()[1].receive(request, session.pieces)


def install(session: Session, request: Request) -> Answer:
    """Makes a release."""
    from ot2deploy.agent import install as installing

    layout, blobs = session.begun()
    done = installing.install(layout, blobs, request, session.outlet.event)
    blobs.remove_parts()
    return done


def verify(session: Session, request: Request) -> Answer:
    """Runs a release's checks."""
    from ot2deploy.agent import verify as verifying

    layout, _ = session.begun()
    return verifying.verify(layout, session.archive, request, lambda *at: session.outlet.event("verify", *at))


def change(session: Session, request: Request) -> Answer:
    """Makes a release (`switch`), an earlier one (`rollback`) or none (`withdraw`) current.

    The lock says so meanwhile: whatever cuts it off before the journal has its line, the next run writes that.
    """
    from ot2deploy.agent import switch

    layout, op, environment = session.begun()[0], fields.text(request, "op"), fields.environment(request)
    work = {"switch": switch.switch, "rollback": switch.rollback, "withdraw": switch.withdraw}[op]
    assert session.lock is not None
    before = layouts.current_digest(layout, environment)
    session.lock.tell({"op": op, "environment": environment, "previous": before})
    try:
        answer = work(layout, request, session.run, session.who)
    except Refusal:  # nothing was changed; after any other error it may have been
        session.lock.tell(None)
        raise
    session.lock.tell(None)
    return answer


def kernel(session: Session, request: Request) -> Answer:
    """Offers an environment to the robot's Jupyter."""
    from ot2deploy.agent import kernel as kernels

    return kernels.register(session.begun()[0], request, session.run, session.who)


def remove(session: Session, request: Request) -> Answer:
    """Takes an environment off the robot."""
    from ot2deploy.agent import remove as removing

    return removing.remove(session.begun()[0], request, session.run, session.who)


def collect(session: Session, request: Request) -> Answer:
    """Removes releases that nobody goes back to."""
    from ot2deploy.agent import collect as collecting

    return collecting.collect(session.begun()[0], session.archive, request, session.run, session.who)


def purge(session: Session, request: Request) -> Answer:
    """Takes everything of ours off the robot. The session has then to begin again."""
    from ot2deploy.agent import purge as purging

    answer = purging.purge(session.begun()[0], fields.flag(request, "force"))
    if session.lock is not None:
        session.lock.release()
    session.lock = session.layout = session.blobs = None
    return answer


def unlock(session: Session, request: Request) -> Answer:
    """Frees the lock from a dead holder or, by force, a live one. Needs no lock: it names base and root itself."""
    from ot2deploy.agent import unlock as unlocking

    if session.lock is not None:
        raise bad_request("this session holds the lock itself")
    run, who = fields.text(request, "run"), fields.text(request, "who")
    return unlocking.unlock(layouts.of_request(request), run, who, fields.flag(request, "force"))


def ask_activity(session: Session, request: Request) -> Answer:
    """What the robot is doing, by its own HTTP API; over the session's channel, since a second one may break it."""
    from ot2deploy.agent import activity

    paths = request.get("paths")
    if not isinstance(paths, list) or not all(isinstance(path, str) and API_PATH.fullmatch(path) for path in paths):
        raise bad_request("field paths is not a list of paths")
    return activity.look(session.begun()[0].root, fields.number(request, "port"), paths)


def record(session: Session, request: Request) -> Answer:
    """Adds a line about a push that failed or was refused to the journal."""
    line = dict(fields.mapping(request, "line"))
    line.setdefault("run", session.run)
    line.setdefault("who", session.who)
    return {"line": journal.append(session.begun()[0].journal, line)}


def last_lines(session: Session, request: Request) -> Answer:
    """The last lines of the journal. Needs no lock: it may name base and root itself."""
    limit = fields.number(request, "limit")
    lines = journal.read((session.layout or layouts.of_request(request)).journal)
    return {"lines": lines[-limit:] if limit else []}


def _check_age(layout: Layout, environment: str | None) -> None:
    """Refuses a base directory in which a newer ot2deploy has written."""
    statefile.read(layout.facts)
    journal.read(layout.journal)
    current = layouts.current_digest(layout, environment) if environment else None
    if environment and current:
        for name in (layouts.MANIFEST, layouts.VERIFIED):
            statefile.read(os.path.join(layout.release(environment, current), name))


def _repair_links(layout: Layout) -> None:
    """Makes the shared environment's links what they should be, where there ever was one."""
    if os.path.isdir(layout.environment(SHARED)) or os.path.isfile(layout.shared):
        from ot2deploy.agent import shared

        shared.converge(layout)


def _write_facts(layout: Layout, fingerprint: str, archive: str) -> None:
    known = statefile.read(layout.facts)
    if known is None or known.get("fingerprint") != fingerprint:
        from builder.checks import facts

        said = facts.facts()
        said["sys_path"] = [entry for entry in said["sys_path"] if entry != archive]
        statefile.write(layout.facts, {"schema": SCHEMA, "fingerprint": fingerprint, "facts": said})


OPERATIONS: dict[str, Callable[[Session, Request], Answer]] = {
    "begin": begin, "need": need, "blob": blob, "install": install, "verify": verify,
    "switch": change, "rollback": change, "withdraw": change, "record": record, "journal": last_lines,
    "kernel": kernel, "remove": remove, "collect": collect, "purge": purge, "unlock": unlock,
    "activity": ask_activity,
}  # fmt: skip
