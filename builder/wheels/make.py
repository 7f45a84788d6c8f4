"""Wheels as files in directories: an order's packages for some profiles, each had or with the reason why not."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.acquire import Acquired, Gathered, gather
from builder.acquire.job import Job
from builder.assembly import bundle_of
from builder.bundle import Bundle
from builder.engine import Engine
from builder.environment import Environment
from builder.errors import BuildFailure, Failure
from builder.events import Event, Report, silent
from builder.files import disk_failures, replacing, sha256_file
from builder.profile import Profile
from builder.selection import Wanted
from builder.wheels.orders import Order, Resolved, resolve


@dataclass(frozen=True, kw_only=True)
class Made:
    """A wheel that was audited and stands in its directory.

    `how` it first came: index, public, repaired, built or local; `reused` when the store had it; `placed` when the
    file was not there before; `seconds` that its build took, when it was built.
    """

    name: str
    version: str
    profile: str
    path: Path
    sha256: str
    size: int
    how: str
    reused: bool
    placed: bool
    max_glibc: tuple[int, ...] | None
    seconds: float | None
    log: str | None
    passed_over: tuple[tuple[str, str], ...]

    @property
    def changed(self) -> bool:
        """Whether anything was done for it."""
        return self.placed or not self.reused

    def as_dict(self) -> dict[str, Any]:
        """All of it, and what is known of it: it was audited, nothing was run."""
        return {**vars(self), "path": str(self.path), "state": "audited", "changed": self.changed}


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A package that there is no wheel of, why, and the log of its build."""

    name: str
    profile: str
    failure: Failure
    log: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """All of it."""
        return {
            "name": self.name,
            "profile": self.profile,
            "log": self.log and str(self.log),
            "error": self.failure.as_dict(),
        }


@dataclass(frozen=True, kw_only=True)
class Wheels:
    """What became of an order. `not_tried` are packages that a failure left alone when it was to be the last thing.

    `bundles` hold the wheels with all that they need, each beside the environment that it was made of; only where they
    were asked for and nothing of them failed.
    """

    made: tuple[Made, ...] = ()
    failed: tuple[Failed, ...] = ()
    not_tried: tuple[str, ...] = ()
    bundles: tuple[tuple[Environment, Bundle], ...] = ()


def together(parts: Iterable[Wheels]) -> Wheels:
    """What became of several orders; a wheel that two of them have is there once."""
    parts = tuple(parts)
    made = {(one.profile, one.path): one for part in parts for one in part.made}
    return Wheels(
        made=tuple(made.values()),
        failed=tuple(one for part in parts for one in part.failed),
        not_tried=tuple(dict.fromkeys(text for part in parts for text in part.not_tried)),
        bundles=tuple(one for part in parts for one in part.bundles),
    )


@dataclass(frozen=True, kw_only=True)
class How:
    """How wheels are to be had: where they go, and whether the first failure ends everything.

    With `bundles` all that the wheels need is had, too, so that they can be run.
    """

    out: Path
    fail_fast: bool = False
    bundles: bool = False


def make_wheels(order: Order, profiles: Sequence[Profile], engine: Engine, how: How, report: Report = silent) -> Wheels:
    """order -> locks -> select -> acquire -> files in `how.out`/<profile>/, for one profile after the other.

    What fails is told beside what does not. Raises a Failure only where nothing could be begun.
    """
    with disk_failures(engine.store.root):
        return _make_wheels(order, profiles, engine, how, _Logs(report))


def _make_wheels(order: Order, profiles: Sequence[Profile], engine: Engine, how: How, logs: _Logs) -> Wheels:
    resolution = resolve(order, engine, logs)
    made: list[Made] = []
    failed = [Failed(name=failure.subject, profile="", failure=failure) for failure in resolution.failures]
    not_tried: list[str] = []
    bundles: list[tuple[Environment, Bundle]] = []
    for profile in profiles:
        for part in resolution.parts:
            if failed and how.fail_fast:
                not_tried += [f"{text} for {profile.name}" for text in part.order.environment.wanted]
                continue
            try:
                wanted = part.wanted(profile)
                needed = part.needed(profile) if how.bundles else wanted
            except Failure as failure:
                failed.append(
                    Failed(name=", ".join(part.order.environment.wanted), profile=profile.name, failure=failure)
                )
                continue
            got = _gather(part, needed, profile, engine, how, logs)
            for one in wanted:
                try:
                    made += [_made(got.found[one.name], got.jobs[one.name], how.out)] if one.name in got.found else []
                except BuildFailure as failure:
                    failed.append(Failed(name=one.name, profile=profile.name, failure=failure))
            failed += [
                Failed(name=name, profile=profile.name, failure=failure, log=logs.of(name, got))
                for name, failure in sorted(got.failures.items())
            ]
            left = (one for one in wanted if one.name not in got.found and one.name not in got.failures)
            not_tried += [f"{one.name} {one.version} for {profile.name}" for one in left]
            if how.bundles and part.lock and len(got.found) == len(needed):
                environment = part.order.environment
                bundle = bundle_of(environment, profile, engine, tuple(got.found.values()), part.lock)
                bundles.append((environment, bundle))
    return Wheels(made=tuple(_once(made)), failed=tuple(failed), not_tried=tuple(not_tried), bundles=tuple(bundles))


def _gather(
    part: Resolved, wanted: tuple[Wanted, ...], profile: Profile, engine: Engine, how: How, report: Report
) -> Gathered:
    return gather(
        wanted,
        profile,
        engine,
        indexes=part.order.indexes,
        as_of=part.as_of,
        fail_fast=how.fail_fast,
        report=report,
    )


def _made(acquired: Acquired, job: Job, out: Path) -> Made:
    blob = acquired.blob
    facts = (job.engine.store.record(blob.sha256) or {}).get("facts", {})
    path = out / job.profile.name / blob.filename
    placed = not path.is_file() or sha256_file(path) != blob.sha256
    if placed:
        with disk_failures(path.parent), replacing(path) as temporary:
            shutil.copyfile(blob.path, temporary)
            if sha256_file(temporary) != blob.sha256:
                job.engine.store.remove(blob.sha256)  # its size and time look right: it would be trusted again
                raise BuildFailure(
                    "is damaged in the store", subject=blob.filename, next="Run the command again; it is got anew."
                )
    return Made(
        name=acquired.wanted.name,
        version=acquired.wanted.version,
        profile=job.profile.name,
        path=path,
        sha256=blob.sha256,
        size=blob.size,
        how=acquired.how,
        reused=acquired.reused,
        placed=placed,
        max_glibc=job.audit(blob).max_glibc,
        seconds=facts.get("seconds"),
        log=facts.get("log"),
        passed_over=tuple((passed.what, passed.reason) for passed in acquired.passed_over),
    )


def _once(made: Iterable[Made]) -> list[Made]:
    """Without the doubles that parts of an order have in common."""
    return list({one.path: one for one in reversed(list(made))}.values())[::-1]


class _Logs:
    """A Report that passes everything on and remembers which log belongs to what."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._paths: dict[str, Path] = {}

    def __call__(self, event: Event) -> None:
        if event.log:
            self._paths[event.subject] = event.log
        self._report(event)

    def of(self, name: str, got: Gathered) -> Path | None:
        """The newest log of a package, if it was built."""
        job = got.jobs.get(name)
        return self._paths.get(job.subject) if job else None
