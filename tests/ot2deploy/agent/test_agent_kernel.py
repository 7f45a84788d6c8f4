"""A kernel in the robot's Jupyter: written whole, started in what is current, gone with its environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ot2deploy.agent import kernel, layout
from ot2deploy.agent import release as releases

# Stands for ipykernel: says where it was started and with what.
LAUNCHER = "import json, os, sys\nprint(json.dumps([sys.prefix, sys.argv[1:], os.environ.get('LAB'), os.getcwd()]))\n"


@pytest.fixture
def jupyter(robot: Any) -> Path:
    """The data directory of a robot's Jupyter."""
    data: Path = robot.root / "var/lib/jupyter/data"
    data.mkdir(parents=True)
    return data


@pytest.fixture
def ipykernel(wheel: Callable[..., Any]) -> Any:
    return wheel("ipykernel", files={"ipykernel_launcher.py": LAUNCHER})


def started(directory: Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """What the kernel prints that Jupyter finds in a directory."""
    argv = [
        word.replace("{connection_file}", "c.json")
        for word in json.loads((directory / "kernel.json").read_text())["argv"]
    ]
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": "/nowhere", **variables}
    return subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=60)


def test_a_kernel_starts_in_what_is_current(
    robot: Any, jupyter: Path, ipykernel: Any, wheel: Callable[..., Any]
) -> None:
    agent = robot.begin()
    first = robot.push(agent, [ipykernel], variables={"LAB": "A"})
    answer = agent.result("kernel", environment="demo")
    directory = jupyter / "kernels" / "ot2deploy-demo"
    assert (answer["changed"], answer["kernel"], answer["path"]) == (
        True,
        "ot2deploy-demo",
        str(directory / "kernel.json"),
    )
    assert json.loads((directory / "kernel.json").read_text())["display_name"] == "demo (ot2deploy)"
    assert not agent.result("kernel", environment="demo")["changed"]
    said = json.loads(started(directory, robot.root).stdout)
    assert said == [str(robot.release(first)), ["-f", "c.json"], "A", str(robot.root)]
    second = robot.push(agent, [ipykernel, wheel("more")], variables={"LAB": "B"})
    assert json.loads(started(directory, robot.root).stdout)[0] == str(robot.release(second))
    agent.result("rollback", environment="demo", to=None)
    assert json.loads(started(directory, robot.root).stdout)[:3:2] == [str(robot.release(first)), "A"]


def test_it_is_readable_by_jupyters_own_user(robot: Any, jupyter: Path, ipykernel: Any) -> None:
    agent = robot.begin()
    manifest = robot.push(agent, [ipykernel])
    agent.result("kernel", environment="demo")
    directory = jupyter / "kernels" / "ot2deploy-demo"
    for path in (directory / "kernel.json", directory / "start.py", robot.release(manifest) / "manifest.json"):
        assert path.stat().st_mode & 0o044 == 0o044
        assert all(parent.stat().st_mode & 0o055 == 0o055 for parent in path.parents if robot.root in parent.parents)


@pytest.mark.parametrize(
    ("packages", "data", "environment", "code"),
    [
        (["demo"], True, "demo", "no-ipykernel"),
        (["ipykernel"], False, "demo", "no-jupyter"),
        (["ipykernel"], True, "other", "not-installed"),
        (["ipykernel"], True, "../demo", "bad-request"),
    ],
)
def test_what_cannot_be_a_kernel_is_refused(
    robot: Any, wheel: Callable[..., Any], ipykernel: Any, packages: list[str], data: bool, environment: str, code: str
) -> None:
    if data:
        (robot.root / "var/lib/jupyter/data").mkdir(parents=True)
    agent = robot.begin()
    robot.push(agent, [ipykernel if name == "ipykernel" else wheel(name) for name in packages])
    assert agent.ask("kernel", environment=environment)["code"] == code
    assert not (robot.root / "var/lib/jupyter/data/kernels").exists()


@pytest.mark.parametrize("how", ["remove", "purge"])
def test_it_goes_with_its_environment_and_others_stay(robot: Any, jupyter: Path, ipykernel: Any, how: str) -> None:
    (jupyter / "kernels" / "theirs").mkdir(parents=True)
    (jupyter / "kernels" / "ot2deploy-of-somebody").mkdir()
    (jupyter / "kernels" / "ot2deploy-of-somebody" / "kernel.json").write_text("{}")
    agent = robot.begin()
    robot.push(agent, [ipykernel])
    agent.result("kernel", environment="demo")
    agent.result(how, **({"environment": "demo"} if how == "remove" else {}))
    assert sorted(path.name for path in (jupyter / "kernels").iterdir()) == ["ot2deploy-of-somebody", "theirs"]


@pytest.mark.parametrize("how", ["remove", "purge"])
def test_the_robot_is_then_as_before(robot: Any, jupyter: Path, ipykernel: Any, how: str) -> None:
    agent = robot.begin()
    robot.push(agent, [ipykernel])
    agent.result("kernel", environment="demo")
    (jupyter / "kernels" / "ot2deploy-demo" / "kernel.json").unlink()  # as a removal that was cut off leaves it
    agent.result(how, **({"environment": "demo"} if how == "remove" else {}))
    assert list(jupyter.iterdir()) == []


def test_without_a_release_it_says_what_to_do(robot: Any, jupyter: Path, ipykernel: Any) -> None:
    agent = robot.begin()
    manifest = robot.push(agent, [ipykernel])
    agent.result("kernel", environment="demo")
    (robot.release(manifest) / "bin" / "python3").unlink()  # as after a system update
    done = started(jupyter / "kernels" / "ot2deploy-demo", robot.root)
    assert (done.returncode, done.stderr) == (
        1,
        "ot2deploy: demo has no release for this robot's Python; push it again\n",
    )


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that other users may enter."""
    directory = Path(tempfile.mkdtemp(prefix="ot2deploy-kernel-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write as somebody else")
def test_links_of_a_notebook_lead_root_nowhere(open_place: Path) -> None:
    """Whoever has a notebook on the robot is user jupyter, to whom Jupyter's directories belong."""
    where = layout.Layout("/var/ot2deploy", str(open_place))
    release = Path(where.release("demo", "a" * 64))
    site = Path(releases.site_packages(str(release)))
    site.mkdir(parents=True)
    (site / "ipykernel_launcher.py").touch()
    Path(where.current("demo")).symlink_to(f"releases/{'a' * 64}")
    data = open_place / "var/lib/jupyter/data"
    (data / "kernels").mkdir(parents=True)
    secret = open_place / "etc"
    secret.mkdir()
    (data / "kernels" / "ot2deploy-demo").symlink_to(secret)
    for path in (data, data / "kernels"):
        os.chown(path, 65534, 65534)
    with pytest.raises(PermissionError):
        kernel.register(where, {"environment": "demo"}, "run", "who")
    assert list(secret.iterdir()) == []
    assert os.geteuid() == 0
    (data / "kernels" / "ot2deploy-demo").unlink()
    assert kernel.register(where, {"environment": "demo"}, "run", "who")["changed"]
    assert (data / "kernels" / "ot2deploy-demo" / "kernel.json").stat().st_uid == 65534
    kernel.remove(where)
    assert list(data.iterdir()) == []
