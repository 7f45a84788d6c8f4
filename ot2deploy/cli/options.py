"""The options that several commands share, each declared once."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import click

from builder.events import Event, Report, silent
from ot2deploy.cli import completing
from ot2deploy.cli.progress import PlainProgress

if TYPE_CHECKING:
    from ot2deploy.project import Project
    from ot2deploy.visit import Fleet

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(kw_only=True)
class Settings:
    """How this call speaks: filled in while the command line is parsed, read at the boundary."""

    json: bool = False
    verbose: bool = False
    command: str = ""


def _remember(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    settings = ctx.ensure_object(Settings)
    settings.command = " ".join(ctx.command_path.split()[1:])
    if value:
        setattr(settings, str(param.name), True)


_json = click.option(
    "--json", is_flag=True, expose_value=False, is_eager=True, callback=_remember,
    help="Print the result as one JSON document; no progress.",
)  # fmt: skip
_verbose = click.option(
    "-v", "--verbose", is_flag=True, expose_value=False, is_eager=True, callback=_remember,
    help="Show the traceback of an error, and what the tools of a build print.",
)  # fmt: skip
robots = click.option(
    "--robots", "robots_file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="The inventory; without it, the project's inventory.yaml.",
)  # fmt: skip


def _some_names(_ctx: click.Context, _: click.Parameter, value: str | None) -> str:
    """Nothing given means all robots; an empty word, as of a shell variable that is not set, must not."""
    if value is not None and not value.strip():
        raise click.BadParameter("it names no robot; leave --limit out for all of them")
    return value or ""


class _Duration(click.ParamType[float]):
    """A time such as 90s, 30m, 2h or 1d; a value in seconds."""

    name = "time"
    UNITS: ClassVar[dict[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86400}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        number, unit = value[:-1], value[-1:]
        if not number.isdigit() or unit not in self.UNITS:
            self.fail(f"{value} is no time such as 90s, 30m or 2h", param, ctx)
        return float(int(number) * self.UNITS[unit])


DURATION = _Duration()
limit = click.option(
    "--limit", default=None, callback=_some_names, metavar="NAMES", shell_complete=completing.limit,
    help="Only these robots, groups or patterns, with commas; !NAME takes away.",
)  # fmt: skip
_jobs = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    default=None,
    metavar="N",
    help="How many robots at once; without it, 16.",
)
_trust = click.option(
    "--trust-on-first-use", "trust", is_flag=True, help="Pin the host key of a robot that has none pinned yet."
)
offline = click.option("--offline", is_flag=True, help="Use no index and no download: only what is in the store.")
no_repair = click.option(
    "--no-repair", is_flag=True, help="Build from source instead of repairing a wheel that is only a little too new."
)


def _toolchain(_ctx: click.Context, _: click.Parameter, value: str) -> str:
    from builder.toolchain.choice import parse

    parse(value)
    return value


toolchain = click.option(
    "--toolchain", default="zig", envvar="OT2DEPLOY_TOOLCHAIN", show_default=True, show_envvar=True, metavar="NAME",
    callback=_toolchain,
    help="What compiles: zig, gcc:DIR, gcc:URL#sha256=HEX, gcc:debian, or container[=IMAGE][:COMPILER].",
)  # fmt: skip
profiles = click.option(
    "--profile", "profiles", required=True, multiple=True, metavar="NAME",
    help="The ABI: ot2-py310, ot2-py312, debian-12-armhf or host. May be given again.",
)  # fmt: skip


def robot_profiles(note: str) -> Callable[[F], F]:
    """--profile, where only an ABI of robots can be meant; `note` ends its help."""
    return click.option(
        "--profile", "profiles", multiple=True, metavar="NAME",
        help=f"The ABI: ot2-py310, ot2-py312 or debian-12-armhf. May be given again; {note}.",
    )  # fmt: skip


def environment_name(_ctx: click.Context, _: click.Parameter, value: str) -> str:
    """The name of an environment as robots have it. Raises UsageFailure for what can be none."""
    from builder.environment import NAME
    from builder.errors import UsageFailure

    if not NAME.fullmatch(value):
        raise UsageFailure(
            f"`{value}` is no name of an environment",
            why="Names have small letters, digits and . _ - only, and begin with a letter or digit.",
            next="See which are on your robots: ot2deploy status",
        )
    return value


environment_argument = click.argument("environment", callback=environment_name, shell_complete=completing.environment)
target_argument = click.argument("target", shell_complete=completing.target)


def output(command: F) -> F:
    """--json and --verbose, on every command."""
    return _json(_verbose(command))


def project(command: F) -> F:
    """--project; the command gets the Project as `project`."""

    def found(ctx: click.Context, _: click.Parameter, value: Path | None) -> Project | Path | None:
        if ctx.resilient_parsing:  # a shell completes a line that is not written yet
            return value
        from ot2deploy.project import Project

        return Project.find(value)

    return click.option(
        "--project", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", callback=found,
        help="The project's directory; without it, the nearest parent that is one.",
    )(command)  # fmt: skip


def fleet(command: F) -> F:
    """Which project, which of its robots and how many at once; the command passes them all to `visiting`."""
    return project(robots(limit(_trust(_jobs(command)))))


@contextlib.contextmanager
def visiting(**where: Any) -> Iterator[Fleet]:
    """The robots that the options of `fleet` name, with progress shown while the block runs."""
    from ot2deploy.visit import Fleet

    with reporting() as report, Fleet(report=report, **where) as fleet:
        yield fleet


@contextlib.contextmanager
def reporting() -> Iterator[Report]:
    """Progress as the current call wants it; with --verbose, what the tools of builds print is part of it."""
    with _progress() as report:
        if not click.get_current_context().ensure_object(Settings).verbose:
            yield report
            return
        from ot2deploy.cli.follow import Follower

        with Follower(report, lambda subject, line: report(Event(subject=subject, stage=line, level="info"))) as both:
            yield both


@contextlib.contextmanager
def _progress() -> Iterator[Report]:
    if wants_json():
        yield silent
        return
    if not _lively():
        # The renderer is needed only at the end then, and is imported while robots and indexes are waited for.
        threading.Thread(target=import_module, args=("ot2deploy.cli.render",), daemon=True).start()
        if sys.stderr is None:
            yield silent
            return
        with PlainProgress(_write_line) as plain:
            yield plain
        return
    from ot2deploy.cli import render

    with render.live() as report:
        yield report


def _lively() -> bool:
    """Whether standard error is a terminal whose cursor can be moved."""
    dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
    return sys.stderr is not None and sys.stderr.isatty() and not dumb


def _write_line(line: str) -> None:
    # Whoever read the progress may have gone; that is no reason to leave robots half-way.
    with contextlib.suppress(BrokenPipeError):
        print(line, file=sys.stderr, flush=True)


def wants_json() -> bool:
    """Whether this call was given --json."""
    return click.get_current_context().ensure_object(Settings).json


def can_ask() -> bool:
    """Whether a person at a terminal can answer."""
    return not wants_json() and bool(sys.stdin and sys.stdin.isatty())
