"""What later runs of a project did to the robots of an earlier push: whether there is something left to go on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ot2deploy.runs import Row, Run

CHANGING = ("push", "rollback", "remove", "purge")  # commands after which another release may be current


def later(known: Sequence[Run], run: Run) -> Mapping[str, Run]:
    """By robot, the last run after `run` that changed its environment there, or may have. `known` are oldest first."""
    at = next((at for at, one in enumerate(known) if one.run == run.run), len(known))
    found: dict[str, Run] = {}
    for one in known[at + 1 :]:
        if one.command in CHANGING and (one.command == "purge" or one.environment == run.environment):
            found |= {row.robot: one for row in one.rows if row.robot in run.robots and _may_have_changed(row)}
    return found


def left(known: Sequence[Run], run: Run) -> tuple[str, ...]:
    """The robots of a push that are not as wanted, and that no later run has taken further."""
    since = later(known, run)
    return tuple(name for name in run.left if name not in since) if run.resumable else ()


def overtaken(known: Sequence[Run], run: Run) -> Mapping[str, Run]:
    """The robots on which going on with a push could put an older release in the place of what a later run left.

    A run that went on with this one, or left one of its releases, is none such.
    """
    gone_on = {run.run}
    for one in known:
        if one.asked.get("resumes") in gone_on:
            gone_on.add(one.run)
    return {
        name: one
        for name, one in later(known, run).items()
        if one.run not in gone_on and _release(one, name) not in run.releases
    }


def _may_have_changed(row: Row) -> bool:
    return row.ok or not row.outcome  # begun, and nothing more is known


def _release(run: Run, robot: str) -> str:
    return next((row.release for row in run.rows if row.robot == robot), "")
