"""Finding the project directory and what it offers."""

import subprocess
import sys

import pytest

from builder import places
from builder.errors import UsageFailure
from ot2deploy.project import Project


@pytest.mark.parametrize("marker", ["inventory.yaml", "environments", "package", "packages"])
def test_the_nearest_directory_with_a_marker_is_the_project(tmp_path, marker):
    lab, below = tmp_path / "lab", tmp_path / "lab" / "a" / "b"
    below.mkdir(parents=True)
    if marker.endswith(".yaml"):
        (lab / marker).touch()
    else:
        (lab / marker).mkdir()
    project = Project.find(below)
    assert project.root == lab
    assert project.is_project
    assert project.state_dir == lab / ".ot2deploy"
    assert project.inventory == lab / "inventory.yaml"


def test_own_directories_come_before_the_shipped_ones(tmp_path):
    for name in ("environments", "package", "packages"):
        (tmp_path / name).mkdir()
    project = Project.find(tmp_path)
    assert project.environments == (tmp_path / "environments", places.shipped("environments"))
    assert project.packages == (tmp_path / "package", tmp_path / "packages", places.shipped("package"))


def test_without_a_project_the_state_lives_in_the_users_state_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    project = Project.find(here)
    assert not project.is_project
    assert project.root == here
    assert project.state_dir.is_relative_to(tmp_path / "state" / "ot2deploy")
    assert project.state_dir != Project.find(there).state_dir
    assert not project.state_dir.exists()


def test_in_the_checkout_the_shipped_directories_are_named_once():
    checkout = places.shipped("environments").parent
    project = Project.find(checkout)
    assert len(project.environments) == len(set(project.environments))


def test_a_file_is_no_directory(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageFailure):
        Project.find(tmp_path / "file")


def test_importing_it_is_light():
    heavy = "{'fabric', 'paramiko', 'ruamel', 'requests', 'rich', 'pydantic'}"
    code = f"import sys, ot2deploy.project; print({heavy} & {{name.split('.')[0] for name in sys.modules}})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
