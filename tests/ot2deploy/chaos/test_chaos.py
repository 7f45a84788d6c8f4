"""Thirty of the points and faults that `scripts/chaos` tries, always the same ones, spread over all kinds."""

from __future__ import annotations

import pytest
from chaos_faults import ONCE, CannotTry, Fault, run_fault
from chaos_points import all_points, run_point, spread

# The pip that makes trees is got once; the points are recorded once, by one worker.
pytestmark = [pytest.mark.network, pytest.mark.xdist_group("chaos")]

POINTS = 18
# The others wait for half a minute, need the right to mount, or are tried by tests of their own.
QUICK = (
    "connection cut", "byte flipped in the stream", "one direction lost", "network stalls", "surplus logins refused",
    "robot paused", "robot restarted", "ot2deploy killed at any time", "byte flipped in a file on the robot",
    "half-sent file damaged", "system updated between two pushes", *ONCE,
)  # fmt: skip


@pytest.fixture(scope="session")
def points(broken_robot):
    """The chosen points, and how many there are in all."""
    known = all_points(broken_robot)
    return spread(known, POINTS), len(known)


def test_every_effect_of_a_push_and_its_undoing_is_numbered(points):
    chosen, count = points
    assert count > 500
    assert len({point.name for point in chosen}) == POINTS
    assert {point.operation for point in chosen} >= {"push, tree", "push, pip", "remove", "purge"}
    assert {point.effect.role for point in chosen} >= {"agent", "pip", "host"}


@pytest.mark.parametrize("number", range(POINTS))
def test_killed_at_a_point_and_pushed_again(broken_robot, points, number):
    point = points[0][number]
    verdict = run_point(broken_robot, point)
    assert verdict.wrong == (), f"{point.name}: {point.effect}"


@pytest.mark.parametrize("kind", QUICK)
def test_a_fault_and_pushed_again(broken_robot, kind):
    try:
        verdict = run_fault(broken_robot, Fault(kind=kind, seed=100))
    except CannotTry as reason:
        pytest.skip(str(reason))
    assert verdict.wrong == ()
