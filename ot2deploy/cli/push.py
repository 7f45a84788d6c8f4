"""`ot2deploy push`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from builder.errors import UsageFailure
from builder.events import Event
from ot2deploy.cli import bundle_sign, completing, options, report, resuming, units
from ot2deploy.cli.push_view import shown
from ot2deploy.cli.result import Shown

if TYPE_CHECKING:
    from ot2deploy.rollout.waves import Policy
    from ot2deploy.visit import Fleet


@click.command("push")
@click.argument("target", required=False, shell_complete=completing.target)
@click.option(
    "--resume", metavar="RUN", shell_complete=completing.push_run,
    help="Go on with a run (its id may be cut short, or last): same target, options, robots, releases: history --runs.",
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
        _begin(fleet, target or "what is shared")  # while the rest is imported and the target looked up
        from ot2deploy.rollout.afterwards import Afterwards
        from ot2deploy.rollout.push import push
        from ot2deploy.rollout.request import PushRequest

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
    return shown(result, dry_run=dry_run)


def _begin(fleet: Fleet, what: str) -> None:
    """Starts to connect to the robots, and says what is going to happen to how many."""
    fleet.begin()
    said = f"{what} to {units.count(len(fleet.robots), 'robot')}"
    fleet.report(Event(subject="", stage="push", message=said, total=len(fleet.robots), unit="robot"))


def _resume(name: str, dry_run: bool, where: Mapping[str, Any]) -> Shown:
    from ot2deploy.rollout.push import push

    with resuming.visiting(name, dry_run, where) as request:
        _begin(request.fleet, request.target or "what is shared")
        return shown(push(request), dry_run=dry_run)


def _policy(canary: str | None, batch: str | None, max_fail: str | None, all_or_none: bool) -> Policy:
    from ot2deploy.rollout.waves import Policy, Share

    def share(text: str | None, option: str) -> Share | None:
        return None if text is None else Share.parse(text, option)

    return Policy(
        canary=share(canary, "--canary"), batch=share(batch, "--batch"), max_fail=share(max_fail, "--max-fail"),
        all_or_none=all_or_none,
    )  # fmt: skip
