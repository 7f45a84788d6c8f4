"""Drift: what a robot has against what was verified there and what was pushed; each line names what repairs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ot2deploy.drift import find
from ot2deploy.robots import state as robot_state
from ot2deploy.robots.state import EnvironmentState, RobotState
from ot2deploy.runs.last_known import last_known

A, B = "a" * 64, "b" * 64
CASES = Path(__file__).parent.parent / "cases" / "probe"


def of(known: EnvironmentState | None, *pushed: str, **more: Any) -> list[tuple[str, str]]:
    environments = {"demo": known} if known else {}
    state = RobotState(
        robot="otto", version={}, fingerprint="f", interpreter="/x", environments=environments, facts={"python": "3"}
    )
    found = find(RobotState(**{**state.__dict__, **more}), {"demo": frozenset(pushed)} if pushed else {})
    return [(one.code, one.what) for one in found]


def environment(current: str | None = A, **more: Any) -> EnvironmentState:
    fields = {"releases": (A, B), "linked": current, "verified": {"digest": A, "fingerprint": "f"}, **more}
    return EnvironmentState(name="demo", current=current, **fields)


def test_a_robot_that_is_as_it_was_left_has_no_drift() -> None:
    assert of(environment()) == of(environment(), A) == of(environment(), A, B) == of(None) == []
    assert of(environment(None, verified=None)) == [], "a release that waits for its switch"


@pytest.mark.parametrize(
    ("known", "pushed", "code", "word"),
    [
        (environment(python_gone=True, verified=None), (), "python-gone", "a Python that a system update removed"),
        (environment(verified={"fingerprint": "old"}), (), "system-changed", "system changed since release aaaaaaaaa"),
        (environment(verified=None), (), "not-verified", "was not verified"),
        (environment(None, linked="c" * 64), (), "release-gone", "release cccccccccccc is current and not there"),
        (environment(None, verified=None), (A,), "not-current", "no release of it is current"),
        (environment(), (B,), "another-release", "left bbbbbbbbbbbb"),
        (None, (A,), "missing", "is not on the robot any more"),
    ],
)
def test_what_has_drifted_is_told_the_gravest_first(
    known: EnvironmentState | None, pushed: tuple[str, ...], code: str, word: str
) -> None:
    ((found, what),) = of(known, *pushed)
    assert (found, word in what) == (code, True)


def test_a_robot_that_was_reset_is_told_so() -> None:
    assert of(None, A, facts=None) == [
        ("nothing-left", "it was pushed, and nothing of ot2deploy is on the robot: was it reset?")
    ]


@pytest.mark.parametrize(
    ("case", "codes"),
    [
        ("ot2-fresh", []),
        ("ot2-pushed", []),
        ("ot2-updated-since", ["python-gone"]),
        ("ot2-release-removed-by-hand", ["release-gone"]),
    ],
)
def test_what_robots_print_is_enough_to_see_it(case: str, codes: list[str]) -> None:
    state = robot_state.parse("otto", (CASES / f"{case}.txt").read_bytes())
    assert [one.code for one in find(state, {})] == codes


@pytest.mark.parametrize(("outcome", "current", "expected"), [
    ("pushed", A, {B}), ("staged", A, {A}), ("rolled back", A, {A}), ("staged", None, set()), ("failed", A, {A, B}),
])  # fmt: skip
def test_what_a_push_left_current_is_known_from_its_record(
    tmp_path: Path, outcome: str, current: str | None, expected: set[str]
) -> None:
    rows = [
        {"event": "start", "command": "push", "target": "./demo.py"},
        {"event": "begin", "robot": "otto", "environment": "demo", "digest": B, "current": current},
        {
            "event": "robot", "robot": "otto", "outcome": outcome,
            "plan": {"environment": "demo", "digest": B, "current": current},
        },
    ]  # fmt: skip
    path = tmp_path / "runs" / "one.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps({"at": "2026-01-05T10:22:00Z", **row}) + "\n" for row in rows))
    found = last_known(tmp_path).robots
    assert {digest for known in found for digest in known.releases} == expected
    assert all(known.target == "./demo.py" for known in found)


@pytest.fixture
def two(workplace_of: Any) -> Any:
    """Two robots with `plates`."""
    place = workplace_of(2)
    place.environment("plates", place.wheel("plates"), checks="- import: plates")
    place.push("plates")
    return place


def drift(place: Any, status: int) -> dict[str, list[str]]:
    ran = place.run_cli("status", "--drift", "--robots", place.lab.path, "--json")
    assert ran.status == status, ran.out + ran.err
    rows = ran.document["result"]["robots"]
    repair = "Run: ot2deploy push plates --limit {} --robots"
    assert all(one["next"].startswith(repair.format(row["robot"])) for row in rows for one in row["drift"])
    return {row["robot"]: [one["code"] for one in row["drift"]] for row in rows}


def release(place: Any, name: str) -> Path:
    path: Path = (place.lab.base(name) / "envs" / "plates" / "current").resolve()
    return path


def test_a_push_repairs_what_drifted(two: Any) -> None:
    assert drift(two, 0) == {"r1": [], "r2": []}
    assert "2 robots looked at, none drifted" in two.run_cli("status", "--drift", "--robots", two.lab.path).good().out
    shutil.rmtree(release(two, "r1"))
    (release(two, "r2") / "verified.json").unlink()
    assert drift(two, 1) == {"r1": ["release-gone"], "r2": ["not-verified"]}
    shown = two.run_cli("status", "--drift", "--robots", two.lab.path)
    assert "r1: plates: release " in shown.out
    assert "2 robots looked at, 2 drifted" in shown.out
    two.push("plates", "--limit", "r1")
    assert drift(two, 3) == {"r1": [], "r2": ["not-verified"]}
    two.push("plates")
    assert drift(two, 0) == {"r1": [], "r2": []}


def test_a_system_update_a_reset_and_a_lost_python_are_seen_and_repaired(two: Any) -> None:
    version = two.lab.root("r1") / "etc" / "VERSION.json"
    version.write_text(json.dumps({**json.loads(version.read_text()), "opentrons_api_version": "8.8.0"}))
    shutil.rmtree(two.lab.base("r2"))
    assert drift(two, 1) == {"r1": ["system-changed"], "r2": ["nothing-left"]}
    for link in (release(two, "r1") / "bin").glob("python3.*"):
        link.unlink()
        link.symlink_to("/usr/bin/python3.1")
    assert drift(two, 1)["r1"] == ["python-gone"]
    two.push("plates", "--limit", "r2")
    assert drift(two, 3)["r2"] == []


def test_what_another_computer_made_current_is_told(two: Any) -> None:
    two.environment("plates", two.wheel("plates", "2.0"), checks="- import: plates")
    two.push("plates", "--limit", "r1")
    records = two.directory / ".ot2deploy" / "runs"
    latest = max(records.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    latest.unlink()
    assert drift(two, 3) == {"r1": ["another-release"], "r2": []}


def test_a_robot_that_does_not_answer_counts_as_drifted(two: Any) -> None:
    two.lab.stop("r2")
    assert two.run_cli("status", "--drift", "--robots", two.lab.path, "--json").status == 3
