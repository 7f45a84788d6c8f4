"""`ot2deploy wheel build`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.errors import UsageFailure
from ot2deploy.cli import index_build, options, qualify, units, wheel_index, wheel_order
from ot2deploy.cli.follow import Follower
from ot2deploy.cli.outcomes import failures
from ot2deploy.cli.result import Answer, Part, Shown, lines, table

if TYPE_CHECKING:
    from builder.engine import Engine
    from builder.events import Report
    from builder.profile import Profile
    from builder.wheels import How, Made, Wheels
    from builder.wheels.orders import Order
    from ot2deploy.project import Project
    from ot2deploy.wheel_proofs import Proof

HOW = {"public": "index"}


@dataclass(frozen=True, kw_only=True)
class Result:
    """The wheels of an order, where they are, their proofs, if they were to be run, and the index, if they entered one.

    `left_out` are recipes that refuse, each with the reason. 1 when a wheel is lacking, failed, could not be run or was
    refused by the index.
    """

    wheels: Wheels
    out: Path
    proofs: tuple[Proof, ...] = ()
    indexed: index_build.Result | None = None
    left_out: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 when there is a good wheel for everything; 2 when nothing but files of the user or the setup is wrong."""
        codes = [failed.failure.exit_code for failed in self.wheels.failed]
        proved = all(proof.found.ok and proof.found.ran for proof in self.proofs)
        return min(codes, default=int(not proved or bool(self.indexed and self.indexed.exit_code)))

    def state(self, made: Made) -> str:
        """What is known of a wheel: of being run only where it was in a bundle that was."""
        for proof in self.proofs:
            if proof.holds(made):
                return proof.found.state if proof.found.ok else "failed"
        return "audited"

    def as_dict(self) -> dict[str, Any]:
        """Every wheel, every failure."""
        return {
            "directory": str(self.out),
            "changed": any(made.changed for made in self.wheels.made),
            "wheels": [{**made.as_dict(), "state": self.state(made)} for made in self.wheels.made],
            "failed": [failed.as_dict() for failed in self.wheels.failed],
            "not_tried": list(self.wheels.not_tried),
            "left_out": list(self.left_out),
            "qualified": [proof.found.as_dict() for proof in self.proofs],
            "index": self.indexed.as_dict() if self.indexed else None,
        }


@click.command("build")
@wheel_order.packages
@wheel_order.everything
@click.option("--with-dependencies", is_flag=True, help="Also all that the named projects need.")
@click.option("--from-source", is_flag=True, help="Build what is named even where an index has a wheel that fits.")
@click.option("--test", is_flag=True, help="Run the wheels, with all that they need, on an emulated ARM interpreter.")
@click.option(
    "--explain", is_flag=True, help="Say for each package how its wheel would be had, and why. Nothing is built."
)
@click.option(
    "--dist-tree-root", "dist", type=click.Path(path_type=Path, file_okay=False), default=index_build.DIST,
    show_default=True,
    metavar="DIR", help="Where the wheels go, below the name of their profile; relative to the project.",
)  # fmt: skip
@click.option(
    "--keep-going/--fail-fast", default=True, show_default=True,
    help="Go on with the other packages after a failure, or end all of them.",
)  # fmt: skip
@click.option("-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="Builds at once; without it, one per core.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Most seconds for one step.")
@click.option(
    "-o", "--output", "log", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), metavar="FILE",
    help="Also write what the tools print to this file; - is standard output.",
)  # fmt: skip
@wheel_index.options
@options.toolchain
@options.project
@options.no_repair
@options.offline
@options.output
def command(
    profiles: tuple[str, ...],
    upgrade: bool,
    everything: bool,
    with_dependencies: bool,
    from_source: bool,
    test: bool,
    explain: bool,
    dist: Path,
    keep_going: bool,
    jobs: int | None,
    timeout: float | None,
    log: Path | None,
    indexing: wheel_index.Indexing,
    toolchain: str,
    project: Project,
    no_repair: bool,
    offline: bool,
    **named: Any,
) -> Shown:
    """Make wheels for robots: of an index, repaired or built, each audited.

    A project needs no recipe for it. Ends with 1 when one of the wheels cannot be had; the others are there then.
    """
    from ot2deploy.engine import open_for

    indexing.check(**named)
    _emulable(profiles if test else ())
    wanted = wheel_order.load_profiles(profiles)
    limits = {"jobs": jobs, "timeout": timeout}
    engine = open_for(project, offline=offline, repair=not no_repair, upgrade=upgrade, toolchain=toolchain, **limits)
    if not indexing.packages:
        with options.reporting() as report:
            result = indexing.dist(project, engine, project.root / dist, wanted, report)
        return Shown(result=result, parts=index_build.parts(result))
    named |= {"search": engine.search, "closure": with_dependencies}
    orders, left_out = wheel_order.read_all(project, **named) if everything else ((wheel_order.read(**named),), ())
    orders = tuple(replace(order, from_source=from_source) for order in orders)
    if explain:
        return _explained(orders, wanted, engine)
    from builder.wheels import How, together
    from ot2deploy import wheel_proofs

    out = project.root / dist
    how = How(out=out, fail_fast=not keep_going, bundles=test)
    with options.reporting() as report, _logging(report, log) as followed:
        wheels = together(_made(orders, wanted, engine, how, followed))
        proofs = wheel_proofs.prove(wheels, engine, followed) if test else ()
        indexed = indexing.made(project, engine, wheels, wanted, followed) if indexing.index and wheels.made else None
        return _shown(Result(wheels=wheels, out=out, proofs=proofs, indexed=indexed, left_out=left_out))


def _made(
    orders: tuple[Order, ...], profiles: list[Profile], engine: Engine, how: How, report: Report
) -> Iterator[Wheels]:
    """What becomes of each order; after a failure that is to be the last thing, none of the others is tried."""
    from builder.wheels import Wheels, make_wheels

    failed = False
    for order in orders:
        untried = Wheels(not_tried=order.environment.wanted)
        wheels = untried if failed and how.fail_fast else make_wheels(order, profiles, engine, how, report)
        failed = failed or bool(wheels.failed)
        yield wheels


def _emulable(profiles: tuple[str, ...]) -> None:
    from builder import profile

    if other := sorted(set(profiles) - set(profile.names())):
        raise UsageFailure(f"--test runs wheels for robots, not for {', '.join(other)}", next="Leave out --test.")


@contextlib.contextmanager
def _logging(report: Report, log: Path | None) -> Iterator[Report]:
    """Progress, with what tools print in the file `log`, if there is one."""
    if log is None:
        yield report
        return
    if log == Path("-") and options.wants_json():
        raise UsageFailure("--json and --output - both want standard output", next="Write the log to a file: -o FILE")
    with (
        contextlib.nullcontext(sys.stdout) if log == Path("-") else _opened(log) as file,
        Follower(report, lambda subject, line: print(f"{subject}: {line}", file=file, flush=True)) as followed,
    ):
        yield followed


def _opened(path: Path) -> Any:
    try:
        return path.open("w", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageFailure(f"{path} cannot be written: {error.strerror}") from error


def _shown(result: Result) -> Shown:
    wheels, out = result.wheels, result.out
    rows = [_row(made, result.state(made)) for made in wheels.made]
    columns = ("wheel", "profile", "how", "state", "glibc", "seconds", "sha256")
    parts: list[Part] = [lines(_head(wheels, out), style="title")]
    if rows:
        parts.append(table(columns, rows, right=("seconds",)))
    parts += failures(failed.failure for failed in wheels.failed)
    parts += [part for proof in result.proofs for part in (lines(""), *qualify.parts(proof.found))]
    if result.indexed:
        parts += [lines(""), *index_build.parts(result.indexed)]
    if result.left_out:
        parts.append(lines("", *result.left_out, style="dim"))
    if wheels.not_tried:
        parts.append(lines("", f"Not tried after that: {', '.join(wheels.not_tried)}", style="warning"))
    return Shown(result=result, parts=tuple(parts))


def _head(wheels: Wheels, out: Path) -> str:
    count = units.count(len(wheels.made), "wheel")
    failed = f", {len(wheels.failed)} failed" if wheels.failed else ""
    changed = sum(made.changed for made in wheels.made)
    if wheels.made and not changed:
        return f"{count} in {out}{failed}: no change"
    return f"{count} in {out}{failed}: {changed} new"


def _row(made: Made, state: str) -> tuple[str, ...]:
    how = HOW.get(made.how, made.how)
    return (
        made.path.name,
        made.profile,
        f"{how}, reused" if made.reused else how,
        state,
        "%d.%d" % made.max_glibc if made.max_glibc else "",
        f"{made.seconds:.0f}" if made.seconds is not None else "",
        made.sha256[:12],
    )


def _explained(orders: tuple[Order, ...], profiles: list[Profile], engine: Engine) -> Shown:
    """What would be done for each package."""
    from builder.wheels.outlook import look

    with options.reporting() as report:
        found = [one for order in orders for one in look(order, profiles, engine, report)]
    rows = [(f"{one.name} {one.version}".rstrip(), one.profile, one.state, one.plan) for one in found]
    data = {"packages": [one.as_dict() for one in found]}
    columns = ("package", "profile", "state", "what would be done")
    return Shown(result=Answer(data=data), parts=(table(columns, rows, folded=columns[-1:]),))
