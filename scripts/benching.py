"""What every benchmark shares: commands timed as users type them, figures with a promise, a section of the page."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

OT2DEPLOY = Path(sys.executable).with_name("ot2deploy")
PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Written by `scripts/bench`, a section at a time; the machine was doing nothing else. Every figure is a command as a user
types it, or the same work done by bare tools; ratios are between things measured in the same run.
"""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """One finished command: wall and CPU seconds, peak memory in MB, standard output."""

    wall: float
    cpu: float
    peak: float
    out: str


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A row of the table. `bar` is the promise; `held` whether it was kept."""

    name: str
    ours: str
    reference: str
    ratio: str
    bar: str
    held: bool


# Started from here, a program's peak would be at least this program's own (Linux keeps it over fork and exec).
LAUNCH = """
import json, resource, subprocess, sys, time
start = time.monotonic()
status = subprocess.call(sys.argv[2:], stdin=subprocess.DEVNULL)
wall = time.monotonic() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
json.dump([status, wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024], open(sys.argv[1], "w"))
"""


def ran(argv: list[str], cwd: Path, *, check: bool = True, env: Mapping[str, str] | None = None) -> Ran:
    """Runs a command from a small launcher, which reads its usage from the kernel."""
    with tempfile.NamedTemporaryFile() as told:
        launch = [sys.executable, "-I", "-S", "-c", LAUNCH, told.name, *argv]
        variables = {**os.environ, **(env or {})}
        done = subprocess.run(launch, cwd=cwd, env=variables, capture_output=True, text=True, check=True)
        status, wall, cpu, peak = json.loads(Path(told.name).read_text())
    if check and status:
        sys.exit(f"{argv} ended with {status}\n{done.stdout[-3000:]}\n{done.stderr}")
    return Ran(wall=wall, cpu=cpu, peak=peak, out=done.stdout)


def ours(*words: str, cwd: Path, env: Mapping[str, str] | None = None) -> Ran:
    """One ot2deploy command, with JSON."""
    return ran([str(OT2DEPLOY), *words, "--json"], cwd, env=env)


def pairs(rounds: int, one: Callable[[], float], other: Callable[[], float]) -> tuple[float, float, float]:
    """Medians of both and of their ratio, measured in turn so that a drifting machine hits both."""
    measured = [(one(), other()) for _ in range(rounds + 1)][1:]
    return (
        statistics.median(a for a, _ in measured),
        statistics.median(b for _, b in measured),
        statistics.median(a / b for a, b in measured),
    )


def seconds(value: float) -> str:
    """Seconds for people."""
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


class Figures(list[Figure]):
    """Figures in the order in which they were measured, each told at once."""

    def tell(self, name: str, mine: str, reference: str = "", ratio: str = "", *, bar: str, held: bool) -> None:
        """Keeps and prints a figure."""
        print(f"{'ok  ' if held else 'MISS'} {name}: {mine} | {reference} | {ratio} | {bar}", flush=True)
        self.append(Figure(name=name, ours=mine, reference=reference, ratio=ratio, bar=bar, held=held))


def section(title: str, where: str, figures: Sequence[Figure]) -> str:
    """One section of docs/benchmarks.md; `where` says on what it was measured."""
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    lines = [
        f"## {title}",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {where}, {machine}.",
        "",
        "| figure | ours | reference | ratio | promise | kept |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {f.name} | {f.ours} | {f.reference} | {f.ratio} | {f.bar} | {'yes' if f.held else 'no'} |"
            for f in figures
        ),
    ]
    return "\n".join(lines) + "\n"


def replace_section(text: str) -> None:
    """Puts a section into the page, in place of the one with its title; the others stay."""
    _, *sections = PAGE.read_text().split("\n## ") if PAGE.exists() else [""]
    title = text.splitlines()[0].removeprefix("## ")
    known = {one.splitlines()[0]: f"## {one.rstrip()}\n" for one in sections}
    PAGE.write_text("\n".join([HEAD, *{**known, title: text}.values()]))
