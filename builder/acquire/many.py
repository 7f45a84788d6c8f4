"""All packages of a bundle: downloads side by side, builds beside them, no failure hiding another."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from builder import profile_host
from builder.acquire.job import Acquired, Job, Missing
from builder.acquire.one import new_job
from builder.acquire.strategies import built, fitting, repaired, run
from builder.counted import counted
from builder.engine import Engine
from builder.environment import Index
from builder.errors import BuildFailure, Failure, OfflineFailure
from builder.events import Event, Report, silent
from builder.profile import Profile
from builder.run import stopping
from builder.selection import Wanted

DOWNLOADS = min(8, 2 + 2 * (os.cpu_count() or 1))
SLICE = 0.5  # seconds


def acquire_all(
    wanted: Sequence[Wanted],
    profile: Profile,
    engine: Engine,
    *,
    environment: str = "",
    indexes: tuple[Index, ...] = (),
    as_of: str | None = None,
    report: Report = silent,
) -> tuple[Acquired, ...]:
    """A wheel for each package, in their order. `environment` is named in the command that an OfflineFailure suggests.

    Raises one Failure for all that could not be had: OfflineFailure with every missing file, else BuildFailure.
    """
    got = gather(wanted, profile, engine, indexes=indexes, as_of=as_of, report=report)
    if got.failures:
        raise _together([got.failures[name] for name in sorted(got.failures)], profile, environment)
    return tuple(got.found[package.name] for package in wanted)


def gather(
    wanted: Sequence[Wanted],
    profile: Profile,
    engine: Engine,
    *,
    indexes: tuple[Index, ...] = (),
    as_of: str | None = None,
    build: bool = True,
    fail_fast: bool = False,
    report: Report = silent,
) -> Gathered:
    """What can be had of the packages, and why the others cannot.

    Without `build` nothing is built, and what would be is neither found nor failed. With `fail_fast` the first failure
    ends everything; what was not had by then is neither, too.
    """
    gathering = _Gathering(wanted=wanted, profile=profile, engine=engine, report=report, fail_fast=fail_fast)

    def quick(package: Wanted) -> Acquired | None:
        job = new_job(package, profile, engine, indexes=indexes, as_of=as_of, report=report)
        gathering.jobs[package.name] = job
        return run(job, (fitting, repaired))

    with suppress(_Enough), _pool(DOWNLOADS) as downloads, _pool(engine.jobs) as builds:
        gathering.look(downloads, quick)
        while gathering.running:
            gathering.take_finished()
            if build:
                gathering.start_builds(builds)
    return Gathered(found=gathering.found, failures=gathering.failures, jobs=gathering.jobs)


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """The packages that were had, by name, the failures of others, and everybody's job: what it tried and knows."""

    found: Mapping[str, Acquired]
    failures: Mapping[str, Failure]
    jobs: Mapping[str, Job]


class _Enough(Exception):
    """A package failed, and the others are not wanted any more."""


@dataclass(kw_only=True)
class _Gathering:
    """Where all packages stand. `certain` are those that will need a build for want of any candidate."""

    wanted: Sequence[Wanted]
    profile: Profile
    engine: Engine
    report: Report
    fail_fast: bool
    jobs: dict[str, Job] = field(default_factory=dict)
    running: dict[Future[Acquired | None], Wanted] = field(default_factory=dict)
    certain: set[str] = field(default_factory=set)
    waiting: list[Wanted] = field(default_factory=list)
    building: set[str] = field(default_factory=set)
    found: dict[str, Acquired] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)

    def look(self, pool: ThreadPoolExecutor, quick: Callable[[Wanted], Acquired | None]) -> None:
        """Looks for wheels that are there, first of all for packages that will need a build."""
        for package in sorted(self.wanted, key=lambda package: bool(package.candidates)):
            self.running[pool.submit(quick, package)] = package
        self.certain.update(package.name for package in self.wanted if not package.candidates)

    def take_finished(self) -> None:
        """Waits for packages and sorts them into found, failed, and waiting for a build."""
        # In slices: a signal that another thread took would not wake an endless wait.
        for future in wait(self.running, timeout=SLICE, return_when=FIRST_COMPLETED).done:
            package = self.running.pop(future)
            self.certain.discard(package.name)
            try:
                acquired = future.result()
            except Failure as failure:
                self._fail(package, failure)
                continue
            if acquired:
                self.found[package.name] = acquired
                count = len(self.found)
                self.report(Event(subject=self.profile.name, stage="wheels", done=count, total=len(self.wanted)))
                if count == len(self.wanted):
                    self.report(Event(subject=self.profile.name, stage="wheels", message="all there", level="done"))
            elif package.name in self.building:
                self._fail(package, self.jobs[package.name].failure())
            else:
                self.waiting.append(package)

    def _fail(self, package: Wanted, failure: Failure) -> None:
        self.failures[package.name] = failure
        if self.fail_fast:
            raise _Enough

    def start_builds(self, pool: ThreadPoolExecutor) -> None:
        """Starts builds, the longest first: none before all that are certain to come are known."""
        if self.certain:
            return
        seconds = self.engine.tools.expected_seconds
        building = sum(package.name in self.building for package in self.running.values())
        at_once = max(1, min(self.engine.jobs, building + len(self.waiting)))
        for package in sorted(self.waiting, key=lambda package: -seconds(package.name, self.profile)):
            self.building.add(package.name)
            self.jobs[package.name].cores = max(1, (os.cpu_count() or 1) // at_once)
            self.running[pool.submit(run, self.jobs[package.name], (built,))] = package
        self.waiting.clear()


@contextmanager
def _pool(size: int) -> Iterator[ThreadPoolExecutor]:
    """A pool that, left by an exception (Ctrl-C), drops what has not begun and ends the programs of what has."""
    pool = ThreadPoolExecutor(size)
    try:
        yield pool
    except BaseException:
        with stopping():
            pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


def _together(failures: Sequence[Failure], profile: Profile, environment: str) -> Failure:
    """One failure for all: offline, every file that is missing; else each package with all its lines."""
    missing = [failure for failure in failures if isinstance(failure, OfflineFailure)]
    if len(missing) == len(failures):
        files = tuple(dict.fromkeys(_files(missing)))
        command = f"ot2deploy bundle {environment or 'TARGET'} -o FILE.ot2bundle {profile_host.option(profile)}"
        return OfflineFailure(
            f"the store lacks {counted(len(files), 'file')} for {profile.name}, and --offline is set",
            details=files,
            next=f"Where there is internet: {command}",
        )
    distinct = list({str(failure): failure for failure in failures}.values())  # a dead index is told once
    if len(distinct) == 1:
        return distinct[0]
    return BuildFailure(
        f"{len(failures)} packages have no wheel for {profile.name}",
        details=tuple(line for failure in distinct for line in failure.lines()),
    )


def _files(failures: Iterable[OfflineFailure]) -> Iterator[str]:
    for failure in failures:
        yield from failure.files if isinstance(failure, Missing) else (str(failure),)
