"""What this computer last knew of each robot, out of the run records: which release it has, and of which wheels."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ot2deploy.runs import DONE


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A wheel of a release."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Known:
    """The release of an environment that a robot has; several where a command was cut off and it may be either.

    `target` is what was pushed last for it, as it was typed; "" where no push is known.
    """

    robot: str
    environment: str
    releases: frozenset[str]
    target: str = ""


@dataclass(frozen=True, kw_only=True)
class LastKnown:
    """All robots that commands of a project changed, and the wheels of each release by its digest."""

    robots: tuple[Known, ...] = ()
    wheels: Mapping[str, tuple[Wheel, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _Event:
    """A line of a record, with what its first line says of the whole run."""

    order: tuple[str, int, int]
    command: str
    environment: str
    target: str
    fields: Mapping[str, Any]


def last_known(state_dir: Path) -> LastKnown:
    """Reads all run records; lines that are damaged are passed over."""
    wheels: dict[str, tuple[Wheel, ...]] = {}
    now: dict[tuple[str, str], set[str]] = defaultdict(set)
    ever: dict[tuple[str, str], set[str]] = defaultdict(set)
    targets: dict[tuple[str, str], str] = {}
    for event in sorted(_events(state_dir / "runs"), key=lambda event: event.order):
        try:
            if event.fields["event"] == "release":
                wheels[str(event.fields["digest"])] = tuple(
                    Wheel(name=str(name), version=str(version), sha256=str(sha256))
                    for name, version, sha256 in event.fields["wheels"]
                )
            elif event.fields["event"] in ("begin", "robot"):
                _apply(event, now, ever)
                if event.command == "push" and event.fields["event"] == "begin":
                    targets[str(event.fields["robot"]), str(event.fields["environment"])] = event.target
        except (LookupError, TypeError, ValueError, AttributeError):
            continue
    robots = [
        Known(robot=at[0], environment=at[1], releases=frozenset(has), target=targets.get(at, ""))
        for at, has in sorted(now.items())
        if has
    ]
    return LastKnown(robots=tuple(robots), wheels=wheels)


def _apply(event: _Event, now: dict[tuple[str, str], set[str]], ever: dict[tuple[str, str], set[str]]) -> None:
    """Takes in what an event says of a robot. What began and did not end well may have been done or not."""
    fields = event.fields
    if event.command in ("remove", "purge"):
        if fields["ok"]:
            of_robot = [at for at in now if at[0] == fields["robot"]]
            for at in of_robot if event.command == "purge" else {(fields["robot"], event.environment)}:
                now.pop(at, None)
        return
    if fields["event"] == "begin":  # of a push
        at, has = (fields["robot"], fields["environment"]), {fields["digest"], fields["current"]}
    elif event.command == "push":
        if fields["outcome"] == "failed":
            return
        at = fields["robot"], fields["plan"]["environment"]
        has = {fields["plan"]["digest"]}
        if (
            fields["outcome"] not in DONE
        ):  # staged, stopped or rolled back: what was current before stays so, or is so again
            has = {fields["plan"]["current"]}
            if has == {None}:
                now.pop(at, None)
    else:
        at, result = (fields["robot"], event.environment), fields["result"] or {}
        if event.command == "rollback" and not fields["ok"]:
            has = set(ever[at])
        else:
            has = {result.get("current") or result.get("release")}
            if previous := result.get("previous"):
                ever[at].add(previous)
    key, releases = (str(at[0]), str(at[1])), {str(one) for one in has if one}
    ever[key] |= releases
    if releases:
        now[key] = releases


def _events(runs: Path) -> Iterator[_Event]:
    """All lines of all records; `order` is by their times and, within a second, as they were made."""
    for path in runs.glob("*.jsonl"):
        made = path.stat().st_mtime_ns
        command = environment = target = ""
        for number, line in enumerate(path.read_bytes().splitlines()):
            try:
                fields = json.loads(line)
                order = str(fields["at"]), made, number
            except (ValueError, LookupError, TypeError):
                continue
            if fields.get("event") == "start":
                command, environment = str(fields.get("command")), str(fields.get("environment"))
                target = str(fields.get("target", ""))
            yield _Event(order=order, command=command, environment=environment, target=target, fields=fields)
