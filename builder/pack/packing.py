"""Packs of wheels: made by the pip that robots have, in a host interpreter of their minor."""

from __future__ import annotations

from collections.abc import Sequence

from builder.engine import Engine
from builder.environment import Environment
from builder.errors import BuildFailure
from builder.events import Event, Report
from builder.pack.pack import Packing, pack_all, pip_pin
from builder.pipeline import make_bundle
from builder.profile import Profile
from builder.store import Blob
from builder.toolchain.interpreter import find_interpreter


def packs(wheels: Sequence[Blob], profile: Profile, engine: Engine, report: Report) -> tuple[Blob, ...]:
    """Wheels as trees made by the robots' pip on this machine, in their order.

    Raises BuildFailure where no interpreter of the profile's minor is at hand.
    """
    try:
        interpreter = find_interpreter(profile.python).path
    except BuildFailure as failure:
        raise BuildFailure(
            f"installed trees for {profile.name} need CPython {profile.python} on this machine",
            why="Trees are made by the robots' pip in an interpreter of the same minor.",
            next=f"Run: uv python install {profile.python}   (to push without it: --install-method pip)",
        ) from failure
    pip = pip_wheel(profile, engine, report)
    report(Event(subject=profile.name, stage="pack", message="making trees of the wheels"))
    packing = Packing(profile=profile, interpreter=interpreter, pip_wheel=pip.path, store=engine.store)
    return pack_all(wheels, packing)


def pip_wheel(profile: Profile, engine: Engine, report: Report) -> Blob:
    """The pip of a profile's robots. It comes the way every wheel does: locked, hashed, kept in the store."""
    environment = Environment(name="ot2deploy-pip", requirements=(f"pip=={pip_pin(profile).version}",))
    return make_bundle(environment, profile, engine, report).blobs[0]
