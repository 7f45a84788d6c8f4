"""Runs that this project keeps records of: what was asked for, what became of each robot, and whether each ended."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.errors import UsageFailure
from builder.files import held

RUN = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4,16}")
LAST = "last"
# A run whose record has no last line is going on, or something ended it: power, a signal, a full disk.
GOING_ON, INTERRUPTED, CUT_OFF, ENDED = "going on", "interrupted", "cut off", "ended"
# What a push did to a robot where there is nothing more to do.
DONE = ("pushed", "switched", "verified", "no change")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a record says of a robot: `outcome` as the command told it, "" where it was begun and nothing more is known.

    `error` is the failure's code and words, `release` the one that it made current, where the record says it.
    """

    robot: str
    outcome: str
    error: str = ""
    release: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is left to do on the robot."""
        return self.outcome in (*DONE, "ok")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run. `asked` is all of the record's first line, `releases` what the run's bundles were, by digest.

    `environment` is "" where it was about robots, or ended before that was known.
    """

    run: str
    path: Path
    asked: Mapping[str, Any]
    state: str
    exit_code: int | None = None
    rows: tuple[Row, ...] = ()
    releases: tuple[str, ...] = ()
    environment: str = ""

    @property
    def command(self) -> str:
        """The command, such as "push"."""
        return str(self.asked.get("command"))

    @property
    def who(self) -> str:
        """Who ran it, as user@host."""
        return str(self.asked.get("who") or "")

    @property
    def target(self) -> str:
        """What it was about: a push's target, else the environment; "" for a command about robots."""
        return str(self.asked.get("target") or self.asked.get("environment") or "")

    @property
    def robots(self) -> tuple[str, ...]:
        """The robots that were selected, as far as the record names them."""
        return tuple(str(name) for name in self.asked.get("robots") or ()) or tuple(row.robot for row in self.rows)

    @property
    def left(self) -> tuple[str, ...]:
        """The robots of a push that are not as wanted."""
        done = {row.robot for row in self.rows if row.ok}
        return tuple(name for name in self.robots if name not in done)

    @property
    def resumable(self) -> bool:
        """Whether `push --resume` has something to go on with."""
        return self.command == "push" and self.state != GOING_ON and bool(self.left)

    def as_dict(self) -> dict[str, Any]:
        """The run as JSON."""
        return {
            "run": self.run,
            "at": self.asked.get("at"),
            "who": self.who,
            "command": self.command,
            "target": self.target,
            "state": self.state,
            "exit_code": self.exit_code,
            "robots": [vars(row) for row in self.rows],
            "left": list(self.left) if self.command == "push" else [],
            "record": str(self.path),
        }


def read(lines: Sequence[bytes], path: Path, *, held: bool) -> Run | None:
    """A run out of its record's lines; damaged ones are passed over. None where the first does not say what was asked.

    `held` is whether a process has the record now.
    """
    events = [event for event in map(_event, lines) if event]
    asked = next((event for event in events if event["event"] == "start"), None)
    if asked is None:
        return None
    rows: dict[str, Row] = {}
    for event in events:
        name = str(event.get("robot"))
        if event["event"] == "begin":
            rows[name] = Row(robot=name, outcome="", release=str(event.get("digest") or ""))
        elif event["event"] == "robot":
            rows[name] = _row(name, event)
    ended = next((event for event in reversed(events) if event["event"] == "end"), None)
    order = {str(name): at for at, name in enumerate(asked.get("robots") or ())}  # rows were written as they ended
    if ended:
        state = ENDED
    elif held:
        state = GOING_ON
    else:
        state = INTERRUPTED if any(event["event"] == "interrupted" for event in events) else CUT_OFF
    return Run(
        run=path.stem,
        path=path,
        asked=asked,
        state=state,
        exit_code=ended.get("exit_code") if ended else None,
        rows=tuple(sorted(rows.values(), key=lambda row: order.get(row.robot, len(order)))),
        releases=tuple(dict.fromkeys(str(event.get("digest")) for event in events if event["event"] == "release")),
        environment=next((str(event["environment"]) for event in events if event.get("environment")), ""),
    )


def runs(state_dir: Path) -> tuple[Run, ...]:
    """All runs of a project, oldest first."""
    found = [_of(path) for path in sorted((state_dir / "runs").glob("*.jsonl"))]
    return tuple(sorted((run for run in found if run), key=lambda run: (str(run.asked.get("at")), _made(run.path))))


def listed(known: Sequence[Run]) -> tuple[str, ...]:
    """The latest of some runs, oldest first, a line for each: its id and what it was."""
    return tuple(f"{run.run}  {run.command} {run.target}".rstrip() for run in known[-10:])


def find(state_dir: Path, name: str) -> Run:
    """The push that `name` means: a run's id or the beginning of one, or "last". Raises UsageFailure."""
    pushes = [run for run in runs(state_dir) if run.command == "push"]
    if name == LAST and pushes:
        return pushes[-1]
    found = [run for run in pushes if run.run == name] or [run for run in pushes if run.run.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageFailure(
            f"{len(found)} pushes begin with {name}", details=listed(found), next="Name one of those, or say: last"
        )
    there = ", ".join(run.run for run in pushes[-3:][::-1])
    raise UsageFailure(
        "this project has no record of a push" if name == LAST else f"this project has no record of a push {name}",
        why=f"The latest ones: {there}." if there else f"Records are kept in {state_dir / 'runs'}.",
        next="See all: ot2deploy history --runs",
    )


def _of(path: Path) -> Run | None:
    try:
        with held(path) as free:
            return read(path.read_bytes().splitlines(), path, held=not free)
    except OSError:
        return None


def _made(path: Path) -> int:
    return path.stat().st_mtime_ns


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def _row(name: str, event: Mapping[str, Any]) -> Row:
    error = event.get("error")
    said = f"{error.get('code')}: {error.get('what')}" if isinstance(error, dict) else ""
    outcome = event.get("outcome") or ("ok" if event.get("ok") else "failed")
    has = _map(event.get("plan")).get("digest") or _map(event.get("result")).get("current") or ""
    return Row(robot=name, outcome=str(outcome), error=said, release=str(has))


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
