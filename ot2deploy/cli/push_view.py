"""How a person sees a push: the plan of a dry run, or the final table and what goes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.errors import BuildFailure
from ot2deploy.cli import units
from ot2deploy.cli.outcomes import failures, of_robots, release
from ot2deploy.cli.result import Part, Shown, Style, Table, lines, table
from ot2deploy.errors import CheckFailed, RolledBack, SharedConflict, SignatureRefused
from ot2deploy.rollout import clock

if TYPE_CHECKING:
    from ot2deploy.rollout.outcome import PushResult, RobotResult

# A release that stays as it is meets these again: what is pushed has to be changed.
FOR_GOOD = (BuildFailure, CheckFailed, RolledBack, SharedConflict, SignatureRefused)
# Columns that a narrow terminal does without; --json and the page of `report` have them.
SPARE = ("profile", "method", "reused", "bytes", "sent", "signed by")
# Unpacking trees took at most this share of what pip and compiling took on an emulated ARM robot (docs/benchmarks.md).
TREE_SHARE = 0.25


def shown(result: PushResult, *, dry_run: bool) -> Shown:
    """The result of a push, or of what it would do."""
    return Shown(result=result, parts=_planned(result) if dry_run else _pushed(result))


def _planned(result: PushResult) -> tuple[Part, ...]:
    rows = [
        (
            plan.robot, plan.profile, plan.action.value, release(plan.digest), release(plan.current), str(plan.send),
            units.size(plan.send_bytes), str(plan.reuse), "; ".join([*plan.reasons, *filter(None, [row.note])]),
        )
        for row in result.rows
        if (plan := row.plan) is not None
    ]  # fmt: skip
    columns = ("robot", "profile", "would", "release", "current", "send", "bytes", "reuse", "because")
    return (
        lines(f"{result.environment}: {result.origin}; nothing is changed", style="title"),
        table(columns, rows, right=("send", "bytes", "reuse"), spare=("profile", "reuse", "bytes", "current")),
        *_notices(result.rows),
        *of_robots((row.robot, row.failure) for row in result.rows),
    )


def _notices(rows: tuple[RobotResult, ...]) -> tuple[Part, ...]:
    """What was seen of other environments on the way."""
    said = [f"{row.robot}: {notice}" for row in rows if row.plan for notice in row.plan.notices]
    return (lines("", *said, style="warning"),) if said else ()


def _pushed(result: PushResult) -> tuple[Part, ...]:
    record = (lines(f"run record: {result.record}", style="dim"),) if result.record else ()
    return (
        lines(f"{result.environment}: {result.origin}", style="title"),
        _robots(result.rows),
        *_stages(result.rows),
        *_saving(result.rows),
        *_notices(result.rows),
        *of_robots((row.robot, row.failure) for row in result.rows),
        *failures([result.unrecorded]),
        *_waves(result),
        *_importable(result),
        lines("", f"{_end(result)} after {units.seconds(result.seconds)}", style=_style(result)),
        *record,
        *_going_on(result),
    )


def _waves(result: PushResult) -> tuple[Part, ...]:
    waves = [f"wave {number}: {', '.join(wave)}" for number, wave in enumerate(result.waves, 1)]
    return (lines("", *waves),) if waves else ()


def _importable(result: PushResult) -> tuple[Part, ...]:
    return (lines("", *result.importable.lines()),) if result.importable else ()


def _end(result: PushResult) -> str:
    """The whole push in one line: how many robots are as wanted, and what the others are."""
    total = units.count(len(result.rows), "robot")
    outcomes = [row.outcome for row in result.rows]
    if all(row.outcome == "no change" and row.good for row in result.rows):
        return f"nothing to do on {total}"
    others = [word for word in ("rolled back", "failed", "staged", "stopped", "not tried") if word in outcomes]
    counts = [f"{outcomes.count(word)} {word}" for word in others]
    if unfinished := sum(row.failure is not None and row.is_current for row in result.rows):
        counts.append(f"{unfinished} current, but not as asked for")
    if not counts:
        return f"{total} as wanted"
    counted = ", ".join(counts)
    stopped = f"; {result.stopped}" if result.stopped else ""
    return f"{total}: {sum(row.good for row in result.rows)} as wanted, {counted}{stopped}"


def _style(result: PushResult) -> Style:
    if all(row.good for row in result.rows):
        return "good"
    return "bad" if any(row.failure or row.outcome == "rolled back" for row in result.rows) else "warning"


def _saving(rows: tuple[RobotResult, ...]) -> tuple[Part, ...]:
    """What the tree method would have saved, where the robots' own pip has just done the work."""
    spent = [
        row.seconds.get("install", 0.0) + row.seconds.get("compile", 0.0)
        for row in rows
        if row.deployment and row.deployment.method == "pip" and row.deployment.sent + row.deployment.reused
    ]
    saved = max(spent, default=0.0) * (1 - TREE_SHARE)
    if saved < 1:
        return ()
    return (
        lines("", f"--install-method tree would have saved about {units.seconds(saved)} of installing.", style="dim"),
    )


def _robots(rows: tuple[RobotResult, ...]) -> Table:
    numbers = ("sent", "bytes", "reused")
    columns = ("robot", "profile", "outcome", "release", "method", *numbers, "checks", "signed by", "why")
    return table(columns, [_row(row) for row in rows], right=numbers, spare=SPARE)


def _row(row: RobotResult) -> tuple[str, ...]:
    plan, done = row.plan, row.deployment
    head = (row.robot, plan.profile if plan else "", row.outcome, release(plan.digest) if plan else "")
    passed = sum(bool(check["ok"]) for check in row.checks)
    checks = f"{passed} of {len(row.checks)}" if row.checks else ""
    tail = (checks, (row.signer.principal or "") if row.signer else "", row.note)
    if done is None:
        return (*head, "", "", "", "", *tail)
    return (*head, done.method, str(done.sent), units.size(done.bytes_sent), str(done.reused), *tail)


def _stages(rows: tuple[RobotResult, ...]) -> tuple[Part, ...]:
    """Seconds per stage, the stages in their order."""
    stages = [stage for stage in clock.STAGES if any(stage in row.seconds for row in rows)]
    stages += sorted({stage for row in rows for stage in row.seconds} - set(clock.STAGES))
    if not stages or all(row.outcome == "no change" for row in rows):
        return ()
    cells = [(row.robot, *(f"{row.seconds[s]:.1f}" if s in row.seconds else "" for s in stages)) for row in rows]
    return (lines(""), table(("seconds", *stages), cells, right=stages))


def _going_on(result: PushResult) -> tuple[Part, ...]:
    """How to go on, where that may end better: the same release failed, or was refused, for good."""
    undone = [row.failure for row in result.rows if not row.good]
    for_good = [isinstance(failure, FOR_GOOD) for failure in undone]
    given_up = bool(result.stopped) and not result.interrupted and any(for_good)
    if result.run is None or all(for_good) or given_up:
        return ()
    return (lines(f"to go on: ot2deploy push --resume {result.run}", style="dim"),)
