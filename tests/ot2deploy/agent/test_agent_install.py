"""Releases made by the robot's own pip: what is in them, what they see, and how an installation fails."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ot2deploy.agent.release import site_packages


def run_in(release: Path, code: str, *options: str) -> str:
    """The output of a program in a release's interpreter."""
    argv = [str(release / "bin/python3"), *options, "-c", code]
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60, env={}).stdout.strip()


def rich_wheels(wheel: Callable[..., Any]) -> list[Any]:
    """Wheels with everything that a wheel may bring."""
    return [
        wheel("first", files={"shared/one.py": "X = 1\n", "first.py": "def main(): print('first runs')\n"},
              scripts={"first": "first:main"}),
        wheel("second", "2.1", files={
            "shared/two.py": "X = 2\n",
            "second.py": "",
            "template.py": "{% not python %}\n",
            "second-2.1.data/data/share/second/file.txt": "data\n",
            "second-2.1.data/scripts/tool": "#!python\nprint('tool runs')\n",
            "second-2.1.data/headers/second.h": "/* */\n",
            "second_path.pth": "second_extra\n",
            "second_extra/extra_module.py": "X = 3\n",
        }),
    ]  # fmt: skip


def test_release_is_a_whole_virtual_environment(robot: Any, wheel: Callable[..., Any]) -> None:
    agent = robot.begin()
    manifest = robot.install(agent, rich_wheels(wheel))
    release = robot.release(manifest)
    site = Path(site_packages(str(release)))
    code = "import shared.one, shared.two, extra_module, sys; print(shared.one.X, shared.two.X, extra_module.X)"
    assert run_in(release, code) == "1 2 3"
    assert run_in(release, code, "-I") == "1 2 3"
    assert run_in(release, "import sys; print(sys.prefix)") == str(release)
    for script, text in (("first", "first runs"), ("tool", "tool runs")):
        output = subprocess.run([release / "bin" / script], capture_output=True, text=True, timeout=60, env={})
        assert output.stdout == text + "\n"
    assert (release / "share/second/file.txt").read_text() == "data\n"
    record = (site / "second-2.1.dist-info/RECORD").read_text()
    assert "../../../bin/tool,sha256=" in record
    assert "../../../share/second/file.txt,sha256=" in record
    assert stat.S_IMODE((release / "bin/tool").stat().st_mode) == 0o755
    assert not list(site.rglob("direct_url.json"))
    assert (site / "second-2.1.dist-info/INSTALLER").read_text().strip() == "pip"
    assert json.loads((release / "manifest.json").read_text()) == {**manifest, "install_method": "pip"}
    assert json.loads((release / "complete").read_text()) == {"schema": 1}


def test_release_does_not_see_the_robots_packages(robot: Any, wheel: Callable[..., Any]) -> None:
    release = robot.release(robot.install(robot.begin(), rich_wheels(wheel)))
    found = "import importlib.util; print(importlib.util.find_spec('pip'))"
    assert run_in(release, found) == "None"


def test_system_packages_are_seen_when_asked_for(robot: Any, wheel: Callable[..., Any]) -> None:
    (robot.site / "robots_own.py").write_text("")
    (robot.site / "user.pth").write_text("user_packages\n")
    (robot.site / "user_packages").mkdir()
    (robot.site / "user_packages/users_own.py").write_text("")
    (robot.site / "demo.py").write_text("__version__ = 'the robot has'\n")
    release = robot.release(robot.install(robot.begin(), [wheel()], system_packages=True))
    assert run_in(release, "import robots_own, users_own, demo; print(demo.__version__)") == "1.0"
    assert "include-system-site-packages = true" in (release / "pyvenv.cfg").read_text()


def test_bytecode_is_unchecked_and_everywhere(robot: Any, wheel: Callable[..., Any]) -> None:
    site = Path(site_packages(str(robot.release(robot.install(robot.begin(), rich_wheels(wheel))))))
    compiled = {path.name.split(".")[0]: path.read_bytes()[4:8] for path in site.rglob("*.pyc")}
    assert set(compiled) == {"one", "two", "first", "second", "extra_module"}  # all but the template
    assert set(compiled.values()) == {b"\x01\x00\x00\x00"}


def test_the_same_release_is_not_made_twice(robot: Any, wheel: Callable[..., Any]) -> None:
    agent = robot.begin()
    manifest = robot.install(agent, [wheel()])
    marker = robot.release(manifest) / "complete"
    made = marker.stat().st_mtime_ns
    checks = {"quick": [{"kind": "import", "name": "demo", "module": "demo", "timeout": 9}], "deep": []}
    again = {**manifest, "checks": checks}
    assert agent.result("install", manifest=again, method="pip", packs=[])["reused"] is True
    assert marker.stat().st_mtime_ns == made
    kept = json.loads((robot.release(manifest) / "manifest.json").read_text())
    assert (kept["checks"], kept["install_method"]) == (checks, "pip")


def test_an_incomplete_release_is_made_anew(robot: Any, wheel: Callable[..., Any]) -> None:
    agent = robot.begin()
    manifest = robot.install(agent, [wheel()])
    (robot.release(manifest) / "complete").unlink()
    (robot.release(manifest) / "bin/leftover").write_text("")
    assert agent.result("install", manifest=manifest, method="pip", packs=[])["reused"] is False
    assert not (robot.release(manifest) / "bin/leftover").exists()


def test_pip_failing_is_told_with_its_words_and_leaves_nothing(
    robot: Any, wheel: Callable[..., Any], manifest_of: Callable[..., Any]
) -> None:
    broken = wheel(files={"demo.py": "", "demo-1.0.dist-info/WHEEL": "Wheel-Version: 9.0\nTag: py3-none-any\n"})
    agent = robot.begin()
    robot.send(agent, broken)
    manifest = manifest_of([broken])
    error = agent.ask("install", manifest=manifest, method="pip", packs=[])
    assert error["code"] == "install-failed"
    assert any("9.0" in line for line in error["details"]), error
    assert not robot.release(manifest).exists()


def test_a_robot_without_pip_is_told_about_the_other_way(
    robot: Any, wheel: Callable[..., Any], manifest_of: Callable[..., Any]
) -> None:
    for entry in robot.site.iterdir():
        entry.unlink()
    agent = robot.begin()
    made = wheel()
    robot.send(agent, made)
    error = agent.ask("install", manifest=manifest_of([made]), method="pip", packs=[])
    assert error["code"] == "no-pip"
    assert "--install-method tree" in error["next"]


def test_a_pip_without_sources_works(robot: Any, wheel: Callable[..., Any], pip_directory: Path) -> None:
    for entry in robot.site.iterdir():
        entry.unlink()
    shutil.copytree(pip_directory, robot.site, dirs_exist_ok=True)
    code = "import compileall, sys; compileall.compile_dir(sys.argv[1], quiet=2, legacy=True)"
    subprocess.run([sys.executable, "-c", code, str(robot.site)], check=True, timeout=120)
    for source in robot.site.rglob("*.py"):
        source.unlink()
    release = robot.release(robot.install(robot.begin(), rich_wheels(wheel)))
    assert run_in(release, "import second; print('in')") == "in"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"digest": "1" * 64}, "bad-request"),
        ({"variables": {"A": "changed after the digest"}}, "bad-request"),
        ({"variables": {"A-B": "x"}}, "bad-request"),
        ({"schema": 2}, "bad-request"),
        ({"environment": "../up"}, "bad-request"),
        ({"wheels": [{"filename": "../../x.whl", "sha256": "0" * 64}]}, "bad-request"),
        ({"profile": {"python": "3.4"}}, "wrong-python"),
    ],
)
def test_a_manifest_that_cannot_be_right_is_refused(
    robot: Any, manifest_of: Callable[..., Any], change: dict[str, Any], code: str
) -> None:
    manifest = {**manifest_of([]), **change}
    assert robot.begin().ask("install", manifest=manifest, method="pip", packs=[])["code"] == code
    assert not (robot.base / "envs").exists()
