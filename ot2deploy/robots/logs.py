"""What a robot tells of itself: its journal of ours, and the last lines of its robot server in the system's log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ot2deploy.errors import AgentFailure, DiskFull, RobotFailure
from ot2deploy.inventory import Robot
from ot2deploy.robots.history import journal_of
from ot2deploy.robots.probe import read_state
from ot2deploy.transport import Session, script

MOST = 400_000  # bytes of the system's log that are read at most
# The first line is the source, the rest the log. A simulated robot's own root has no journal: the one that journalctl
# would show is that of the computer that simulates it.
SCRIPT = """
root=@root@ file=@file@
if [ $root = /. ] && command -v journalctl >/dev/null 2>&1; then
told=$(journalctl -u opentrons-robot-server -n @lines@ --no-pager -q -o short-iso 2>/dev/null | tail -c @most@)
[ -z "$told" ] || { echo journalctl; printf '%s\\n' "$told"; exit 0; }
fi
[ -r $file ] && { echo $file; tail -c 4000000 $file | grep -i opentrons | tail -n @lines@ | tail -c @most@; }
exit 0
"""
MESSAGES = "/var/log/messages"
HIDDEN = "***"
SECRETS = (
    (re.compile(r"([a-z][a-z0-9+.-]*://)[^\s/@]+@", re.I), rf"\1{HIDDEN}@"),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{6,}", re.I), rf"\1 {HIDDEN}"),
    (
        re.compile(
            r"""([\w-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|psk)["']?\s*[:=]\s*)"""
            r"""("[^"]*"|'[^']*'|[^\s"',;&]+)""",
            re.I,
        ),
        rf"\1{HIDDEN}",
    ),
)


@dataclass(frozen=True, kw_only=True)
class RobotLogs:
    """The last lines of a robot's journal and of its robot server, oldest first.

    `source` says where the latter come from: "journalctl", a file, or "" where the robot keeps none. `failure` is why
    the journal could not be read.
    """

    robot: str
    journal: tuple[Mapping[str, Any], ...]
    source: str
    lines: tuple[str, ...]
    failure: RobotFailure | None = None

    @property
    def exit_code(self) -> int:
        """0 when all could be read."""
        return self.failure.exit_code if self.failure else 0

    def as_dict(self) -> dict[str, Any]:
        """The logs as JSON."""
        return {
            "robot": self.robot,
            "journal": list(self.journal),
            "source": self.source,
            "lines": list(self.lines),
            "journal_error": self.failure.as_dict() if self.failure else None,
        }


def read_logs(session: Session, robot: Robot, limit: int) -> RobotLogs:
    """The last `limit` lines of each. Changes nothing. What looks like a password, key or login is not in them."""
    read_state(session, robot, brief=True)  # refuses a simulated robot whose log would be this computer's
    file = robot.system_path(MESSAGES)
    words = {"root": robot.root or "/.", "file": file, "lines": str(limit), "most": str(MOST)}
    source, _, log = session.run(script(SCRIPT, **words)).text.partition("\n")
    journal: list[Mapping[str, Any]] = []
    failure: RobotFailure | None = None
    try:
        journal = journal_of(session, robot, limit)
    except (AgentFailure, DiskFull) as error:  # then the rest is needed most
        failure = error
    return RobotLogs(
        robot=robot.name,
        journal=tuple(journal),
        source=source,
        lines=tuple(without_secrets(log.splitlines())),
        failure=failure,
    )


def without_secrets(lines: Iterable[str]) -> Iterator[str]:
    """The lines, with what looks like a login, password, token or private key replaced."""
    in_key = False
    for line in lines:
        begins = "-----BEGIN" in line and "PRIVATE KEY" in line
        if begins or in_key:
            in_key = "-----END" not in line
            if begins:
                yield f"{line.partition('-----BEGIN')[0]}{HIDDEN}"
            continue
        for pattern, shown in SECRETS:
            line = pattern.sub(shown, line)
        yield line
