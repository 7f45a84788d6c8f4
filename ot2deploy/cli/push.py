"""`ot2deploy push`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from builder.errors import UsageFailure
from builder.events import Event
from ot2deploy.cli import bundle_sign, options, report, resuming, units
from ot2deploy.cli.outcomes import failures, release
from ot2deploy.cli.result import Part, Shown, Style, Table, lines, table

if TYPE_CHECKING:
    from ot2deploy.rollout.outcome import PushResult, RobotResult
    from ot2deploy.rollout.waves import Policy

# Unpacking trees took at most this share of what pip and compiling took on an emulated ARM robot (docs/benchmarks.md).
TREE_SHARE = 0.25
STAGES = (
    "probe",
    "bundle",
    "pack",
    "send",
    "install",
    "compile",
    "verify",
    "switch",
    "live",
    "undo",
    "kernel",
    "restart",
    "clean",
)


@click.command("push")
@click.argument("target", required=False)
@click.option(
    "--resume", metavar="RUN",
    help="Go on with a run (its id, or last): same target, options, robots and releases; see history --runs.",
)  # fmt: skip
@options.fleet
@click.option("--dry-run", is_flag=True, help="Show what would be done and why; change nothing.")
@click.option(
    "--install-method", "method", type=click.Choice(("pip", "tree")),
    help="How files get into a release: the robot's own pip, or trees made by pip on this machine.",
)  # fmt: skip
@click.option("--canary", metavar="N|N%", help="Switch this many robots first; if one fails, no other is switched.")
@click.option(
    "--batch", metavar="N|N%", help="Switch so many robots at a time, each time when the last have succeeded."
)
@click.option(
    "--max-fail", metavar="N|N%",
    help="Stop when more robots fail than this; without it, none may with --canary or --batch, else all.",
)  # fmt: skip
@click.option("--all-or-none", is_flag=True, help="Where the push stops so, take back what it has switched.")
@click.option(
    "--wait-idle", type=options.DURATION, metavar="TIME",
    help="Wait so long (90s, 30m, 2h) for busy robots to be idle; without it they are left staged.",
)  # fmt: skip
@click.option(
    "--shared",
    is_flag=True,
    help="Install it for protocols and Jupyter, beside what is shared with them already; without TARGET, only that.",
)
@click.option(
    "--without", multiple=True, metavar="NAME",
    help="With --shared: take this project out of what is shared. Can be given several times.",
)  # fmt: skip
@click.option(
    "--kernel", is_flag=True,
    help="Also offer it in the robots' Jupyter, as a kernel of its own; it needs ipykernel among its requirements.",
)  # fmt: skip
@click.option(
    "--restart-server", "restart", is_flag=True,
    help="Restart idle robots that got another release, so that protocols see it, and wait for them.",
)  # fmt: skip
@bundle_sign.key_option(
    "--sign", "Sign what is pushed with this SSH key, for robots that demand it; no passphrase is asked for."
)
@click.option("--transfers", type=click.IntRange(min=1), metavar="N", help="How many robots to send to at once; 8.")
@click.option(
    "--installs", type=click.IntRange(min=1), metavar="N", help="How many robots to install on at once; all of -j."
)
@options.no_repair
@options.offline
@report.option
@options.output
def command(
    target: str | None,
    resume: str | None,
    dry_run: bool,
    method: str | None,
    no_repair: bool,
    offline: bool,
    **where: Any,
) -> Shown:
    """Install an environment on robots, verify it there, and switch to it.

    TARGET is an environment, a recipe, a requirement (numpy==1.26.4), a path, a wheel, a URL with #sha256=, or a
    bundle file. Each robot ends with a verified release, or exactly as it was.

    With --canary or --batch every robot is staged first (sent to, installed on, checked), then switched in waves. A
    robot that runs a protocol is staged, and switched when it is idle (--wait-idle) or by the next push.

    Exit codes: 0 all robots are as wanted, 4 a release was switched to and taken back, 3 some robots are as wanted,
    1 none.
    """
    wanted = {name: where.pop(name) for name in ("kernel", "restart")}
    sharing = {name: where.pop(name) for name in ("shared", "without")}
    how = {name: where.pop(name) for name in ("wait_idle", "transfers", "installs")}
    key = where.pop("key")
    policy = _policy(**{name: where.pop(name) for name in ("canary", "batch", "max_fail", "all_or_none")})
    if resume:
        resuming.check_alone()
        return _resume(resume, dry_run, where)
    if sharing["without"] and not sharing["shared"]:
        raise UsageFailure("--without is about what is shared with protocols", next="Give --shared, too.")
    if wanted["kernel"] and sharing["shared"]:
        raise UsageFailure(
            "--kernel and --shared exclude each other", next="Leave --kernel out: every kernel imports what is shared."
        )
    if target is None and not sharing["shared"]:
        raise UsageFailure("TARGET is missing: what to push", next="See what there is: ot2deploy env list")
    with options.visiting(**where) as fleet:
        fleet.begin()  # while the rest is imported and the target looked up
        said = f"{target or 'what is shared'} to {units.count(len(fleet.robots), 'robot')}"
        fleet.report(Event(subject="", stage="push", message=said, total=len(fleet.robots), unit="robot"))
        from ot2deploy.rollout.afterwards import Afterwards
        from ot2deploy.rollout.push import PushRequest, push

        result = push(
            PushRequest(
                fleet=fleet,
                target=target or "",
                dry_run=dry_run,
                method=method,
                repair=not no_repair,
                offline=offline,
                policy=policy,
                afterwards=Afterwards(**wanted),
                sign=key,
                **sharing,
                **how,
            )
        )
    return _shown(result, dry_run)


def _resume(name: str, dry_run: bool, where: Mapping[str, Any]) -> Shown:
    from ot2deploy.rollout.push import push

    with resuming.visiting(name, dry_run, where) as request:
        return _shown(push(request), dry_run)


def _shown(result: PushResult, dry_run: bool) -> Shown:
    return Shown(result=result, parts=_planned(result) if dry_run else _pushed(result))


def _policy(canary: str | None, batch: str | None, max_fail: str | None, all_or_none: bool) -> Policy:
    from ot2deploy.rollout.waves import Policy, Share

    def share(text: str | None, option: str) -> Share | None:
        return None if text is None else Share.parse(text, option)

    return Policy(
        canary=share(canary, "--canary"), batch=share(batch, "--batch"), max_fail=share(max_fail, "--max-fail"),
        all_or_none=all_or_none,
    )  # fmt: skip


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
        table(columns, rows, right=("send", "bytes", "reuse")),
        *_notices(result.rows),
        *failures(row.failure for row in result.rows),
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
        *failures([*(row.failure for row in result.rows), result.unrecorded]),
        *_waves(result),
        *_importable(result),
        lines("", f"{_end(result)} after {units.seconds(result.seconds)}", style=_style(result)),
        *record,
        *resuming.advice(result),
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
    stopped = f"; stopped: {result.stopped}" if result.stopped else ""
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
    return table(columns, [_row(row) for row in rows], right=numbers)


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
    stages = [stage for stage in STAGES if any(stage in row.seconds for row in rows)]
    stages += sorted({stage for row in rows for stage in row.seconds} - set(STAGES))
    if not stages:
        return ()
    cells = [(row.robot, *(f"{row.seconds[s]:.1f}" if s in row.seconds else "" for s in stages)) for row in rows]
    return (lines(""), table(("seconds", *stages), cells, right=stages))
