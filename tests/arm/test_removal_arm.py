"""An ARM robot after a purge is as it was before the first push; its packages are told by its own Python."""

import pytest

from ot2deploy import inventory
from ot2deploy.agent_host.client import open_agent
from ot2deploy.transport.ssh import connect

pytestmark = [pytest.mark.arm, pytest.mark.network]

PURE = """\
requirements: ["click==8.1.8"]
as_of: 2025-04-20
checks:
  quick:
    - import: click
"""
# Name, kind and mode of everything, and the bytes of files; what the system itself writes to all the time is left out.
TREE = "find /var /etc ! -path '/var/log*' ! -path '/var/run*' -exec ls -lnd {} + | awk '{print $1, $9, $10, $11}'"
BYTES = "find /var /etc -type f ! -path '/var/log*' ! -path '/var/run*' -exec sha256sum {} +"


@pytest.fixture
def robots(arm_lab):
    """The inventory, in which sim2 has a base directory of its own."""
    return arm_lab.changed("purged.yaml", sim2={"base": "/var/purged"})


@pytest.fixture
def asked(run_cli, shared_cache, arm_lab, robots):
    """Runs a command with --json on these robots; its result."""

    def run(*words):
        ran = run_cli(*words, "--project", arm_lab.project.root, "--robots", robots, "--json")
        return ran.good().document["result"]

    return run


def test_a_purge_leaves_an_arm_robot_as_it_was(asked, arm_lab):
    name = arm_lab.environment("purged", PURE)
    before = [sorted(arm_lab.run("sim2", command).splitlines()) for command in (TREE, BYTES)]
    assert asked("push", name, "--limit", "sim2")["robots"][0]["outcome"] == "pushed"
    (click,) = asked("robot", "packages", "sim2", "--name", "click")["packages"]
    assert (click["version"], click["used_by"]) == ("8.1.8", ["purged"])
    assert asked("history", "--robot", "sim2")["lines"][-1]["op"] == "switch"
    assert len(asked("robot", "logs", "sim2")["journal"]) == 1
    assert asked("robot", "purge", "sim2", "--yes")["robots"][0]["result"]["left"] == []
    after = [sorted(arm_lab.run("sim2", command).splitlines()) for command in (TREE, BYTES)]
    assert after == before


def test_the_holder_of_a_lock_is_found_and_ended_under_emulation(asked, robots):
    robot = inventory.load(robots).robots["sim2"]
    with connect(robot) as session, open_agent(session, robot, run="held", environment=None, fingerprint="f"):
        (row,) = asked("robot", "unlock", "sim2", "--force")["robots"]
        assert (row["result"]["state"], row["result"]["holder"]["run"]) == ("ended", "held")
    assert asked("robot", "unlock", "sim2")["robots"][0]["result"]["state"] == "free"
    asked("robot", "purge", "sim2", "--yes")
