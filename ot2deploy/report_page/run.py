"""A run as its record tells it: what was asked for, and what became of each robot."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.errors import UsageFailure
from ot2deploy import runs
from ot2deploy.runs.record import SCHEMA

CUT_OFF = "cut off"  # begun, and no end recorded: ot2deploy was killed, or could not reach the robot any more
GOOD = (*runs.DONE, "done")
WARNING = ("staged", "rolled back", "stopped", "not tried", "planned")
ORDER = (*GOOD, *WARNING, CUT_OFF, "failed")
LOST = ("connection", "unreachable", "connection-lost")
Fields = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stage of one robot: when it began and ended, in seconds since the epoch."""

    stage: str
    began: float
    ended: float


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check that was run on a robot, what it printed, and why it failed."""

    name: str
    ok: bool
    why: str
    output: str


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """A failure in its parts, as commands print it."""

    code: str
    what: str
    why: str
    next: str
    details: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RobotRun:
    """What became of one robot. `has` are the releases of the environment that it may have now: none, one, or two.

    `note` says why it is as it is where that is no failure, `because` why that was planned.
    """

    robot: str
    outcome: str
    profile: str = ""
    has: tuple[str, ...] = ()
    wanted: str = ""
    note: str = ""
    because: str = ""
    method: str = ""
    sent: int = 0
    reused: int = 0
    bytes_sent: int = 0
    spans: tuple[Span, ...] = ()
    seconds: Mapping[str, float]
    checks: tuple[Check, ...] = ()
    trouble: Trouble | None = None

    @property
    def tone(self) -> str:
        """How good its outcome is: "good", "warning" or "bad"."""
        if self.outcome in GOOD:
            return "warning" if self.trouble else "good"  # it is current, and something else that was asked for failed
        if self.outcome == "rolled back" and self.trouble:
            return "bad"  # it failed; others were taken back for its sake
        return "warning" if self.outcome in WARNING else "bad"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a command. Times are UTC as the record has them; each of `waves` was switched together.

    `state` is that of `ot2deploy.runs`: whether it ended, and how.
    """

    run: str
    command: str
    target: str
    environment: str
    who: str
    began: str
    ended: str
    state: str
    stopped: str
    waves: tuple[tuple[str, ...], ...]
    robots: tuple[RobotRun, ...]


def find(state_dir: Path, name: str = "") -> runs.Run:
    """The run whose id is or begins with `name`; without a name, the last one. Raises UsageFailure."""
    known = runs.runs(state_dir)
    if not known:
        raise UsageFailure(
            "no run is recorded here",
            why=f"Commands that change robots keep records in {state_dir / 'runs'}.",
            next="Go to the project's directory, or name it with --project.",
        )
    fits = [one for one in known if one.run == name] or [one for one in known if one.run.startswith(name)]
    if len(fits) == 1 or (fits and not name):
        return fits[-1]
    raise UsageFailure(
        f"{len(fits)} runs begin with {name}" if fits else f"no run is called {name}",
        details=runs.listed(fits or known),
        next="Name one of those.",
    )


def read(record: runs.Run) -> Run:
    """All that a run's record says. Raises UsageFailure where a newer ot2deploy wrote it."""
    start = record.asked
    if isinstance(start.get("schema"), int) and start["schema"] > SCHEMA:
        raise UsageFailure(
            f"{record.path} was written by a newer ot2deploy",
            why=f"It has schema {start['schema']}, this ot2deploy knows {SCHEMA}.",
            next="Upgrade ot2deploy on this computer.",
        )
    lines = tuple(_lines(record.path))
    begun = {_text(line.get("robot")): line for line in lines if line.get("event") == "begin"}
    ended = {_text(line.get("robot")): line for line in lines if line.get("event") == "robot"}
    robots = {name: _robot(name, line, name in begun) for name, line in ended.items()}
    robots |= {name: _cut_off(name, line) for name, line in begun.items() if name not in ended}
    selected = _words(start.get("robots"))  # in the inventory's order; what is recorded is as it ended
    robots = {name: RobotRun(robot=name, outcome="not tried", seconds={}) for name in selected} | robots
    told = [_map(line.get("plan")).get("environment") for line in ended.values()]
    told += [line.get("environment") for line in (start, *begun.values(), *lines)]
    return Run(
        run=record.run,
        command=record.command,
        target=_text(start.get("target")),
        environment=next((_text(one) for one in told if one), ""),
        who=record.who,
        began=_text(start.get("at")),
        ended=next((_text(line.get("at")) for line in reversed(lines)), ""),
        state=_state(record, lines),
        stopped=next((_text(line.get("why")) for line in lines if line.get("event") == "stopped"), ""),
        waves=tuple(_words(line.get("robots")) for line in lines if line.get("event") == "wave"),
        robots=tuple(robots.values()),
    )


def _state(record: runs.Run, lines: Sequence[Fields]) -> str:
    """How the run ended. The process that was interrupted holds its record still, when it writes a page itself."""
    stopped = any(line.get("event") == "interrupted" for line in lines)
    return runs.INTERRUPTED if stopped and record.state == runs.GOING_ON else record.state


def _lines(path: Path) -> Iterator[Fields]:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UsageFailure(f"{path} cannot be read: {error.strerror}", next="Name another run.") from error
    for line in text.splitlines():
        try:
            fields = json.loads(line)
        except ValueError:
            continue
        if isinstance(fields, dict):
            yield fields


def _robot(name: str, line: Fields, begun: bool) -> RobotRun:
    plan, result, error = _map(line.get("plan")), _map(line.get("result")), _map(line.get("error"))
    outcome = _text(line.get("outcome")) or ("done" if line.get("ok") else "failed")
    wanted, before = _text(plan.get("digest")), _text(plan.get("current"))
    if not plan:
        has = _some(result.get("current") or result.get("release"))
    elif outcome in GOOD:
        has = _some(wanted)
    elif begun and error.get("code") in LOST:
        has = _some(before, wanted)
    else:
        has = _some(before)
    return RobotRun(
        robot=name,
        outcome=outcome,
        profile=_text(plan.get("profile")),
        has=has,
        wanted=wanted,
        note=_text(line.get("note")),
        because="; ".join(_words(plan.get("reasons"))),
        method=_text(line.get("method")),
        sent=int(_number(line.get("sent"))),
        reused=int(_number(line.get("reused"))),
        bytes_sent=int(_number(line.get("bytes_sent"))),
        spans=tuple(_spans(line.get("spans"))),
        seconds={_text(stage): _number(value) for stage, value in _map(line.get("seconds")).items()},
        checks=tuple(_checks(line.get("checks") or result.get("checks"))),
        trouble=_trouble(error) if error else None,
    )


def _cut_off(name: str, line: Fields) -> RobotRun:
    before, wanted = _text(line.get("current")), _text(line.get("digest"))
    return RobotRun(robot=name, outcome=CUT_OFF, has=_some(before, wanted), wanted=wanted, seconds={})


def _spans(value: object) -> Iterator[Span]:
    for one in map(_list, _list(value)):
        if len(one) == 3 and 0 < _number(one[1]) <= _number(one[2]):
            yield Span(stage=_text(one[0]), began=_number(one[1]), ended=_number(one[2]))


def _checks(value: object) -> Iterator[Check]:
    for one in map(_map, _list(value)):
        said = {field: _text(one.get(field)) for field in ("name", "why", "output")}
        yield Check(ok=one.get("ok") is True, **said)


def _trouble(error: Fields) -> Trouble:
    said = {field: _text(error.get(field)) for field in ("code", "what", "why", "next")}
    return Trouble(details=_words(error.get("details")), **said)


def _some(*releases: object) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_text(one) for one in releases if one))


def _map(value: object) -> Fields:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _words(value: object) -> tuple[str, ...]:
    return tuple(map(_text, _list(value)))


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _number(value: object) -> float:
    """A finite number that is not negative; 0 for anything else."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
    return float(value) if good else 0.0  # type: ignore[arg-type]
