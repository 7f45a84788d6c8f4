"""Every point at which something can be killed, and random faults: run one by one, told in docs/reliability.md."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reliability.md"
RESULTS = ROOT / ".cache" / "chaos.jsonl"
KINDS = ("embedded", "amd64")
BEGIN, END = "<!-- scripts/chaos begins -->", "<!-- scripts/chaos ends -->"
EACH = 24  # seeds of each kind of random fault; kinds that take long have an eighth


@dataclass(frozen=True, kw_only=True)
class Result:
    """How one point or fault went."""

    name: str
    kind: str
    ok: bool
    wrong: str
    seconds: float
    skipped: str = ""


def main() -> int:
    """Runs what has not been run, and writes the page when all has."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true", help="forget earlier results")
    parser.add_argument("--each", type=int, default=EACH, help="seeds of each kind of random fault (%(default)s)")
    parser.add_argument(
        "--only", default="", help="only points and faults whose name has this in it; no page is written"
    )
    parser.add_argument("--kind", choices=KINDS, default=KINDS[0], help="which kind of simulated robots (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (%(default)s)")
    parser.add_argument("--part", default="", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        with contextlib.suppress(KeyboardInterrupt):
            return work(asked)
        return 130
    if asked.again:
        RESULTS.unlink(missing_ok=True)
    RESULTS.parent.mkdir(exist_ok=True)
    begun = time.monotonic()
    words = ["--each", str(asked.each), "--only", asked.only, "--kind", asked.kind]
    parts = [[*words, "--part", f"{number}/{asked.jobs}"] for number in range(asked.jobs)]
    running = [subprocess.Popen([sys.executable, __file__, *part]) for part in parts]
    try:
        statuses = [one.wait() for one in running]
        finished = not any(statuses)
    except KeyboardInterrupt:  # which the workers got as well
        finished = False
    results = known()
    bad = [result for result in results.values() if not result.ok]
    for result in bad:
        print(f"WRONG {result.name}\n{result.wrong}\n")
    print(f"{len(results)} run, {len(bad)} wrong, {time.monotonic() - begun:.0f} s")
    if not asked.only:
        write_page(list(results.values()), sum(int(total(kind).read_text()) for kind in KINDS if total(kind).exists()))
    return 0 if finished and not bad else 1


def total(kind: str) -> Path:
    """Where it stands how many points and faults there are for a kind of robots."""
    return RESULTS.with_suffix(f".{kind}")


def known() -> dict[str, Result]:
    """The results so far, the last one for each name."""
    lines = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.exists() else []
    results = [Result(**json.loads(line)) for line in lines]
    return {result.name: result for result in results}


def work(asked: argparse.Namespace) -> int:
    """One worker's share, on a robot of its own."""
    number, of = map(int, asked.part.split("/"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the robot's server is ended
    sys.path[:0] = [str(ROOT / path) for path in ("tests/ot2deploy/chaos", "tests/builder", ".")]
    with tempfile.TemporaryDirectory(prefix="ot2-chaos-") as home, robot(Path(home) / "robot", asked.kind) as made:
        done, there_are = known(), list(everything(made, asked.kind, asked.each))
        total(asked.kind).write_text(str(len(there_are)))
        todo = [one for one in there_are if asked.only in one[0]][number::of]
        todo = [one for one in todo if one[0] not in done or not done[one[0]].ok]
        for at, (name, kind, run) in enumerate(todo):
            result = result_of(name, kind, run)
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(result)) + "\n")
            state = "ok" if result.ok else "WRONG"
            print(f"[{number}] {at + 1}/{len(todo)} {state} {name} {result.seconds:.1f} s", flush=True)
    return 0


@contextlib.contextmanager
def robot(directory: Path, kind: str) -> Iterator[Any]:
    """One robot of a kind, and hosts beside it."""
    directory.mkdir()
    cache = RESULTS.parent / "tests"
    if kind == "embedded":
        with importlib.import_module("chaos_place").place(directory, cache) as made:
            yield made
    else:
        with importlib.import_module("chaos_yard").own_yard(directory, cache, kind) as made:
            yield made


def everything(made: Any, kind: str, each: int) -> Iterator[tuple[str, str, Any]]:
    """Name, kind and what to run of every point and fault; what is cut short has tried something of everything."""
    if kind != "embedded":
        yard = importlib.import_module("chaos_yard_faults")
        for fault in sorted(yard.yard_faults(each), key=lambda fault: fault.seed):
            about = f"container robot: {fault.kind}"
            yield f"{kind}/{fault.name}", about, lambda fault=fault: yard.run_yard_fault(made, fault)
        return
    points, faults = importlib.import_module("chaos_points"), importlib.import_module("chaos_faults")
    for fault in sorted(faults.faults(each), key=lambda fault: fault.seed):
        yield fault.name, fault.kind, lambda fault=fault: faults.run_fault(made, fault)
    for point in sorted(points.all_points(made), key=lambda point: (point.when, point.how), reverse=True):
        yield point.name, f"{point.operation}: {point.kind}", lambda point=point: points.run_point(made, point)


def result_of(name: str, kind: str, run: Any) -> Result:
    """One result. What this computer cannot try is told, and is no failure."""
    begun = time.monotonic()
    try:
        verdict = run()
    except AssertionError as error:
        return Result(name=name, kind=kind, ok=False, wrong=str(error), seconds=time.monotonic() - begun)
    except Exception as error:
        if type(error).__name__ != "CannotTry":
            raise
        return Result(name=name, kind=kind, ok=True, wrong="", seconds=0.0, skipped=str(error))
    return Result(name=name, kind=kind, ok=not verdict.wrong, wrong="\n".join(verdict.wrong), seconds=verdict.seconds)


def write_page(results: Sequence[Result], there_are: int) -> None:
    """Puts the table between its marks, also when a part has not been run yet."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{table(results, there_are)}\n{END}{after}", encoding="utf-8")


def table(results: Sequence[Result], there_are: int) -> str:
    """The results by kind."""
    kinds: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        kinds[result.kind].append(result)
    minutes = sum(result.seconds for result in results) / 60
    held = sum(result.ok and not result.skipped for result in results)
    ran = sum(not result.skipped for result in results)
    left = f" {there_are - len(results)} were not tried." if there_are > len(results) else ""
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, embedded and container robots, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}: {held} of {ran} points and faults held, in {minutes:.0f} minutes "
        f"of a robot's time.{left}",
        "",
        "| fault | tried | held | seconds each, longest |",
        "| --- | --- | --- | --- |",
    ]
    for kind, group in kinds.items():
        tried = [result for result in group if not result.skipped]
        longest = f"{max(result.seconds for result in tried):.1f}" if tried else group[0].skipped
        lines.append(f"| {kind} | {len(tried)} | {sum(result.ok for result in tried)} | {longest} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
