"""The robots' journals, merged: what was done to which robot, by whom and with what result."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ot2deploy import fleet
from ot2deploy.agent_host.arrival import is_there
from ot2deploy.agent_host.client import reading
from ot2deploy.fleet import Outcome
from ot2deploy.inventory import Robot
from ot2deploy.transport import Session
from ot2deploy.visit import Fleet

Line = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class HistoryResult:
    """Each robot's last `limit` lines (at least 1), or why it did not answer."""

    limit: int
    outcomes: tuple[Outcome[list[Line]], ...]

    @property
    def lines(self) -> tuple[Line, ...]:
        """The last `limit` of all, oldest first, each with its `robot`. Those of one robot stay in its own order."""
        journals = [
            [{"robot": outcome.robot.name, **line} for line in outcome.value or ()] for outcome in self.outcomes
        ]
        return tuple(heapq.merge(*journals, key=lambda line: str(line.get("at") or "")))[-self.limit :]

    @property
    def exit_code(self) -> int:
        """0 when every robot answered, 1 when none, 3 when some."""
        return fleet.exit_code(outcome.ok for outcome in self.outcomes)

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        robots = [{**outcome.as_dict(), "result": None} for outcome in self.outcomes]
        return {"lines": list(self.lines), "robots": robots}


def history(request: Fleet, limit: int) -> HistoryResult:
    """Asks every selected robot for the last `limit` lines of its journal. Changes nothing that is installed."""

    def ask(session: Session, robot: Robot) -> list[Line]:
        return journal_of(session, robot, limit)

    return HistoryResult(limit=limit, outcomes=tuple(request.visit(ask)))


def journal_of(session: Session, robot: Robot, limit: int) -> list[Line]:
    """The last lines of a robot's journal, oldest first; a robot without one is not touched.

    Raises ConnectionLost, AgentFailure, AnotherRobot, AgentTooNew for lines of a newer ot2deploy.
    """
    if not is_there(session, robot, f"{robot.base_path}/journal"):
        return []
    with reading(session, robot) as agent:
        return list(agent.request("journal", base=robot.base, root=robot.root, limit=limit)["lines"])
