"""Waves, budgets and the order of steps: the planner on a fleet that exists on paper only."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import pytest

from builder.errors import UsageFailure
from ot2deploy.rollout.planner import Planner, Step, Task, Verdict
from ot2deploy.rollout.waves import Policy, Share, batches, first_wave

TEN = tuple(f"r{number}" for number in range(1, 11))


def share(text: str | None) -> Share | None:
    return None if text is None else Share.parse(text, "--x")


def policy(canary=None, batch=None, max_fail=None, all_or_none=False) -> Policy:
    return Policy(canary=share(canary), batch=share(batch), max_fail=share(max_fail), all_or_none=all_or_none)


def rolled(planner: Planner, ends: Mapping[tuple[str, Step], Verdict] | None = None) -> list[tuple[str, Step]]:
    """Plays a roll-out, one task after the other; a task ends as `ends` says, else well. What was done, in order."""
    ends, done, stopped = ends or {}, [], False
    waiting = deque(planner.begin())
    while waiting:
        task = waiting.popleft()
        done.append((task.robot, task.step))
        usual = Verdict.READY if task.step is Step.STAGE else Verdict.DONE
        following = planner.ended(task, ends.get((task.robot, task.step), usual))
        if planner.stopped and not stopped:
            stopped = True
            for left in list(waiting):
                following += planner.ended(left, Verdict.LEFT)
            waiting.clear()
        waiting.extend(following)
    return done


def robots(done: list[tuple[str, Step]], step: Step) -> list[str]:
    return [robot for robot, taken in done if taken is step]


@pytest.mark.parametrize(
    ("text", "total", "least", "most"),
    [("3", 10, 3, 3), ("25%", 10, 3, 2), ("10%", 8, 1, 0), ("100%", 7, 7, 7), ("0", 5, 0, 0), ("0%", 5, 0, 0)],
)
def test_a_share_is_a_number_or_a_percentage(text, total, least, most):
    assert (Share.parse(text, "--batch").at_least(total), Share.parse(text, "--batch").at_most(total)) == (least, most)
    assert str(Share.parse(text, "--batch")) == text


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "101%", "%", "5 %"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(UsageFailure) as caught:
        Share.parse(text, "--batch")
    assert "--batch 25%" in caught.value.next


def test_a_canary_of_nobody_is_refused():
    for empty in ({"canary": "0"}, {"batch": "0%"}):
        with pytest.raises(UsageFailure):
            policy(**empty)


def test_waves_have_the_order_of_the_inventory():
    plan = policy(canary="1", batch="25%")
    assert first_wave(TEN, plan, 10) == ("r1",)
    assert batches(TEN[1:], plan, 10) == (("r2", "r3", "r4"), ("r5", "r6", "r7"), ("r8", "r9", "r10"))
    assert batches(TEN, policy(canary="2"), 10) == (TEN,)


def test_without_waves_each_robot_goes_its_whole_way():
    planner = Planner(robots=TEN, policy=policy())
    done = rolled(planner, {("r2", Step.WHOLE): Verdict.BROKEN, ("r5", Step.WHOLE): Verdict.REFUSED})
    assert done == [(robot, Step.WHOLE) for robot in TEN]
    assert not planner.stopped
    assert planner.waves == []


def test_everything_is_staged_then_the_canary_then_batches():
    planner = Planner(robots=TEN, policy=policy("1", "25%"))
    done = rolled(planner)
    assert robots(done, Step.STAGE) == list(TEN)
    assert [step for _, step in done[:10]] == [Step.STAGE] * 10
    assert robots(done, Step.SWITCH) == list(TEN)
    assert planner.waves == [("r1",), ("r2", "r3", "r4"), ("r5", "r6", "r7"), ("r8", "r9", "r10")]


def test_a_canary_that_fails_stops_everything_whatever_the_budget():
    planner = Planner(robots=TEN, policy=policy("2", "5", max_fail="50%"))
    done = rolled(planner, {("r2", Step.SWITCH): Verdict.BROKEN})
    assert robots(done, Step.SWITCH) == ["r1", "r2"]
    assert planner.stopped == "the canary r2 failed"


@pytest.mark.parametrize(("allowed", "tried"), [(None, 1), ("0", 1), ("10%", 4), ("2", 10)])
def test_the_budget_counts_failures_of_the_whole_push(allowed, tried):
    planner = Planner(robots=TEN, policy=policy(batch="2", max_fail=allowed))
    done = rolled(planner, {("r1", Step.SWITCH): Verdict.BROKEN, ("r4", Step.SWITCH): Verdict.BROKEN})
    assert len(robots(done, Step.SWITCH)) == tried


def test_robots_that_are_refused_cost_nothing_and_are_not_switched():
    planner = Planner(robots=TEN, policy=policy("1"))
    done = rolled(planner, {("r1", Step.STAGE): Verdict.REFUSED, ("r3", Step.STAGE): Verdict.REFUSED})
    assert not planner.stopped
    assert planner.waves == [("r2",), ("r4", "r5", "r6", "r7", "r8", "r9", "r10")]
    assert len(robots(done, Step.SWITCH)) == 8


def test_a_release_that_fails_while_staged_counts():
    planner = Planner(robots=TEN, policy=policy("1"))
    done = rolled(planner, {("r7", Step.STAGE): Verdict.BROKEN})
    assert robots(done, Step.SWITCH) == []
    assert planner.stopped == "1 of 10 robots failed: r7"


def test_a_canary_that_became_busy_is_followed_by_another_one():
    planner = Planner(robots=TEN[:4], policy=policy("1"))
    rolled(planner, {("r1", Step.SWITCH): Verdict.BUSY})
    assert planner.waves == [("r1",), ("r2",), ("r3", "r4")]


def test_busy_robots_come_last_and_only_if_they_are_waited_for():
    busy = {("r1", Step.STAGE): Verdict.BUSY, ("r3", Step.STAGE): Verdict.BUSY}
    planner = Planner(robots=TEN[:5], policy=policy("1", "2"), waiting=True)
    rolled(planner, busy)
    assert planner.waves == [("r2",), ("r4", "r5"), ("r1", "r3")]
    planner = Planner(robots=TEN[:5], policy=policy("1", "2"))
    rolled(planner, busy)
    assert planner.waves == [("r2",), ("r4", "r5")]


def test_a_fleet_that_is_busy_as_a_whole_still_has_a_canary():
    planner = Planner(robots=TEN[:3], policy=policy("1"), waiting=True)
    rolled(planner, {(robot, Step.STAGE): Verdict.BUSY for robot in TEN[:3]})
    assert planner.waves == [("r1",), ("r2", "r3")]


def test_a_busy_robot_of_a_plain_push_is_waited_for_once():
    planner = Planner(robots=TEN[:2], policy=policy(), waiting=True)
    done = rolled(planner, {("r1", Step.WHOLE): Verdict.BUSY, ("r1", Step.SWITCH): Verdict.BUSY})
    assert done == [("r1", Step.WHOLE), ("r2", Step.WHOLE), ("r1", Step.SWITCH)]


def test_all_or_none_takes_back_what_was_switched_and_nothing_else():
    planner = Planner(robots=TEN, policy=policy("1", "3", all_or_none=True))
    done = rolled(planner, {("r2", Step.STAGE): Verdict.SAME, ("r4", Step.SWITCH): Verdict.BROKEN})
    assert planner.stopped
    assert robots(done, Step.UNDO) == ["r1", "r3"], "r2 was as wanted before, r4 went back by itself"


def test_all_or_none_without_waves_stops_at_the_first_failure():
    planner = Planner(robots=TEN[:3], policy=policy(all_or_none=True))
    done = rolled(planner, {("r2", Step.WHOLE): Verdict.BROKEN})
    assert done == [("r1", Step.WHOLE), ("r2", Step.WHOLE), ("r1", Step.UNDO)]


def test_a_last_step_is_taken_once_no_robot_is_taken_back_any_more():
    planner = Planner(robots=TEN[:3], policy=policy("1", all_or_none=True), finishing=True)
    done = rolled(planner, {("r2", Step.STAGE): Verdict.SAME})
    assert done[-3:] == [("r3", Step.SWITCH), ("r1", Step.FINISH), ("r3", Step.FINISH)]
    planner = Planner(robots=TEN[:3], policy=policy("1", all_or_none=True), finishing=True)
    assert robots(rolled(planner, {("r3", Step.SWITCH): Verdict.BROKEN}), Step.FINISH) == []


def test_a_push_that_a_person_stops_takes_nothing_back():
    planner = Planner(robots=TEN[:3], policy=policy(all_or_none=True))
    planner.begin()
    planner.stop("interrupted")
    follow = [planner.ended(Task(robot=robot, step=Step.WHOLE), end) for robot, end in zip(
        TEN[:3], (Verdict.DONE, Verdict.LEFT, Verdict.LEFT), strict=True
    )]  # fmt: skip
    assert follow == [[], [], []]


def test_robots_with_nothing_to_do_end_a_roll_out_without_waves():
    planner = Planner(robots=TEN[:3], policy=policy("1"))
    done = rolled(planner, {(robot, Step.STAGE): Verdict.SAME for robot in TEN[:3]})
    assert robots(done, Step.SWITCH) == []
    assert planner.waves == []
