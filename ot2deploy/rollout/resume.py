"""Going on with a push that did not reach all of its robots: same target, robots and options, and the same bundles."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

from builder.errors import UsageFailure
from ot2deploy.project import Project
from ot2deploy.rollout.request import PushRequest
from ot2deploy.runs import GOING_ON, Run, find, runs, since
from ot2deploy.visit import Fleet


def to_resume(project: Project, name: str) -> Run:
    """The run that `push --resume NAME` goes on with. Raises UsageFailure where there is none, or it is going on."""
    run = find(project.state_dir, name)
    if run.state == GOING_ON:
        raise UsageFailure(
            f"run {run.run} is still going on",
            why=f"A process of this computer has its record: {run.path}",
            next="Wait for its end, or stop it with Ctrl-C; then resume it.",
        )
    if not isinstance(run.asked.get("options"), dict):
        raise UsageFailure(
            f"the record of run {run.run} does not say how it was called",
            why="An older ot2deploy wrote it.",
            next=f"Push the same again: ot2deploy push {run.target}",
        )
    return run


def where(run: Run, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that say which robots: those of the run; `given` may name another inventory and fewer robots."""
    file = given["robots_file"] or Path(str(run.asked["robots_file"]))
    return {**given, "robots_file": file, "limit": given["limit"] or ",".join(run.robots)}


def resumed(run: Run, fleet: Fleet, *, dry_run: bool) -> PushRequest:
    """The request of a run again. Raises UsageFailure for a robot that was none of its own, or was changed since."""
    if others := [robot.name for robot in fleet.robots if robot.name not in run.robots]:
        raise UsageFailure(
            f"{', '.join(others)} was not in run {run.run}",
            why=f"It was about {', '.join(run.robots)}.",
            next=f"Push to it: ot2deploy push {run.target} --limit {','.join(others)}",
        )
    _raise_overtaken(run, fleet)
    known = {field.name for field in dataclasses.fields(PushRequest)}
    kinds = get_type_hints(PushRequest)
    options = {name: _value(kinds[name], value) for name, value in run.asked["options"].items() if name in known}
    return PushRequest(**{**options, "fleet": fleet, "target": _target(run), "dry_run": dry_run, "resumes": run})


def _raise_overtaken(run: Run, fleet: Fleet) -> None:
    """Raises UsageFailure where a later run left another release on a robot: it must not be lost unnoticed."""
    changed = since.overtaken(runs(fleet.project.state_dir), run)
    found = {robot.name: changed[robot.name] for robot in fleet.robots if robot.name in changed}
    if not found:
        return
    others = [robot.name for robot in fleet.robots if robot.name not in found]
    names = ",".join(found)
    target = " ".join(filter(None, (shlex.quote(_target(run)) if _target(run) else "", "--shared" * _shared(run))))
    again = f"ot2deploy push {target} --limit {names}{fleet.robots[0].file_option}"
    going_on = f"Go on with the others: ot2deploy push --resume {run.run} --limit {','.join(others)}\n"
    raise UsageFailure(
        f"{', '.join(found)}: changed since run {run.run}, which is not gone on with there",
        why="It could put an older release in the place of what a later run left.",
        details=tuple(
            f"{name}: {one.command} {one.target}, {one.asked.get('at')}, run {one.run}" for name, one in found.items()
        ),
        next=going_on * bool(others) + f"To have it there all the same, push it: {again}",
    )


def _target(run: Run) -> str:
    return str(run.asked.get("target") or "")


def _shared(run: Run) -> bool:
    return bool(run.asked["options"].get("shared"))


def _value(kind: Any, value: Any) -> Any:
    """A field's value out of what JSON made of it: dataclasses and paths are themselves again."""
    kinds = [one for one in (get_args(kind) or (kind,)) if isinstance(one, type)]
    if isinstance(value, dict) and (made := [one for one in kinds if dataclasses.is_dataclass(one)]):
        hints = get_type_hints(made[0])
        return made[0](**{name: _value(hints[name], part) for name, part in value.items() if name in hints})
    if isinstance(value, str) and Path in kinds:
        return Path(value)
    return tuple(value) if isinstance(value, list) else value
