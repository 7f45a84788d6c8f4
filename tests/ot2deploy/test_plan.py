"""Plans: what a push would do to a robot, from its state and the bundle for it."""

from __future__ import annotations

from typing import Any

import pytest

from builder.bundle import Bundle, assemble
from builder.environment import Environment, import_check
from builder.files import digest_of
from builder.profile import load
from ot2deploy.inventory import Robot
from ot2deploy.robots.state import EnvironmentState, RobotState
from ot2deploy.rollout.plan import RESERVE, Action, make_plan

ROBOT = Robot(name="otto", address="192.0.2.1")
MB = 1_000_000


def row(name: str, size: int) -> dict[str, Any]:
    return {
        "name": name, "version": "1.0", "filename": f"{name}-1.0-py3-none-any.whl", "sha256": name[0] * 64,
        "size": size, "unpacked": size, "files": 1, "how": "index", "requested": True,
    }  # fmt: skip


def bundle(check: str = "alpha", **settings: Any) -> Bundle:
    wheels = [row("alpha", 10 * MB), row("beta", 2 * MB)]
    environment = Environment(name="demo", **settings)
    quick = [import_check(check)]
    return assemble(environment, load("ot2-py310"), wheels, [], quick=quick, as_of="2025-01-01", lock="l" * 64)


BUNDLE = bundle()


def verified(of: Bundle, fingerprint: str = "f") -> dict[str, Any]:
    return {"digest": of.digest, "checks": digest_of(of.manifest["checks"]["quick"]), "fingerprint": fingerprint}


def state(current: str | None = None, *releases: str, proof: Any = None, **more: Any) -> RobotState:
    known = EnvironmentState(name="demo", current=current, releases=releases, verified=proof)
    fields = {
        "robot": "otto", "version": {"opentrons_api_version": "7.3.1"}, "fingerprint": "f", "interpreter": "/x",
        "root_writable": False, "disk_free": 1000 * MB, "disk_total": 2000 * MB,
        "environments": {"demo": known} if releases else {},
    }  # fmt: skip
    return RobotState(**{**fields, **more})


DIGEST, OTHER = BUNDLE.digest, "0" * 64


@pytest.mark.parametrize(
    ("robot_state", "action", "reason"),
    [
        (state(), Action.INSTALL, "nothing is installed"),
        (state(OTHER, OTHER), Action.INSTALL, f"release {OTHER[:12]} is current"),
        (state(OTHER, OTHER, DIGEST), Action.SWITCH, "on the robot but not current"),
        (state(None, DIGEST), Action.SWITCH, "on the robot but not current"),
        (state(DIGEST, DIGEST), Action.VERIFY, "never verified"),
        (state(DIGEST, DIGEST, proof=verified(BUNDLE, "old")), Action.VERIFY, "system changed"),
        (state(DIGEST, DIGEST, proof=verified(bundle("beta"))), Action.VERIFY, "checks changed"),
        (state(DIGEST, DIGEST, proof=verified(BUNDLE)), Action.NOTHING, "current and verified"),
    ],
)
def test_what_would_be_done_and_why(robot_state: RobotState, action: Action, reason: str) -> None:
    plan = make_plan(ROBOT, robot_state, BUNDLE)
    assert plan.action is action
    assert reason in "; ".join(plan.reasons)
    assert plan.as_dict()["action"] == action.value
    assert (plan.send > 0) is (plan.space > 0) is (action is Action.INSTALL)


def test_only_what_is_missing_is_sent_and_all_of_it_needs_room() -> None:
    plan = make_plan(ROBOT, state(wheels=frozenset({"a" * 64})), BUNDLE)
    assert (plan.send, plan.reuse, plan.send_bytes) == (1, 1, 2 * MB)
    assert plan.space == 2 * MB + int(4.5 * 12 * MB) + RESERVE


def test_packs_are_all_new_and_as_large_as_the_release() -> None:
    plan = make_plan(ROBOT, state(wheels=frozenset({"a" * 64})), BUNDLE, "tree")
    assert (plan.method, plan.send) == ("tree", 2)
    assert plan.space == int(9 * 12 * MB) + RESERVE


@pytest.mark.parametrize(
    ("asked", "robots", "environments", "method"),
    [
        (None, None, None, "pip"),
        (None, None, "tree", "tree"),
        (None, "pip", "tree", "pip"),
        ("tree", "pip", None, "tree"),
    ],
)
def test_whose_method_counts(asked: str | None, robots: str | None, environments: str | None, method: str) -> None:
    robot = Robot(name="otto", address="192.0.2.1", install_method=robots)
    assert make_plan(robot, state(), bundle(install_method=environments), asked).method == method


def test_a_release_whose_python_is_gone_is_made_anew() -> None:
    known = EnvironmentState(
        name="demo", current=DIGEST, releases=(DIGEST, OTHER), verified=verified(BUNDLE), python_gone=True
    )
    plan = make_plan(ROBOT, state(environments={"demo": known}), BUNDLE)
    assert (plan.action, "a system update removed its Python" in plan.reasons) == (Action.INSTALL, True)
