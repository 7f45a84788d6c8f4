"""`ot2deploy push`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import options, units
from ot2deploy.cli.outcomes import failures, release
from ot2deploy.cli.result import Part, Shown, Table, lines, table

if TYPE_CHECKING:
    from ot2deploy.rollout.outcome import PushResult, RobotResult

# Unpacking trees took at most this share of what pip and compiling took on an emulated ARM robot (docs/benchmarks.md).
TREE_SHARE = 0.25
STAGES = ("probe", "bundle", "pack", "send", "install", "compile", "verify", "switch")


@click.command("push")
@click.argument("target")
@options.fleet
@click.option("--dry-run", is_flag=True, help="Show what would be done and why; change nothing.")
@click.option(
    "--install-method", "method", type=click.Choice(("pip", "tree")),
    help="How files get into a release: the robot's own pip, or trees made by pip on this machine.",
)  # fmt: skip
@options.no_repair
@options.offline
@options.output
def command(target: str, dry_run: bool, method: str | None, no_repair: bool, offline: bool, **where: Any) -> Shown:
    """Install an environment on robots, verify it there, and switch to it.

    TARGET is an environment, a recipe, a requirement (numpy==1.26.4), a path, a wheel, a URL with #sha256=, or a
    bundle file. Each robot ends with a verified release, or exactly as it was.
    """
    with options.visiting(**where) as fleet:
        fleet.begin()  # while the rest is imported and the target looked up
        from ot2deploy.rollout.push import PushRequest, push

        result = push(
            PushRequest(
                fleet=fleet, target=target, dry_run=dry_run, method=method, repair=not no_repair, offline=offline
            )
        )
    return Shown(result=result, parts=_planned(result) if dry_run else _pushed(result))


def _planned(result: PushResult) -> tuple[Part, ...]:
    rows = [
        (
            plan.robot, plan.profile, plan.action.value, release(plan.digest), release(plan.current), str(plan.send),
            units.size(plan.send_bytes), str(plan.reuse), "; ".join(plan.reasons),
        )
        for row in result.rows
        if (plan := row.plan) is not None
    ]  # fmt: skip
    columns = ("robot", "profile", "would", "release", "current", "send", "bytes", "reuse", "because")
    return (
        lines(f"{result.environment}: {result.origin}; nothing is changed", style="title"),
        table(columns, rows, right=("send", "bytes", "reuse")),
        *failures(row.failure for row in result.rows),
    )


def _pushed(result: PushResult) -> tuple[Part, ...]:
    failed = sum(row.failure is not None for row in result.rows)
    end = (
        f"{units.count(len(result.rows), 'robot')}, {failed} failed"
        if failed
        else f"{units.count(len(result.rows), 'robot')} as wanted"
    )
    record = (lines(f"run record: {result.record}", style="dim"),) if result.record else ()
    return (
        lines(f"{result.environment}: {result.origin}", style="title"),
        _robots(result.rows),
        *_stages(result.rows),
        *_saving(result.rows),
        *failures(row.failure for row in result.rows),
        lines("", f"{end} after {units.seconds(result.seconds)}", style="bad" if failed else "good"),
        *record,
    )


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
    columns = ("robot", "profile", "outcome", "release", "method", "sent", "bytes", "reused", "checks")
    return table(columns, [_row(row) for row in rows], right=columns[5:8])


def _row(row: RobotResult) -> tuple[str, ...]:
    plan, done = row.plan, row.deployment
    head = (row.robot, plan.profile if plan else "", row.outcome, release(plan.digest) if plan else "")
    passed = sum(bool(check["ok"]) for check in row.checks)
    checks = f"{passed} of {len(row.checks)}" if row.checks else ""
    if done is None:
        return (*head, "", "", "", "", checks)
    return (*head, done.method, str(done.sent), units.size(done.bytes_sent), str(done.reused), checks)


def _stages(rows: tuple[RobotResult, ...]) -> tuple[Part, ...]:
    """Seconds per stage, the stages in their order."""
    stages = [stage for stage in STAGES if any(stage in row.seconds for row in rows)]
    stages += sorted({stage for row in rows for stage in row.seconds} - set(STAGES))
    if not stages:
        return ()
    cells = [(row.robot, *(f"{row.seconds[s]:.1f}" if s in row.seconds else "" for s in stages)) for row in rows]
    return (lines(""), table(("seconds", *stages), cells, right=stages))
