"""`ot2deploy sim`: simulated robots."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import options
from ot2deploy.cli.group import Group
from ot2deploy.cli.result import Shown, lines, table
from ot2deploy.cli.units import seconds

if TYPE_CHECKING:
    from ot2deploy.project import Project
    from ot2deploy.sim.results import SimResult

KINDS = ("auto", "arm", "amd64", "embedded")
kind_option = click.option(
    "--kind", type=click.Choice(KINDS), default="auto", show_default=True,
    help="arm: a container under ARM emulation, nearest to a robot. amd64: the same for this machine, faster. "
    "embedded: no Docker at all. auto: arm where that works, else embedded.",
)  # fmt: skip


@click.group("sim", cls=Group)
def command() -> None:
    """Simulated robots: plan, up, status, busy, idle, stop, restart, reset, update, down."""


@command.command("plan")
@kind_option
@options.output
def plan(kind: str) -> Shown:
    """Show which robots `sim up` would simulate here, and why; changes nothing."""
    from ot2deploy.sim import detect

    decision = detect.decide(detect.facts(), kind)
    head = lines(f"{decision.kind} robots (profile {decision.profile}): {decision.why}", style="title")
    steps = lines(*(f"first: {step}" for step in decision.steps))
    return Shown(result=decision, parts=(head, steps) if decision.steps else (head,))


@command.command("up")
@click.option("--count", type=click.IntRange(min=1, max=999), default=2, show_default=True, help="How many altogether.")
@kind_option
@click.option(
    "--init", type=click.Choice(("busybox", "systemd")), default="busybox", show_default=True,
    help="PID 1 of container robots; systemd is what services need, and slower to start.",
)  # fmt: skip
@click.option(
    "--lab", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="The inventory to write; without it, lab.yaml in the project.",
)  # fmt: skip
@click.option(
    "--python", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
    help="The CPython (3.11 to 3.13) of embedded robots.",
)  # fmt: skip
@click.option(
    "--no-key",
    is_flag=True,
    help="New robots let nobody in, as robots out of the box; `ot2deploy robot enroll` finds them as if by USB.",
)
@options.project
@options.output
def up(
    count: int, kind: Any, init: Any, lab: Path | None, python: Path | None, no_key: bool, project: Project
) -> Shown:
    """Bring up simulated robots and write an inventory of them.

    Robots that are up stay as they are; a file that we did not write is never touched.
    """
    from ot2deploy.sim import lab as labs

    request = labs.Request(count=count, kind=kind, init=init, lab=lab, python=python, no_key=no_key)
    with options.reporting() as report:
        result = labs.up(project, request, report)
    opened = f"Try: ot2deploy status --robots {_near(result.lab)}" if result.lab else ""
    return _view(result, "Try: ot2deploy robot enroll" if no_key else opened)


@command.command("down")
@click.option("--purge", is_flag=True, help="Remove the robot image and the ARM emulation that we registered, too.")
@options.project
@options.output
def down(purge: bool, project: Project) -> Shown:
    """Take the simulated robots down: no container, network, volume, process or file is left."""
    from ot2deploy.sim import lab

    with options.reporting() as report:
        return _view(lab.down(project, purge=purge, report=report))


@command.command("status")
@options.project
@options.output
def status(project: Project) -> Shown:
    """Show the simulated robots of the project."""
    from ot2deploy.sim import lab

    return _view(lab.status(project))


@command.command("busy")
@click.argument("name")
@click.option("--maintenance", is_flag=True, help="A maintenance run (calibration) instead of a protocol run.")
@click.option("--update", is_flag=True, help="A system update that is being received; the API says nothing of it.")
@options.project
@options.output
def busy(name: str, maintenance: bool, update: bool, project: Project) -> Shown:
    """Let a robot's HTTP API say that it runs a protocol."""
    from ot2deploy.sim import activity

    if update:
        return _view(activity.updating(project, name))
    return _view(activity.busy(project, name, maintenance=maintenance))


@command.command("idle")
@click.argument("name")
@options.project
@options.output
def idle(name: str, project: Project) -> Shown:
    """Let a robot's HTTP API say that it runs nothing."""
    from ot2deploy.sim import activity

    return _view(activity.idle(project, name))


@command.command("restart")
@click.argument("name")
@options.project
@options.output
def restart(name: str, project: Project) -> Shown:
    """Restart one robot like pulling its plug; what is on its /var stays."""
    from ot2deploy.sim import lab

    return _view(lab.restart(project, name))


@command.command("stop")
@click.argument("name")
@options.project
@options.output
def stop(name: str, project: Project) -> Shown:
    """Switch one robot off; `ot2deploy sim restart NAME` brings it back with all that is on its /var."""
    from ot2deploy.sim import lab

    return _view(lab.stop(project, name), f"Back: ot2deploy sim restart {name}")


@command.command("reset")
@click.argument("name")
@options.project
@options.output
def reset(name: str, project: Project) -> Shown:
    """Reset one robot to what it was when it was made.

    SSH keys and all releases are gone, and it has another host key. An inventory does not fit it any more, until
    `ot2deploy robot enroll NAME` has put that right.
    """
    from ot2deploy.sim import lab

    return _view(lab.reset(project, name))


@command.command("update")
@click.argument("name")
@click.option(
    "--python", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
    help="The CPython (3.11 to 3.13) that it has then; without it, another one of this machine, if there is one.",
)  # fmt: skip
@options.project
@options.output
def update(name: str, python: Path | None, project: Project) -> Shown:
    """Give one embedded robot a system update: newer software and another Python. Its releases stay."""
    from ot2deploy.sim import update as updates

    return _view(updates.update(project, name, python))


def _view(result: SimResult, hint: str = "") -> Shown:
    spent = f" in {seconds(result.seconds)}" if result.seconds else ""
    made = f", of these {seconds(result.image_seconds)} for the robot image" if result.image_seconds else ""
    rows = [
        (
            shown.robot.name,
            " ".join(filter(None, (shown.robot.kind, shown.robot.init))),
            shown.state,
            "busy" if shown.busy else "idle",
            str(shown.robot.port),
            str(shown.robot.http_port),
            shown.robot.serial,
        )
        for shown in result.robots
    ]
    parts = [lines(f"{result.did}{spent}{made}", style="title")]
    if result.why:
        parts.append(lines(f"kind: {result.why}", style="dim"))
    if result.notes:
        parts.append(lines(*result.notes))
    headings = ("robot", "kind", "state", "API", "ssh port", "http port", "serial")
    drawn = [table(headings, rows, right=("ssh port", "http port"))] if rows else []
    tail = [lines(f"inventory: {_near(result.lab)}")] if result.lab and rows else []
    return Shown(result=result, parts=(*parts, *drawn, *tail, *([lines(hint)] if hint else [])))


def _near(path: Path | None) -> str:
    """A path as one would type it here."""
    if path is None:
        return ""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
