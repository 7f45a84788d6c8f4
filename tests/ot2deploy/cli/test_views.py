"""What a person sees of a push, a status, an exec: made from result objects, no robot needed."""

import sys
from dataclasses import replace
from types import MappingProxyType

import pytest

from builder.errors import BuildFailure
from ot2deploy.cli import push_view, render, rollback, status
from ot2deploy.cli.exec import Collected, Prefixed
from ot2deploy.cli.result import Answer, Shown
from ot2deploy.errors import AuthRefused, CheckFailed, CommandFailure, HostKeyChanged, Unreachable
from ot2deploy.fleet import Outcome
from ot2deploy.inventory import Robot
from ot2deploy.robots.state import EnvironmentState, RobotState
from ot2deploy.rollout.deploy import Deployment
from ot2deploy.rollout.outcome import PushResult, RobotResult
from ot2deploy.rollout.plan import Action, Plan
from ot2deploy.runs.result import RunResult
from ot2deploy.status import StatusResult

DIGEST = "0123456789abcdef" * 4


def plan(**more):
    fields = {
        "robot": "otto", "profile": "ot2-py310", "environment": "prefect", "digest": DIGEST, "current": None,
        "action": Action.INSTALL, "reasons": ("nothing is installed",), "method": "pip", "send": 96, "reuse": 0,
        "send_bytes": 47_100_000, "space": 250_000_000,
    }  # fmt: skip
    return Plan(**{**fields, **more})


def pushed(*rows):
    return PushResult(
        environment="prefect", origin="environment prefect", run="r1", record=None, rows=rows, seconds=61.0
    )


def text(capsys, *parts):
    render.result(Shown(result=Answer(data={}), parts=parts))
    return capsys.readouterr().out


def installed(**seconds):
    checks = ({"name": "import prefect.main", "ok": True},)
    done = Deployment(method="pip", sent=90, reused=6, bytes_sent=47_100_000, checks=checks)
    return RobotResult(robot="otto", outcome="pushed", plan=plan(), deployment=done, seconds=seconds)


def test_the_table_of_a_push(capsys):
    out = text(
        capsys,
        *push_view.shown(
            pushed(installed(probe=0.4, send=3.0, install=30.0, compile=20.0, verify=5.0)), dry_run=False
        ).parts,
    )
    head, row, _, stages, seconds = out.splitlines()[1:6]
    assert head.split() == ["robot", "profile", "outcome", "release", "method", "sent", "bytes", "reused", "checks"]
    assert row.split()[:7] == ["otto", "ot2-py310", "pushed", "0123456789ab", "pip", "90", "47.1"]
    assert row.endswith("1 of 1")
    assert stages.split() == ["seconds", "probe", "send", "install", "compile", "verify"]
    assert seconds.split() == ["otto", "0.4", "3.0", "30.0", "20.0", "5.0"]
    assert "1 robot as wanted after 61 s" in out


def test_a_push_by_pip_says_what_trees_would_have_saved(capsys):
    out = text(capsys, *push_view.shown(pushed(installed(install=30.0, compile=20.0)), dry_run=False).parts)
    assert "--install-method tree would have saved about 38 s" in out
    assert "tree" not in text(capsys, *push_view.shown(pushed(installed(install=0.5)), dry_run=False).parts)


def test_a_failed_robot_is_explained_below_the_table(capsys):
    failure = BuildFailure("greenlet 3.1.1 cannot be had", why="No wheel fits.", next="Add a recipe.", subject="luigi")
    rows = (installed(send=1.0), RobotResult(robot="luigi", outcome="failed", failure=failure))
    result = pushed(*rows)
    out = text(capsys, *push_view.shown(result, dry_run=False).parts)
    assert "luigi: greenlet 3.1.1 cannot be had\n  No wheel fits.\n  Add a recipe.\n" in out
    assert "2 robots: 1 as wanted, 1 failed" in out
    assert result.exit_code == 3


def test_a_plan_is_shown_with_its_reasons(capsys):
    row = RobotResult(robot="otto", outcome="planned", plan=plan(reasons=("not installed", "96 wheels to send")))
    out = text(capsys, *push_view.shown(pushed(row), dry_run=True).parts)
    assert "nothing is changed" in out
    assert "install" in out
    assert "not installed; 96 wheels to send" in out


@pytest.fixture
def state():
    verified = MappingProxyType({"at": "2025-06-01T10:00:00Z", "fingerprint": "f1"})
    environment = EnvironmentState(name="prefect", current=DIGEST, releases=(DIGEST, "b" * 64), verified=verified)
    return RobotState(
        robot="otto", version={"opentrons_api_version": "7.2.2"}, fingerprint="f1", interpreter="/usr/bin/python3.10",
        root_writable=False, disk_free=9_000_000_000, disk_total=14_000_000_000,
        environments={"prefect": environment},
    )  # fmt: skip


def test_the_table_of_a_status(capsys, state):
    lost = Unreachable("nothing answers", subject="luigi", next="Is it on?")
    result = StatusResult(
        outcomes=(
            Outcome(robot=Robot(name="otto", address="a"), value=state),
            Outcome(robot=Robot(name="luigi", address="b"), failure=lost),
        )
    )
    out = text(capsys, *status._view(result).parts)
    assert out.splitlines()[1].split() == [
        "otto", "ok", "7.2.2", "9.0", "GB", "prefect", "0123456789ab", "2025-06-01T10:00:00Z", "1",
    ]  # fmt: skip
    assert "luigi  no answer" in out
    assert "luigi: nothing answers\n  Is it on?" in out


def test_a_verification_for_another_system_is_none(state):
    known = state.environments["prefect"]
    assert status._verified(known, state) == "2025-06-01T10:00:00Z"
    other = RobotState(**{**state.__dict__, "fingerprint": "f2"})
    assert status._verified(known, other) == "for another system"


def test_lines_of_several_robots_stay_whole(capsys):
    sink = Prefixed()
    for robot, data in (("otto", b"one\ntw"), ("luigi", b"eins\n"), ("otto", b"o\nthree")):
        sink(robot, False, data)
    sink("otto", True, b"oops\n")
    sink.finish()
    sys.stdout.flush()
    shown = capsys.readouterr()
    assert shown.out == "otto | one\nluigi | eins\notto | two\notto | three\n"
    assert shown.err == "otto | oops\n"


def test_collected_output_is_text_per_robot_and_stream():
    sink = Collected()
    sink("otto", False, "grün".encode()[:3])
    sink("otto", False, "grün".encode()[3:])
    sink("otto", True, b"\xff")
    assert sink.text("otto", False) == "grün"
    assert sink.text("otto", True) == "�"
    assert sink.text("luigi", False) == ""


def test_a_status_tells_apart_who_does_not_answer_and_who_refuses(capsys, state):
    begun = replace(state, environments={"plates": EnvironmentState(name="plates", current=None, releases=())})
    otto = Robot(name="otto", address="a")
    out = [
        text(capsys, *status._view(StatusResult(outcomes=(outcome,))).parts).splitlines()[1]
        for outcome in (
            Outcome(robot=otto, value=begun),
            Outcome(robot=otto, failure=AuthRefused("it does not accept our key")),
            Outcome(robot=otto, failure=HostKeyChanged("it shows another key")),
            Outcome(robot=otto, failure=CommandFailure("it is odd")),
        )
    ]
    assert out[0].split()[-2:] == ["plates", "incomplete"]
    assert [" ".join(line.split()[1:]) for line in out[1:]] == ["no access", "host key changed", "failed"]


def test_a_rollback_that_no_robot_made_does_not_say_so(capsys):
    outcome = Outcome(robot=Robot(name="otto", address="a"), failure=Unreachable("nothing answers"))
    out = text(capsys, *rollback._view(RunResult(environment="plates", run="r1", outcomes=(outcome,))).parts)
    assert "plates: nothing was switched" in out
    assert "back to an earlier release" not in out


def failing(name, failure):
    return RobotResult(robot=name, outcome="failed", failure=failure)


def test_what_robots_have_in_common_is_told_once_with_their_names(capsys):
    none = BuildFailure("there is no idna 99", subject="ot2-py310", details=("idna 3.10 is the newest",))
    gone = [Unreachable("no answer", subject=name, next=f"Run: x --limit {name} --y") for name in ("r3", "r4")]
    rows = [failing("r1", none), failing("r2", none), *(failing(one.subject, one) for one in gone)]
    out = text(capsys, *push_view.shown(pushed(*rows), dry_run=False).parts)
    assert out.count("there is no idna 99") == out.count("idna 3.10 is the newest") == 1
    assert "  It is so for r1, r2.\n" in out
    assert "r3, r4: no answer\n  Run: x --limit r3,r4 --y\n" in out
    assert "to go on: ot2deploy push --resume" in out


@pytest.mark.parametrize(
    ("failures", "stopped", "told"),
    [
        ((BuildFailure("x"), CheckFailed("y")), "", False),
        ((CheckFailed("y"), None), "the canary r1 failed", False),
        ((CheckFailed("y"), None), "", True),
        ((Unreachable("z"), None), "", True),
    ],
)
def test_going_on_is_advised_where_it_may_end_better(capsys, failures, stopped, told):
    rows = [RobotResult(robot=f"r{at}", outcome="staged", failure=one) for at, one in enumerate(failures)]
    out = text(capsys, *push_view.shown(replace(pushed(*rows), stopped=stopped), dry_run=False).parts)
    assert ("push --resume" in out) is told
