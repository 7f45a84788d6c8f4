"""Qualifies a target for profiles, or a bundle file: what is in them is run on an emulated ARM interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import profile as shipped
from builder import qualify as qualifying
from builder.bundle import Bundle
from builder.engine import Engine
from builder.environment import Environment
from builder.errors import UsageFailure
from builder.events import Report
from builder.pipeline import make_bundle
from builder.qualify import known
from builder.targets import find_environment, resolve
from ot2deploy import bundles
from ot2deploy.engine import open_for
from ot2deploy.project import Project


@dataclass(frozen=True, kw_only=True)
class QualifyRequest:
    """A `target` or bundle file, and the profiles by name: none means all that a file holds.

    `interpreter` is the directory of an ARM interpreter, `known` a further file of known failures; `options` are
    those of `builder.qualify.Options`.
    """

    project: Project
    target: str
    profiles: tuple[str, ...]
    report: Report
    options: dict[str, Any]
    interpreter: Path | None = None
    known: Path | None = None
    offline: bool = False
    repair: bool = True


@dataclass(frozen=True, kw_only=True)
class Proofs:
    """What was found for each profile."""

    found: tuple[qualifying.Qualified, ...]

    @property
    def exit_code(self) -> int:
        """0 when everything was run, itself or as its twin, and nothing failed that is not known to."""
        return int(not all(one.ok and one.ran for one in self.found))

    def as_dict(self) -> dict[str, Any]:
        """Every proof, whole."""
        return {"qualified": [one.as_dict() for one in self.found]}


def qualify(request: QualifyRequest) -> Proofs:
    """One proof after the other. Raises a Failure where a bundle cannot be had or the interpreter will not do."""
    if "host" in request.profiles:
        raise UsageFailure(
            "host is this computer, and nothing is emulated for it", next=f"Profiles: {', '.join(shipped.names())}"
        )
    engine = open_for(request.project, offline=request.offline, repair=request.repair)
    more = known.load(request.known) if request.known else ()  # before anything that takes long
    return Proofs(found=tuple(_one(*wanted, more, request, engine) for wanted in _wanted(request, engine)))


def _wanted(request: QualifyRequest, engine: Engine) -> Iterator[tuple[Bundle, Environment | None]]:
    if bundles.is_bundle_file(request.target):
        yield from ((one, None) for one in _of_file(Path(request.target), request.profiles))
        return
    environment = resolve(request.target, engine.search)
    if not request.profiles:
        raise UsageFailure(
            f"for which profile is {environment.name} to be qualified?",
            next=f"Add --profile NAME, one of: {', '.join(shipped.names())}",
        )
    for name in request.profiles:
        yield make_bundle(environment, shipped.load(name), engine, request.report), environment


def _of_file(path: Path, profiles: tuple[str, ...]) -> Iterator[Bundle]:
    if not profiles:
        yield from bundles.held_in(path)
        return
    source = bundles.from_file(path)
    yield from (source.for_profile(shipped.load(name)) for name in profiles)


def _one(
    bundle: Bundle,
    environment: Environment | None,
    more: tuple[known.Known, ...],
    request: QualifyRequest,
    engine: Engine,
) -> qualifying.Qualified:
    profile = shipped.load(bundle.profile)
    emulated = qualifying.find_interpreter(profile, request.interpreter, offline=request.offline)
    if environment is None and (file := find_environment(bundle.environment, engine.search)):
        more = (*known.beside([file.parent]), *more)
    options = qualifying.Options(engine=engine, environment=environment, known=more, **request.options)
    return qualifying.qualify(bundle, emulated, options, request.report)
