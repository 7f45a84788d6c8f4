"""What is on a robot and should not be so: where it differs from what was verified there, and from what was pushed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ot2deploy.robots.state import EnvironmentState, RobotState


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One thing about one environment of a robot that a push would repair; `code` is stable, `next` that push."""

    robot: str
    environment: str
    code: str
    what: str
    next: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The drift as JSON."""
        return dict(self.__dict__)


def find(state: RobotState, pushed: Mapping[str, frozenset[str]]) -> tuple[Drift, ...]:
    """One drift for each environment that has one, the gravest: pure, without `next`.

    `pushed` says which releases this computer's last commands left current, by environment; several where one was cut
    off.
    """
    bare = not (state.environments or state.wheels or state.packs or state.facts)
    found = []
    for name in sorted({*state.environments, *pushed}):
        known = state.environments.get(name) or EnvironmentState(name=name, current=None, releases=())
        code, what = next(_of(known, state.fingerprint, pushed.get(name, frozenset()), bare), ("", ""))
        if code:
            found.append(Drift(robot=state.robot, environment=name, code=code, what=what))
    return tuple(found)


def _of(known: EnvironmentState, fingerprint: str, pushed: frozenset[str], bare: bool) -> Iterator[tuple[str, str]]:
    """What is wrong with an environment, the gravest first: code and words."""
    if known.current is None:
        if known.linked:
            yield "release-gone", f"release {known.linked[:12]} is current and not there: it was removed by hand"
        elif bare and pushed:
            yield "nothing-left", "it was pushed, and nothing of ot2deploy is on the robot: was it reset?"
        elif pushed and not known.releases:
            yield "missing", "it was pushed from here and is not on the robot any more"
        elif pushed:
            yield "not-current", "it was pushed from here, and no release of it is current"
        return
    release = f"release {known.current[:12]}"
    if known.python_gone:
        yield "python-gone", f"{release} was made for a Python that a system update removed"
    if known.verified is None:
        yield "not-verified", f"{release} is current and was not verified on this robot"
    elif known.verified.get("fingerprint") != fingerprint:
        yield "system-changed", f"the robot's system changed since {release} was verified"
    if pushed and known.current not in pushed:
        last = " or ".join(sorted(digest[:12] for digest in pushed))
        yield "another-release", f"{release} is current; what was last done from here left {last}"
