"""Preflight: everything that speaks against an installation, found at once and before anything is sent."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from robot_api import RobotApi, serving

from builder.bundle import Bundle, assemble
from builder.environment import Environment, import_check
from builder.profile import load
from ot2deploy.agent_host.client import open_agent
from ot2deploy.errors import Locked, RobotFailure
from ot2deploy.inventory import Robot
from ot2deploy.robots import activity
from ot2deploy.robots import state as robot_state
from ot2deploy.robots.probe import read_state
from ot2deploy.robots.state import RobotState
from ot2deploy.rollout.plan import make_plan
from ot2deploy.rollout.preflight import examine, notices, raise_all
from ot2deploy.transport.ssh import connect

OTTO = Robot(name="otto", address="192.0.2.1")
MB = 1_000_000
CASES = Path(__file__).parent.parent / "cases" / "probe"


def bundle() -> Bundle:
    wheel = {
        "name": "alpha", "version": "1.0", "filename": "alpha-1.0-py3-none-any.whl", "sha256": "a" * 64,
        "size": 12 * MB, "unpacked": 12 * MB, "files": 1, "how": "index", "requested": True,
    }  # fmt: skip
    profile = load("ot2-py310")
    quick = [import_check("alpha")]
    return assemble(Environment(name="demo"), profile, [wheel], [], quick=quick, as_of="2025-01-01", lock="l" * 64)


BUNDLE = bundle()


def state(**more: Any) -> RobotState:
    fields = {
        "robot": "otto", "version": {"opentrons_api_version": "7.3.1"}, "fingerprint": "f", "interpreter": "/x",
        "disk_free": 1000 * MB, "disk_total": 2000 * MB, "base_kind": "ext4", "memory_available": 600 * MB,
    }  # fmt: skip
    return RobotState(**{**fields, **more})


def found(robot: Robot = OTTO, method: str = "pip", **more: Any) -> dict[str, RobotFailure]:
    """The findings about a robot of that state, by their codes."""
    seen = state(**more)
    findings = examine(robot, seen, make_plan(robot, seen, BUNDLE, method))
    assert all(finding.subject == robot.name and finding.why and finding.next for finding in findings)
    return {finding.code: finding for finding in findings}


def test_nothing_is_said_of_a_robot_that_is_fine() -> None:
    assert found() == {}
    raise_all(())


def test_too_little_room_is_told_with_numbers_and_the_command_that_makes_some() -> None:
    failure = found(disk_free=100 * MB)["disk-full"]
    assert failure.what == "133 MB are needed in /var/ot2deploy, 100 MB are free"
    assert "ot2deploy robot clean otto " in failure.next
    assert found(disk_free=0, disk_total=0) == {}, "a robot whose df says nothing is not full"


def test_a_root_that_can_be_written_is_told_of_an_ot2_only() -> None:
    assert "read-write" in found(root_writable=True)["robot-unsafe"].what
    assert found(root_writable=True, version={}) == {}
    assert found(Robot(name="sim1", address="127.0.0.1", root="/srv/robot"), root_writable=True) == {}


def test_a_base_directory_that_keeps_nothing_is_told() -> None:
    assert "read-only" in found(base_writable=False)["base-unusable"].what
    assert "lies in memory (tmpfs)" in found(base_kind="tmpfs")["base-unusable"].what
    assert found(Robot(name="sim1", address="127.0.0.1", root="/tmp/robot"), base_kind="tmpfs") == {}


def test_memory_is_what_the_method_needs() -> None:
    assert "105 MB of memory are needed, 80 MB are free" in found(memory_available=80 * MB)["memory"].what
    assert found(memory_available=80 * MB, method="tree") == {}
    assert "52 MB" in found(memory_available=40 * MB, method="tree")["memory"].what
    assert found(memory_available=None) == {}


HOLDER = {"who": "eva@bench", "since": "2026-01-05T10:22:00Z", "run": "2026-01-05T10:22Z-7f3a", "pid": 812}


def test_only_a_lock_whose_holder_lives_is_told() -> None:
    failure = found(holder=HOLDER, held=True)["locked"]
    assert failure.what == "held by eva@bench since 2026-01-05T10:22:00Z"
    assert "run 2026-01-05T10:22Z-7f3a" in failure.why
    assert "ot2deploy robot unlock otto --force" in failure.next
    assert found(holder=HOLDER) == {}, "who died left it"


def test_all_findings_are_told_at_once() -> None:
    findings = found(root_writable=True, disk_free=0, memory_available=1, holder=HOLDER, held=True, base_kind="ramfs")
    assert list(findings) == ["robot-unsafe", "base-unusable", "disk-full", "memory", "locked"]
    with pytest.raises(RobotFailure, match="read-write") as caught:
        raise_all(tuple(findings.values()))
    told = "\n".join(caught.value.lines())
    for other in findings.values():
        assert other.what in told
        assert other.next in told
    also = json.loads(json.dumps(caught.value.as_dict()))["also"]
    assert [row["code"] for row in also] == ["base-unusable", "disk-full", "memory", "locked"]


def test_where_nothing_is_to_be_done_nothing_is_refused() -> None:
    from builder.files import digest_of

    proof = {"checks": digest_of(BUNDLE.manifest["checks"]["quick"]), "fingerprint": "f"}
    known = robot_state.EnvironmentState(
        name="demo", current=BUNDLE.digest, releases=(BUNDLE.digest,), verified=proof, linked=BUNDLE.digest
    )
    assert found(environments={"demo": known}, disk_free=0, root_writable=True, holder=HOLDER, held=True) == {}


def test_other_environments_that_an_update_broke_are_told_with_the_push_that_repairs_them() -> None:
    printed = robot_state.parse("otto", (CASES / "ot2-updated-since.txt").read_bytes())
    plan = make_plan(OTTO, printed, BUNDLE)
    (said,) = notices(printed, plan, lambda name: f"Run: ot2deploy push {name}")
    assert said.startswith("prefect: release a1a1a1a1a1a1 was made for a Python that a system update removed. Run: ")
    assert said.endswith("ot2deploy push prefect")


def test_what_a_robot_printed_is_enough_to_find_it() -> None:
    printed = robot_state.parse("otto", (CASES / "ot2-held-and-writable.txt").read_bytes())
    findings = examine(OTTO, printed, make_plan(OTTO, printed, BUNDLE))
    assert [finding.code for finding in findings] == ["robot-unsafe", "locked"]
    printed = robot_state.parse("otto", (CASES / "ot2-fresh.txt").read_bytes())
    assert examine(OTTO, printed, make_plan(OTTO, printed, BUNDLE)) == ()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a robot's shell cannot see who has a file open")
def test_a_robot_that_is_held_is_refused_by_a_dry_run_too(workplace_of: Any) -> None:
    place = workplace_of(2)
    place.environment("plates", place.wheel("plates"))
    robot = place.lab.robots["r2"]
    with connect(robot) as session:
        fingerprint = read_state(session, robot, brief=True).fingerprint
        with open_agent(session, robot, run="other", environment="demo", fingerprint=fingerprint):
            for words in (("--dry-run",), ()):
                rows = place.push("plates", *words, status=3)
                assert rows["r1"]["error"] is None
                assert rows["r2"]["error"]["code"] == Locked.code
                assert "(run other)" in rows["r2"]["error"]["why"]
    assert place.lab.current("plates", "r2") is None
    assert place.push("plates")["r2"]["outcome"] == "pushed"


def test_after_an_update_a_push_makes_its_release_anew_and_names_what_else_it_broke(workplace: Any) -> None:
    workplace.environment("plates", workplace.wheel("plates"), checks="- import: plates")
    workplace.environment("racks", workplace.wheel("racks"), checks="- import: racks")
    digest = workplace.push("plates")["plan"]["digest"]
    workplace.push("racks")
    for name in ("plates", "racks"):
        release = (workplace.lab.base() / "envs" / name / "current").resolve()
        for link in (release / "bin").glob("python3.*"):
            link.unlink()
            link.symlink_to("/usr/bin/python3.1")
    row = workplace.push("plates", "--dry-run")
    assert row["plan"]["action"] == "install"
    assert "a system update removed its Python" in row["plan"]["reasons"]
    shown = workplace.run_cli("push", "plates", "--robots", workplace.lab.path).good().out
    assert "r1: racks: release " in shown
    assert "Run: ot2deploy push racks --limit r1 --robots" in shown
    assert workplace.lab.current("plates") == digest
    workplace.push("racks")
    assert workplace.push("plates")["outcome"] == workplace.push("racks")["outcome"] == "no change"
    workplace.run("exec", "-e", "plates", "--", "python3", "-c", "import plates")


def test_a_dry_run_says_that_a_robot_is_busy(workplace: Any) -> None:
    workplace.environment("plates", workplace.wheel("plates"))
    session = workplace.lab.root("r1") / "var/lib/otupdate/downloads/ot2-system.zip"
    session.parent.mkdir(parents=True)
    session.write_bytes(b"PK")
    row = workplace.push("plates", "--dry-run")
    assert (row["outcome"], "busy: a system update was begun" in row["note"]) == ("planned", True)
    assert workplace.push("plates", status=1)["outcome"] == "staged"
    session.unlink()
    assert workplace.push("plates")["outcome"] == "switched"


def test_an_update_that_is_waited_for_is_seen_to_end(workplace: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "INTERVAL", 0.05)
    workplace.environment("plates", workplace.wheel("plates"))
    update = workplace.lab.root("r1") / "var/lib/otupdate/downloads/ot2-system.zip"
    update.parent.mkdir(parents=True)
    update.write_bytes(b"PK")

    def end_it() -> None:
        """Cancels the update when it was looked for twice while the robot was waited for."""
        deadline = time.monotonic() + 60
        while sum("otupdate" in asked for asked in workplace.lab.log()) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        update.unlink()

    with serving(RobotApi()) as api:
        workplace.lab.write(r1={"http_port": api.port, "serial": api.serial})
        ending = threading.Thread(target=end_it)
        ending.start()
        row = workplace.push("plates", "--wait-idle", "5m")
        ending.join()
    assert row["outcome"] == "pushed"
