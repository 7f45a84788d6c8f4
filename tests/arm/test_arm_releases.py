"""Releases on 32-bit ARM: a failed check changes nothing, rollback, reboots, and pushes that were interrupted."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from builder.places import shipped
from ot2deploy.sim import lab

pytestmark = [pytest.mark.arm, pytest.mark.network, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
SWITCH = (shipped("environments") / "prefect" / "checks" / "greenlet_switch.py").read_text()
STACKS = """\
requirements: ["greenlet=={version}"]
as_of: 2025-04-20
variables: {{ROUND: "{round}"}}
checks:
  quick:
    - program: switch.py
"""
# Compiled so, greenlet imports and then crashes in its first switch on 32-bit ARM.
UNSUITED = '''\
"""greenlet as a compiler makes it that was told nothing about its assembly."""

from builder import package_build

package_build.build_package(cflags=["-O2"], native=["greenlet/_greenlet*.so"], reason="A wheel that fails its check.")
'''
SEVERAL = """\
requirements: [{names}]
as_of: 2025-04-20
checks:
  quick:
    - import: packaging.version
"""


@pytest.fixture
def stacks(arm_lab):
    """Writes the environment `stacks` with some greenlet; its name."""

    def write(version="3.1.1", round=1):
        text = STACKS.format(version=version, round=round)
        return arm_lab.environment("stacks", text, **{"switch.py": SWITCH})

    return write


@pytest.fixture
def current(told, arm_lab):
    """What `status` tells of an environment on sim2."""

    def ask(name):
        (row,) = told(arm_lab, "status", "--limit", "sim2")["robots"]
        return row["result"]["environments"].get(name)

    return ask


def test_a_release_that_fails_its_check_changes_nothing_and_rollback_goes_back(stacks, told, arm_lab, current):
    on = ("--limit", "sim2")
    (first,) = told(arm_lab, "push", stacks(), *on)["robots"]
    (second,) = told(arm_lab, "push", stacks(round=2), *on)["robots"]
    assert (first["outcome"], second["outcome"], second["sent"]) == ("pushed", "pushed", 0)

    recipe = arm_lab.project.root / "package" / "greenlet" / "3.1.0" / "build.py"
    recipe.parent.mkdir(parents=True)
    recipe.write_text(UNSUITED)
    (bad,) = told(arm_lab, "push", stacks("3.1.0"), *on, status=1)["robots"]
    assert (bad["outcome"], bad["error"]["code"]) == ("failed", "check-failed")
    assert "check `switch` failed: ended by SIGSEGV (invalid memory access" in bad["error"]["what"]
    assert "what was current stays so" in bad["error"]["why"]
    assert current("stacks")["current"] == second["plan"]["digest"]

    (back,) = told(arm_lab, "rollback", "stacks", *on)["robots"]
    went = back["result"]
    assert (went["current"], went["previous"]) == (first["plan"]["digest"], second["plan"]["digest"])
    (again,) = told(arm_lab, "push", stacks(round=2), *on)["robots"]
    assert (again["outcome"], again["sent"]) == ("switched", 0)

    lab.restart(arm_lab.project, "sim2")
    assert current("stacks")["current"] == second["plan"]["digest"]
    (verified,) = told(arm_lab, "verify", "stacks", *on)["robots"]
    assert [check["ok"] for check in verified["result"]["checks"]] == [True]


@pytest.mark.parametrize("event", ["the robot restarts", "ot2deploy is killed"])
def test_an_interrupted_push_leaves_the_current_release_and_the_next_one_finishes(event, told, arm_lab, current):
    name = "killed" if "killed" in event else "restarted"
    on = ("--limit", "sim2")
    arm_lab.environment(name, SEVERAL.format(names='"packaging==24.2"'))
    (before,) = told(arm_lab, "push", name, *on)["robots"]
    arm_lab.environment(name, SEVERAL.format(names='"packaging==24.2", "rich==14.0.0", "click==8.1.8"'))

    words = ("push", name, *on, "--project", arm_lab.project.root, "--robots", arm_lab.inventory)
    push = subprocess.Popen(
        [sys.executable, "-m", "ot2deploy", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with push:
        assert any(line.startswith("sim2: install") for line in push.stderr), "it ended before its install began"
        if name == "killed":
            push.send_signal(signal.SIGKILL)
        else:
            lab.restart(arm_lab.project, "sim2")
        push.communicate(timeout=180)  # after a restart it may have finished on a second connection

    kept = current(name)
    assert before["plan"]["digest"] in kept["releases"]
    assert kept["current"] in kept["releases"]
    (row,) = told(arm_lab, "push", name, *on)["robots"]
    assert row["error"] is None
    after = current(name)
    assert after["current"] == row["plan"]["digest"] != before["plan"]["digest"]
    assert set(after["releases"]) == {before["plan"]["digest"], row["plan"]["digest"]}
    left = arm_lab.run("sim2", f"ls /var/ot2deploy/envs/{name}/releases; cat /var/ot2deploy/lock").split()
    assert sorted(left) == sorted(after["releases"])
