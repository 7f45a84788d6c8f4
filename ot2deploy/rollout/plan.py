"""What a push would do to one robot, and why: a pure function of the robot's state and the bundle for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from builder.bundle import Bundle
from builder.files import digest_of
from ot2deploy.inventory import Robot
from ot2deploy.robots.probe import RobotState

# A release with its .pyc takes about 4.5 times its wheels (38 MB of wheels became a release of 169 MB), and what was
# sent stays beside it: the wheels, or the packs, which are as large as the release. The reserve is what the robot's own
# software is left with.
UNPACKED_FACTOR = 4.5
RESERVE = 64 << 20


class Action(StrEnum):
    """What a push does to a robot, from nothing to everything."""

    NOTHING = "no change"
    VERIFY = "verify again"
    SWITCH = "switch"
    INSTALL = "install"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What would be done to one robot.

    `digest` is the release that will be current, `current` the one that is. `send` counts the wheels that are not
    on the robot yet, `reuse` those that are; `send_bytes` is their size. With the tree method packs are sent instead,
    of which nothing is known before they are made: all count as missing. `space` is what an installation needs on the
    robot's disk, in bytes. `reasons` say why, one clause each. `notices` are about the robot's other environments.
    """

    robot: str
    profile: str
    environment: str
    digest: str
    current: str | None
    action: Action
    reasons: tuple[str, ...]
    method: str
    send: int
    reuse: int
    send_bytes: int
    space: int
    notices: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON."""
        lists = {"reasons": list(self.reasons), "notices": list(self.notices)}
        return {**self.__dict__, "action": self.action.value, **lists}


def make_plan(robot: Robot, state: RobotState, bundle: Bundle, method: str | None = None) -> Plan:
    """Compares what is on the robot with the bundle. Does nothing and raises nothing.

    `method` wins over the robot's own install method, that over the environment's; the default is "pip".
    """
    manifest = bundle.manifest
    method = method or robot.install_method or manifest["install_method"] or "pip"
    digest = manifest["digest"]
    known = state.environments.get(manifest["environment"])
    current = known.current if known else None
    gone = bool(known and known.python_gone)
    complete = bool(known and digest in known.releases) and not (gone and digest == current)
    action, reasons = _action(digest, current, complete, known.verified if known else None, state, manifest)
    there = frozenset() if method == "tree" else state.wheels
    missing = [wheel for wheel in manifest["wheels"] if wheel["sha256"] not in there]
    if action is not Action.INSTALL:
        missing = []
    return Plan(
        robot=robot.name,
        profile=manifest["profile"]["name"],
        environment=manifest["environment"],
        digest=digest,
        current=current,
        action=action,
        reasons=(*reasons, *(("a system update removed its Python",) if gone else ())),
        method=method,
        send=len(missing),
        reuse=len(manifest["wheels"]) - len(missing),
        send_bytes=sum(wheel["size"] for wheel in missing),
        space=space_needed(manifest["wheels"], missing, method) if action is Action.INSTALL else 0,
    )


def space_needed(wheels: list[Mapping[str, Any]], missing: list[Mapping[str, Any]], method: str) -> int:
    """Bytes a new release needs: what is sent, all wheels unpacked with .pyc, and a reserve."""
    sent = sum(wheel["size"] for wheel in missing) * (UNPACKED_FACTOR if method == "tree" else 1)
    return int(sent + UNPACKED_FACTOR * sum(wheel["size"] for wheel in wheels) + RESERVE)


def _action(
    digest: str,
    current: str | None,
    complete: bool,
    verified: Mapping[str, Any] | None,
    state: RobotState,
    manifest: Mapping[str, Any],
) -> tuple[Action, tuple[str, ...]]:
    if not complete:
        why = "nothing is installed" if current is None else f"release {current[:12]} is current"
        return Action.INSTALL, (why, f"release {digest[:12]} is not on the robot")
    if current != digest:
        return Action.SWITCH, (f"release {digest[:12]} is on the robot but not current",)
    if verified is None:
        return Action.VERIFY, ("the current release was never verified",)
    if verified.get("fingerprint") != state.fingerprint:
        return Action.VERIFY, ("the robot's system changed since the release was verified",)
    if verified.get("checks") != digest_of(manifest["checks"]["quick"]):
        return Action.VERIFY, ("the checks changed since the release was verified",)
    live = manifest["checks"].get("live")
    if live and (verified.get("live") or {}).get("checks") != digest_of(live):
        return Action.VERIFY, ("its live checks have not passed yet",)
    return Action.NOTHING, (f"release {digest[:12]} is current and verified",)
