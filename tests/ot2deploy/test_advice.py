"""What to run next about an environment that a robot has not: known targets, and the robot's own inventory."""

from __future__ import annotations

import pytest

from ot2deploy import advice
from ot2deploy.inventory import Robot
from ot2deploy.project import Project

CHECK = "- import: plates"


@pytest.fixture
def project(tmp_path):
    """A project with one environment, beside the shipped ones."""
    path = tmp_path / "environments" / "racks" / "environment.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("requirements: [racks==1]\n")
    return Project.find(tmp_path)


def test_a_known_target_is_named_with_the_inventory_in_use(project, tmp_path):
    other = Robot(name="otto", address="x", file=tmp_path / "my lab.yaml")
    assert advice.push("racks", other, project) == (
        f"Run: ot2deploy push racks --limit otto --robots '{tmp_path}/my lab.yaml'"
    )
    own = Robot(name="otto", address="x", file=tmp_path / "inventory.yaml")
    assert advice.push("prefect", own, project) == "Run: ot2deploy push prefect --limit otto"


def test_a_name_of_no_target_is_never_one_to_push(project):
    robot = Robot(name="otto", address="x")
    assert advice.push("helpers", robot, project) == advice.PUSH_SOURCE
    assert advice.push("rakcs", robot, project).endswith("Did you mean `racks`?")
    assert advice.push("helpes", robot, project, ["helpers"]) == (
        "Did you mean `helpers`? See what is there: ot2deploy status --limit otto"
    )
    assert advice.push("quite-else", robot, project, ["helpers"]).splitlines() == [
        "See what is there: ot2deploy status --limit otto",
        f"If it was to be there: {advice.PUSH_SOURCE}",
    ]


def test_what_was_pushed_before_is_named_where_its_name_tells_nothing(project):
    robot = Robot(name="otto", address="x")
    said = advice.again("helpers", robot, project, {"helpers": "./my helpers.py"})
    assert said == "Run: ot2deploy push './my helpers.py' --limit otto"
    assert advice.again("racks", robot, project, {"racks": "old.ot2bundle"}) == advice.push("racks", robot, project)
    assert advice.again("helpers", robot, project, {}) == advice.PUSH_SOURCE


def test_what_is_shared_is_pushed_as_that(project):
    robot = Robot(name="otto", address="x")
    assert advice.push("shared", robot, project) == "Run: ot2deploy push --shared --limit otto"
    assert advice.push("shared", robot, project, []) == "Run: ot2deploy push TARGET --shared --limit otto"
    again = advice.again("shared", robot, project, {"shared": "./helpers.py"})
    assert again == "Run: ot2deploy push ./helpers.py --shared --limit otto"
    assert advice.again("shared", robot, project, {}) == "Run: ot2deploy push --shared --limit otto"


@pytest.mark.parametrize("command", ["verify", "rollback"])
def test_verify_and_rollback_say_what_the_robot_has(workplace, command):
    workplace.environment("plates", workplace.wheel("plates"), checks=CHECK)
    error = workplace.run(command, "plates", status=1)["robots"][0]["error"]
    assert error["next"] == f"Run: ot2deploy push plates --limit r1 --robots {workplace.lab.path}"
    assert error["why"] == "On the robot: nothing."
    workplace.push("plates")
    error = workplace.run(command, "plaets", status=1)["robots"][0]["error"]
    assert (error["code"], error["why"]) == ("not-installed", "On the robot: plates.")
    assert error["next"] == (
        f"Did you mean `plates`? See what is there: ot2deploy status --limit r1 --robots {workplace.lab.path}"
    )


def test_exec_says_so_too(workplace):
    workplace.environment("plates", workplace.wheel("plates"), checks=CHECK)
    missing = ("exec", "--robots", workplace.lab.path, "-e")
    ran = workplace.run_cli(*missing, "plates", "--", "python3")
    assert f"Run: ot2deploy push plates --limit r1 --robots {workplace.lab.path}" in ran.err
    workplace.push("plates")
    ran = workplace.run_cli(*missing, "plats", "--", "python3")
    assert ran.status == 127
    assert "On the robot: plates. Did you mean plates?" in ran.err
    assert advice.PUSH_SOURCE in ran.err
