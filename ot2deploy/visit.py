"""The robots that a command is about, and the links to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from builder.events import Report, silent
from ot2deploy import fleet, inventory
from ot2deploy.fleet import Outcome
from ot2deploy.inventory import Robot
from ot2deploy.link import Link
from ot2deploy.project import Project
from ot2deploy.transport import Session
from ot2deploy.transport.ssh import connect

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Which robots a command is about, and how they are reached. Leaving it as a context ends every connection.

    With `trust` the host key that a robot shows is pinned in the inventory when none is.
    """

    project: Project
    robots_file: Path | None = None
    limit: str = ""
    trust: bool = False
    jobs: int | None = None
    report: Report = silent

    @cached_property
    def robots(self) -> tuple[Robot, ...]:
        """The selected robots. Raises UsageFailure for a bad inventory or a limit that fits nothing."""
        return inventory.select(inventory.load(self.robots_file or self.project.inventory), self.limit)

    @cached_property
    def links(self) -> Mapping[str, Link]:
        """A link to each robot, by its name."""
        opened = partial(connect, trust=self.trust, report=self.report)
        return {robot.name: Link(robot, opened, self.report) for robot in self.robots}

    @property
    def at_once(self) -> int:
        """How many robots are worked on at the same time."""
        return self.jobs or fleet.JOBS

    def begin(self) -> None:
        """Starts to connect to the first robots: they are slow to let us in, and there is something to do meanwhile.

        Those that are not worked on at once are connected to when it is their turn.
        """
        links = list(self.links.values())[: self.at_once]
        crew = fleet.Crew(len(links), "connect")
        for link in links:
            link.begin(crew.submit)
        crew.dismiss()

    def visit(self, work: Callable[[Session, Robot], T]) -> list[Outcome[T]]:
        """The outcome of `work` on each robot; a step may run again after a lost connection, so it is idempotent."""
        links = self.links

        def one(robot: Robot) -> T:
            with links[robot.name] as link:
                return link.attempt(lambda session: work(session, robot))

        return fleet.outcomes(self.robots, one, jobs=self.at_once)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if "links" in self.__dict__:
            for link in self.links.values():
                link.__exit__(kind, error, trace)
