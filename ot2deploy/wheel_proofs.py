"""Wheels that were made are run: in the bundle of their order, or each with what it asks for itself."""

from __future__ import annotations

from dataclasses import dataclass

from builder import profile
from builder.bundle import Bundle
from builder.engine import Engine
from builder.environment import Environment
from builder.events import Report
from builder.pipeline import make_bundle
from builder.qualify import Options, Qualified, find_interpreter, qualify
from builder.targets import resolve
from builder.wheels import Made, Wheels
from builder.wheels.order_locks import for_orders


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was found when a bundle was run."""

    bundle: Bundle
    found: Qualified

    def holds(self, made: Made) -> bool:
        """Whether a wheel was in the bundle."""
        rows = self.bundle.manifest["wheels"]
        return self.found.profile == made.profile and made.sha256 in [row["sha256"] for row in rows]


def prove(wheels: Wheels, engine: Engine, report: Report) -> tuple[Proof, ...]:
    """A proof of each bundle, and of each wheel that is in none, as that of a project which no index lists.

    Raises BuildFailure where what such a wheel asks for cannot be had.
    """
    proofs = [_proof(environment, bundle, engine, report) for environment, bundle in wheels.bundles]
    for made in wheels.made:
        if not any(proof.holds(made) for proof in proofs):
            environment = resolve(str(made.path), engine.search)
            bundle = make_bundle(environment, profile.load(made.profile), engine, report)
            proofs.append(_proof(environment, bundle, engine, report))
    return tuple(proofs)


def _proof(environment: Environment, bundle: Bundle, engine: Engine, report: Report) -> Proof:
    interpreter = find_interpreter(profile.load(bundle.profile), offline=engine.offline)
    own = for_orders(engine) if environment.source == "requirement" else engine  # a twin is locked, too
    options = Options(engine=own, environment=environment)
    return Proof(bundle=bundle, found=qualify(bundle, interpreter, options, report))
