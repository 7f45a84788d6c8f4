"""Pushes to container robots of this machine's architecture: profiles drafted from facts, and early refusals."""

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.network, pytest.mark.slow]

NATIVE = """\
requirements: ["markupsafe==3.0.2", "click==8.1.8"]
as_of: 2025-04-20
checks:
  quick:
    - import: markupsafe._speedups
    - import: click
"""


@pytest.fixture
def native(amd64_lab):
    """The environment `native`, with one extension module."""
    return amd64_lab.environment("native", NATIVE)


def test_the_profile_comes_from_the_robots_own_facts(native, told, amd64_lab):
    rows = told(amd64_lab, "push", native)["robots"]
    assert [row["outcome"] for row in rows] == ["pushed", "pushed"]
    assert {row["plan"]["profile"].partition("-cp311-glibc")[2] for row in rows} == {"2.36"}
    assert {check["ok"] for row in rows for check in row["checks"]} == {True}
    assert [row["outcome"] for row in told(amd64_lab, "push", native)["robots"]] == ["no change"] * 2
    for name in amd64_lab.robots:
        assert not amd64_lab.container(name).diff()


def test_a_full_disk_is_found_before_anything_is_sent(native, told, amd64_lab):
    amd64_lab.run("sim1", "mkdir /var/small")
    amd64_lab.as_host("sim1", "mount", "-t", "tmpfs", "-o", "size=32m", "none", "/var/small")
    try:
        inventory = amd64_lab.changed("small.yaml", sim1={"base": "/var/small/ot2deploy"})
        (row,) = told(amd64_lab, "push", native, "--limit", "sim1", robots=inventory, status=1)["robots"]
        memory, (full,) = row["error"], row["error"]["also"]
        assert (memory["code"], full["code"], row["sent"]) == ("base-unusable", "disk-full", 0)
        assert "ot2deploy robot clean sim1 --robots" in full["next"]
        assert amd64_lab.run("sim1", "ls -A /var/small") == ""
    finally:
        amd64_lab.as_host("sim1", "umount", "/var/small")
        amd64_lab.run("sim1", "rmdir /var/small")


def test_a_root_that_somebody_remounted_writable_is_refused(native, told, amd64_lab):
    inventory = amd64_lab.changed("fresh.yaml", sim2={"base": "/var/fresh"})
    push = ("push", native, "--limit", "sim2")
    amd64_lab.as_host("sim2", "mount", "-o", "remount,rw", "/")
    try:
        (row,) = told(amd64_lab, *push, robots=inventory, status=1)["robots"]
        assert (row["error"]["code"], row["sent"]) == ("robot-unsafe", 0)
        assert "mount -o remount,ro /" in row["error"]["next"]
        assert amd64_lab.run("sim2", "ls -A /var/fresh 2>/dev/null || echo nothing") == "nothing\n"
    finally:
        amd64_lab.as_host("sim2", "mount", "-o", "remount,ro", "/")
    (row,) = told(amd64_lab, *push, robots=inventory)["robots"]
    assert row["outcome"] == "pushed"
    amd64_lab.run("sim2", "rm -r /var/fresh")
