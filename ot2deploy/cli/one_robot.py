"""The options of a command about exactly one robot, and the connection to it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from ot2deploy.cli import completing, options

if TYPE_CHECKING:
    from ot2deploy.inventory import Robot
    from ot2deploy.transport import Session
    from ot2deploy.visit import Fleet

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


robot_name = click.argument("name", shell_complete=completing.robot)


def one_robot(command: F) -> F:
    """NAME, --project, --robots and --json; the command passes the first three to `visiting`."""
    return robot_name(options.project(options.robots(options.output(command))))


@contextlib.contextmanager
def visiting(*, name: str, **where: Any) -> Iterator[Fleet]:
    """The robot of exactly that name. Raises NoSuchRobot for a group or a pattern."""
    with options.visiting(**where, limit=name) as fleet:
        only(fleet.robots, name)
        yield fleet


def only(selected: Sequence[Robot], name: str) -> Robot:
    """The one robot that `name` selected, as its name. Raises NoSuchRobot for a group or a pattern."""
    from ot2deploy.errors import NoSuchRobot

    if [robot.name for robot in selected] != [name]:
        there = ", ".join(robot.name for robot in selected)
        raise NoSuchRobot(f"`{name}` is no robot's name", next=f"Name one of: {there}")
    return selected[0]


def value(fleet: Fleet, work: Callable[[Session, Robot], T]) -> T:
    """What `work` found on the one robot of a fleet. Raises the failure that stopped it."""
    (outcome,) = fleet.visit(work)
    if outcome.failure is not None:
        raise outcome.failure
    return cast("T", outcome.value)
