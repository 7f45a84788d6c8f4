"""What protocols get is asked of the robot's own analysis, which really imports it."""

from __future__ import annotations

import json
import re

import pytest

from ot2deploy.verify_protocol import Target, judge, protocol

RELEASES = "/var/ot2deploy/envs/shared/releases"
TARGET = Target(
    environment="shared", digest="aa", release=f"{RELEASES}/aa", modules=("plates",), versions={"plates": "1.0"}
)


@pytest.fixture
def shared(machine, workplace_of):
    """A workplace whose robot shares `plates` with protocols."""
    workplace = workplace_of(http_port=machine.port)
    machine.lab = workplace.lab
    workplace.environment("plates", workplace.wheel("plates", "1.5"))
    workplace.push("plates", "--shared")
    return workplace


def links(workplace):
    """The directory of the robot in which protocols find what is shared."""
    (found,) = workplace.lab.root("r1").glob("var/user-packages/usr/lib/python*/site-packages")
    return found


def verified(workplace, status=0, environment="shared"):
    (row,) = workplace.run("verify", environment, "--protocol", status=status)["robots"]
    return row


def test_protocols_get_what_is_shared(shared, machine):
    (check,) = verified(shared)["result"]["checks"]
    assert (check["name"], check["ok"], check["version"]) == ("import plates", True, "1.5")
    assert f"/releases/{shared.lab.current('shared')}/lib/" in check["file"]
    assert machine.api.protocols == {}  # nothing of ours stays in the App's list


def test_a_module_that_protocols_do_not_get_is_told(shared):
    (links(shared) / "plates.py").unlink()
    row = verified(shared, status=1)
    assert "ModuleNotFoundError" in row["error"]["what"]


def test_a_module_of_the_system_that_wins_is_told(shared):
    (system,) = shared.lab.root("r1").glob("usr/lib/python*/site-packages")
    (system / "plates.py").write_text("VALUE = 0\n")  # as a system update may bring it
    row = verified(shared, status=1)
    assert f"protocols get it from {system.resolve()}/plates.py" in row["error"]["what"]


def test_an_isolated_environment_is_not_for_protocols(machine, workplace_of):
    workplace = workplace_of(http_port=machine.port)
    workplace.environment("plates", workplace.wheel("plates"))
    workplace.push("plates")
    error = verified(workplace, status=1, environment="plates")["error"]
    assert "isolated" in error["what"]
    assert "--shared" in error["next"]


def test_another_robot_behind_the_http_port_is_asked_nothing(shared, machine):
    machine.serial = "OT2SIMother"
    assert verified(shared, status=1)["error"]["code"] == "another-robot"
    assert machine.api.protocols == {}


def test_a_robot_that_runs_a_protocol_is_left_alone(shared, machine):
    machine.runs = [{"id": "run-1", "status": "running", "current": True}]
    error = verified(shared, status=1)["error"]
    assert (error["code"], "run-1 is running" in error["what"]) == ("busy", True)
    assert machine.api.protocols == {}


def test_an_api_that_does_not_answer_is_told(shared, machine):
    machine.api.down = True
    error = verified(shared, status=1)["error"]
    assert error["code"] == "robot-api"
    assert "robot find r1" in error["next"]


def test_a_manifest_that_is_none_is_told(shared):
    path = shared.lab.base() / "envs/shared/current/manifest.json"
    good = json.loads(path.read_text())
    for change in ({"wheels": [{}]}, {"wheels": 5}, {"checks": {"live": [{"kind": "import"}]}}):
        path.write_text(json.dumps({**good, **change}))
        assert "is damaged" in verified(shared, status=1)["error"]["why"]


def test_it_goes_with_no_other_kind_of_check(workplace):
    assert "--deep" in workplace.run("verify", "plates", "--protocol", "--deep", status=2)["what"]


def test_every_protocol_is_another_file():
    """A robot keeps the analysis of a file that it has seen."""
    assert protocol(["a"]) != protocol(["a"])
    assert not re.search("@[a-z]+@", protocol(["a"]))
    compile(protocol(["a"]), "protocol.py", "exec")


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({"file": f"{RELEASES}/aa/lib/plates.py"}, ""),
        ({"file": f"{RELEASES}/bb/lib/plates.py"}, "from release bb: the robot server keeps"),
        ({"file": f"{RELEASES}/aab/lib/plates.py"}, "from release aab"),
        ({"file": ""}, "the interpreter itself"),
        ({"error": "ImportError: no"}, "ImportError: no"),
    ],
)
def test_where_a_module_came_from_decides(found, why):
    (result,) = judge(TARGET, ["ot2deploy " + json.dumps({"module": "plates", **found})], [])
    assert result["ok"] == (not why)
    assert why in result["why"]


@pytest.mark.parametrize(
    "comments", [[], ["ot2deploy {"], ["something else"], ["ot2deploy []"], ['ot2deploy {"module": []}']]
)
def test_a_protocol_that_says_nothing_has_failed(comments):
    (result,) = judge(TARGET, comments, ["SyntaxError: bad"])
    assert (result["ok"], result["why"]) == (False, "SyntaxError: bad")
