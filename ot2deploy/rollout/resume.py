"""Going on with a push that did not reach all of its robots: same target, robots and options, and the same bundles."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

from builder.errors import UsageFailure
from ot2deploy.project import Project
from ot2deploy.rollout.request import PushRequest
from ot2deploy.runs import GOING_ON, Run, find
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
    """The request of a run again. Raises UsageFailure for a robot that was none of its own."""
    if others := [robot.name for robot in fleet.robots if robot.name not in run.robots]:
        raise UsageFailure(
            f"{', '.join(others)} was not in run {run.run}",
            why=f"It was about {', '.join(run.robots)}.",
            next=f"Push to it: ot2deploy push {run.target} --limit {','.join(others)}",
        )
    known = {field.name for field in dataclasses.fields(PushRequest)}
    kinds = get_type_hints(PushRequest)
    options = {name: _value(kinds[name], value) for name, value in run.asked["options"].items() if name in known}
    return PushRequest(**{**options, "fleet": fleet, "target": run.target, "dry_run": dry_run, "resumes": run})


def _value(kind: Any, value: Any) -> Any:
    """A field's value out of what JSON made of it: dataclasses and paths are themselves again."""
    kinds = [one for one in (get_args(kind) or (kind,)) if isinstance(one, type)]
    if isinstance(value, dict) and (made := [one for one in kinds if dataclasses.is_dataclass(one)]):
        hints = get_type_hints(made[0])
        return made[0](**{name: _value(hints[name], part) for name, part in value.items() if name in hints})
    if isinstance(value, str) and Path in kinds:
        return Path(value)
    return tuple(value) if isinstance(value, list) else value
