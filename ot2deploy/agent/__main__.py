"""Entry of the agent's archive: `session`, `exec` or `checks`, on a Python that is new enough."""

from __future__ import annotations

import json
import os
import sys

# What is below works on 3.8; this file and what it imports at its head also load on 3.7, to refuse in words.
OLDEST = (3, 8)


def refusal() -> dict[str, object] | None:
    """Why this interpreter cannot serve, as a protocol message, or None."""
    if sys.implementation.name == "cpython" and sys.version_info >= OLDEST:
        return None
    return {
        "type": "error",
        "code": "robot-unsupported",
        "what": "the robot has %s %s; ot2deploy needs CPython %d.%d or newer"
        % (sys.implementation.name, sys.version.split()[0], OLDEST[0], OLDEST[1]),
        "why": "Robot software before 7.2 brings Python 3.7.",
        "next": "Update the robot's software with the Opentrons App.",
        "details": [],
        "data": {},
    }


def main() -> int:
    """Runs the command named by the first argument and returns its exit status."""
    command = sys.argv[1] if len(sys.argv) == 2 else ""
    reason = refusal()
    if command == "session":
        # Whatever prints from now on prints to standard error; nothing that we start inherits the protocol's streams.
        requests, answers = os.dup(0), os.dup(1)
        os.dup2(2, 1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if reason:
            os.write(answers, json.dumps(reason).encode() + b"\n")
            return 3
        return _session(requests, answers)
    if reason:
        sys.stderr.write("ot2deploy: %s\n%s %s\n" % (reason["what"], reason["why"], reason["next"]))
        return 126
    if command == "exec":
        from ot2deploy.agent import execute

        return execute.main()
    if command == "checks":
        from builder.checks import runner

        return runner.main()
    sys.stderr.write("usage: python3 -I AGENT.pyz session|exec|checks\n")
    return 2


def _session(requests: int, answers: int) -> int:
    import hashlib
    import signal
    import threading

    from ot2deploy.agent.session import CUT, Session

    archive = os.path.abspath(sys.argv[0])
    with open(archive, "rb") as file:
        sha256 = hashlib.sha256(file.read()).hexdigest()
    os.umask(0o022)
    session = Session(requests, answers, archive)

    def leave() -> None:
        session.end()
        os._exit(CUT)

    for name in ("SIGTERM", "SIGHUP", "SIGINT"):  # handled in a thread: the main one may hold the lock on children
        signal.signal(getattr(signal, name), lambda *_: threading.Thread(target=leave).start())
    try:
        return session.serve(sha256)
    finally:
        session.end()


if __name__ == "__main__":
    sys.exit(main())
