"""`ot2deploy verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from builder.errors import UsageFailure
from ot2deploy.cli import options, qualify, units
from ot2deploy.cli.outcomes import failed_of, release
from ot2deploy.cli.result import Shown, lines, table

if TYPE_CHECKING:
    from ot2deploy.runs.result import RunResult

ROBOTS = ("robots_file", "limit", "trust", "jobs")


@click.command("verify")
@options.environment_argument
@options.fleet
@click.option("--deep", is_flag=True, help="Run the deep checks, too; they can take minutes.")
@click.option(
    "--protocol", "protocol", is_flag=True,
    help="Have the robot analyse a protocol that imports a shared environment: what protocols really get.",
)  # fmt: skip
@click.option("--emulate", is_flag=True, help="Not on robots: make it and run it here, as `wheel qualify` does.")
@options.robot_profiles("only with --emulate")
@options.output
def command(
    environment: str, deep: bool, protocol: bool, emulate: bool, profiles: tuple[str, ...], **where: Any
) -> Shown:
    """Run an environment's checks on robots, now.

    The checks came with the release; nothing is needed from this machine.

    With --protocol each robot's own server analyses a small protocol, over its HTTP API: ot2deploy verify shared
    --protocol. It is removed again; where the robot keeps five that no run has used, uploading it costs the oldest.
    """
    if protocol and (deep or emulate):
        raise UsageFailure("--protocol goes with neither --deep nor --emulate", next="Run them one after the other.")
    if emulate:
        _without_robots()
        return qualify.emulated(where["project"], environment, profiles, {"deep": deep})
    if profiles:
        raise UsageFailure("--profile is for --emulate", next="Name robots by --limit.")
    if protocol:
        from ot2deploy.verify_protocol import verify_by_protocol

        with options.visiting(**where) as fleet:
            return _view(verify_by_protocol(fleet, environment))
    from ot2deploy.verify import VerifyRequest, verify

    with options.visiting(**where) as fleet:
        return _view(verify(VerifyRequest(fleet=fleet, environment=environment, deep=deep)))


def _without_robots() -> None:
    """Raises UsageFailure where robots are selected, too: nothing would be run on them."""
    context = click.get_current_context()
    idle = [
        param.opts[-1]
        for param in context.command.params
        if param.name in ROBOTS and context.get_parameter_source(param.name) is ParameterSource.COMMANDLINE
    ]
    if idle:
        raise UsageFailure(
            f"--emulate and {', '.join(idle)} exclude each other",
            why="What is emulated runs on this computer, on no robot.",
            next="Leave one of them out, or give limits to: ot2deploy wheel qualify",
        )


def _view(result: RunResult) -> Shown:
    rows = [
        (
            outcome.robot.name,
            "ok" if check["ok"] else "failed",
            check["name"],
            units.seconds(check["seconds"]),
            check.get("version") or "",
            check.get("file") or "",
        )
        for outcome in result.outcomes
        if outcome.value
        for check in outcome.value["checks"]
    ]
    releases = [f"{o.robot.name} {release(o.value['release'])}" for o in result.outcomes if o.value]
    head = f"{result.environment}: {', '.join(releases)}" if releases else str(result.environment)
    return Shown(
        result=result,
        parts=(
            lines(head, style="title"),
            *((table(("robot", "state", "check", "took", "version", "file"), rows, right=("took",)),) if rows else ()),
            *failed_of(result),
        ),
    )
