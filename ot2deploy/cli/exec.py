"""`ot2deploy exec`."""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import completing, options
from ot2deploy.cli.outcomes import failed
from ot2deploy.cli.result import Shown, lines

if TYPE_CHECKING:
    from ot2deploy.execute import ExecResult


@dataclass(kw_only=True)
class Collected:
    """A sink that keeps each robot's output, for --json."""

    streams: dict[tuple[str, bool], bytearray] = field(default_factory=lambda: defaultdict(bytearray))

    def __call__(self, robot: str, is_error: bool, data: bytes) -> None:
        self.streams[robot, is_error] += data

    def text(self, robot: str, is_error: bool) -> str:
        """What a robot's program wrote on one of its streams."""
        return bytes(self.streams.get((robot, is_error), b"")).decode(errors="replace")


class Prefixed:
    """A sink that writes whole lines with the robot's name in front, for several robots at once."""

    def __init__(self) -> None:
        self._rests: dict[tuple[str, bool], bytes] = {}
        self._guard = threading.Lock()

    def __call__(self, robot: str, is_error: bool, data: bytes) -> None:
        with self._guard:
            *whole, rest = (self._rests.get((robot, is_error), b"") + data).split(b"\n")
            self._rests[robot, is_error] = rest
            for line in whole:
                self._write(robot, is_error, line)

    def finish(self) -> None:
        """Writes what came without a line's end."""
        for (robot, is_error), rest in self._rests.items():
            if rest:
                self._write(robot, is_error, rest)

    def _write(self, robot: str, is_error: bool, line: bytes) -> None:
        stream = sys.stderr if is_error else sys.stdout
        stream.write(f"{robot} | {line.decode(errors='replace')}\n")
        stream.flush()


@dataclass(frozen=True, kw_only=True)
class Told:
    """An ExecResult with the output that --json collected."""

    result: ExecResult
    collected: Collected

    @property
    def exit_code(self) -> int:
        """The result's own."""
        return self.result.exit_code

    def as_dict(self) -> Mapping[str, Any]:
        """The result, and under each robot what the program wrote."""
        told = self.result.as_dict()
        for robot in told["robots"]:
            robot["stdout"] = self.collected.text(robot["robot"], False)
            robot["stderr"] = self.collected.text(robot["robot"], True)
        return told


@click.command("exec", context_settings={"allow_interspersed_args": False})
@click.argument("argv", nargs=-1, required=True)
@click.option(
    "-e", "--environment", required=True, metavar="NAME", callback=options.environment_name,
    shell_complete=completing.environment,
    help="The environment whose program it is.",
)  # fmt: skip
@options.fleet
@options.output
def command(environment: str, argv: tuple[str, ...], **where: Any) -> Shown:
    """Run a program of an environment on robots.

    Write it after --, as in: ot2deploy exec -e prefect -- prefect version. Arguments reach it as they are, no shell
    reads them. With one robot selected it is as if the program ran here: its streams, its exit status.
    """
    from ot2deploy.execute import ExecRequest, execute, to_terminal

    with options.visiting(**where) as fleet:
        alone = len(fleet.robots) == 1
        collected, prefixed = Collected(), Prefixed()
        result = execute(
            ExecRequest(
                fleet=fleet,
                environment=environment,
                argv=argv,
                sink=collected if options.wants_json() else to_terminal if alone else prefixed,
                stdin=sys.stdin.buffer if alone and not options.wants_json() else None,
            )
        )
        prefixed.finish()
    return Shown(
        result=Told(result=result, collected=collected), parts=() if alone and result.outcomes[0].ok else _parts(result)
    )


def _parts(result: ExecResult) -> Any:
    told = [f"{o.robot.name}: exit status {o.value}" for o in result.outcomes if o.ok and o.value]
    return (*((lines(*told, style="bad"),) if told else ()), *failed(result.outcomes))
