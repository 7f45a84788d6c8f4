"""Robots that cannot be served and input that cannot be right: one clear error each, and the others go on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from builder.checks.facts import facts
from ot2deploy.sim import embedded

CHECK = "- import: plates"
OLD = """#!/bin/sh
cat > /dev/null
echo 'FACTS'
"""


@pytest.fixture
def two(workplace_of):
    """A workplace with two robots and an environment."""
    workplace = workplace_of(2)
    workplace.environment("plates", workplace.wheel("plates"), checks=CHECK)
    return workplace


def refused(workplace, code, *words):
    """Pushes to a good robot r1 and a bad one r2, which must fail with this code; gives its error."""
    rows = workplace.push("plates", *words, status=3)
    assert rows["r1"]["outcome"] in ("pushed", "no change")
    assert (rows["r2"]["outcome"], rows["r2"]["error"]["code"]) == ("failed", code)
    assert rows["r2"]["error"]["subject"] == "r2"
    assert workplace.lab.current("plates", "r2") is None
    return rows["r2"]["error"]


def test_a_robot_that_does_not_answer(two):
    two.lab.stop("r2")
    error = refused(two, "unreachable")
    assert f"127.0.0.1:{two.lab.servers['r2'].port}" in error["what"]
    assert error["why"]
    assert error["next"]
    shown = two.run_cli("push", "plates", "--robots", two.lab.path)
    assert shown.status == 3
    assert "r2: no SSH answer" in shown.out
    assert "2 robots: 1 as wanted, 1 failed" in shown.out
    assert "Traceback" not in shown.out + shown.err


def test_a_key_that_the_robot_does_not_know(two):
    embedded.new_key_pair(two.directory / "other")
    two.lab.write(r2={"identity_file": two.directory / "other"})
    assert "key refused" in refused(two, "auth-refused")["what"]


def test_an_unknown_host_key_and_both_ways_to_trust_it(two):
    known = two.lab.servers["r2"].host_key
    two.lab.write(r2={"host_key": None})
    two.lab.path.write_text("# our fleet\n" + two.lab.path.read_text())
    error = refused(two, "host-key-unknown")
    fix = error["next"].removeprefix("Run: ").split()
    assert two.lab.log("r2").count("connection") == len(two.lab.log("r2")), "nothing was sent"
    two.run_cli(*fix[1:]).good()
    assert two.lab.path.read_text().startswith("# our fleet\n")
    assert two.lab.robots["r2"].host_key == known
    assert two.push("plates")["r2"]["outcome"] == "pushed"
    two.lab.write(r1={"host_key": None})
    two.lab.path.write_text("# our fleet\n" + two.lab.path.read_text())
    two.push("plates", "--trust-on-first-use")
    assert two.lab.robots["r1"].host_key == two.lab.servers["r1"].host_key
    assert two.lab.path.read_text().startswith("# our fleet\n")


def test_a_host_key_that_changed_stops_everything_for_that_robot(two):
    two.lab.write(r2={"host_key": two.lab.servers["r1"].host_key})
    for words in ((), ("--trust-on-first-use",)):
        error = refused(two, "host-key-changed", *words)
        assert "Nothing was sent" in error["why"]
        assert "--replace" in error["next"]
    assert set(two.lab.log("r2")) == {"connection"}


def test_a_profile_that_nobody_knows(two):
    two.lab.write(r2={"profile": "ot2-py31O"})
    error = refused(two, "usage")
    assert "ot2-py31O" in error["what"]
    assert "ot2-py310" in error["why"] + error["next"] + error["what"]


def test_a_profile_that_the_robot_has_not(two):
    two.lab.write(r2={"profile": "ot2-py310"})
    assert "the inventory says ot2-py310" in refused(two, "robot-unsupported")["what"]


@pytest.mark.parametrize("real", [True, False], ids=["real", "imitated"])
def test_a_robot_with_an_old_python(two, real):
    python = two.lab.root("r2") / "usr" / "bin" / "python3"
    python.unlink()
    if real:
        python.symlink_to(interpreter("3.7"))
    else:
        python.write_text(OLD.replace("FACTS", json.dumps({**facts(), "python": "3.7", "full_version": "3.7.1"})))
        python.chmod(0o755)
    error = refused(two, "robot-unsupported")
    assert error["what"].startswith("it runs Python 3.7.")
    assert "Update the robot's software" in error["next"]


def interpreter(version: str) -> Path:
    """An interpreter of another version that really starts: on PATH, of pyenv, or of uv."""
    candidates = [shutil.which(f"python{version}")]
    for variable, pattern in (("PYENV_ROOT", "versions/*/bin"), ("UV_PYTHON_INSTALL_DIR", "*/bin")):
        candidates += map(str, Path(os.environ[variable]).glob(f"{pattern}/python{version}"))
    for path in filter(None, candidates):
        if subprocess.run([path, "-I", "-c", ""], capture_output=True, timeout=60).returncode == 0:
            return Path(path)
    pytest.skip(f"no Python {version} here")


def test_robots_of_different_pythons_get_one_lock_and_a_bundle_each(workplace_of):
    others = {f"r{number}": interpreter(version) for number, version in ((2, "3.12"), (3, "3.13"))}
    workplace = workplace_of(3, pythons=others)
    own = "cp%d%d" % sys.version_info[:2]
    wheels = [workplace.wheel("plates"), workplace.wheel("native", tag=f"{own}.cp312-none-any")]
    workplace.environment("plates", *wheels, checks=CHECK)
    rows = workplace.push("plates", status=3)
    assert [rows[name]["outcome"] for name in ("r1", "r2", "r3")] == ["pushed", "pushed", "failed"]
    profiles = {rows[name]["plan"]["profile"] for name in ("r1", "r2")}
    assert len(profiles) == len({rows[name]["plan"]["digest"] for name in ("r1", "r2")}) == 2
    assert len(list((workplace.directory / ".ot2deploy" / "locks").iterdir())) == 1
    error = rows["r3"]["error"]
    assert "native" in error["subject"] + error["what"]
    assert "cp313" in str(error)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("robots:\n  r1:\n    adress: x\n", 3, "did you mean `address`?"),
        ("robots:\n  r1:\n    port: many\n", 3, "port"),
        ("robots:\n  r1: {address: x}\n  r1: {address: y}\n", 3, "r1"),
        ("robots: [\n", 2, ""),
    ],
)
def test_a_wrong_inventory_is_told_with_its_lines(run_cli, tmp_path, text, line, says):
    path = tmp_path / "lab.yaml"
    path.write_text(text)
    ran = run_cli("push", "prefect", "--robots", path)
    assert ran.status == 2
    assert f"{path}:{line}" in ran.err
    assert says in ran.err
    assert "Traceback" not in ran.err


def test_no_inventory_and_no_such_robot(two, run_cli, tmp_path):
    ran = run_cli("push", "plates", "--robots", tmp_path / "none.yaml", "--json")
    assert (ran.status, ran.document["error"]["code"]) == (2, "no-inventory")
    error = two.run("push", "plates", "--limit", "r7", status=2)
    assert error["code"] == "no-such-robot"
    assert "r1, r2" in error["next"]


def test_a_working_directory_that_is_gone_is_one_clear_error(tmp_path):
    gone = tmp_path / "gone"
    script = f"mkdir '{gone}'; cd '{gone}'; rmdir '{gone}'; exec '{sys.executable}' -m ot2deploy "
    for words in ("status", "push prefect --robots lab.yaml", "env list --json"):
        done = subprocess.run(
            ["sh", "-c", script + words], capture_output=True, text=True, timeout=60,
            env={**os.environ, "PYTHONPATH": str(Path(embedded.__file__).parents[2])},
        )  # fmt: skip
        assert done.returncode == 2, done.stdout + done.stderr
        assert "the working directory is gone" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_without_a_project_state_is_kept_elsewhere_and_nothing_is_left_here(workplace, monkeypatch):
    elsewhere = workplace.directory / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "helpers.py").write_text("VALUE = 1\n")
    monkeypatch.chdir(elsewhere)
    assert workplace.push("./helpers.py")["outcome"] == "pushed"
    assert [path.name for path in elsewhere.iterdir()] == ["helpers.py"]
    assert workplace.push("./helpers.py")["outcome"] == "no change"


def test_two_projects_and_one_robot(workplace):
    workplace.environment("plates", workplace.wheel("plates"), checks=CHECK)
    workplace.push("plates")
    other = workplace.directory / "second"
    (other / "environments" / "racks").mkdir(parents=True)
    (other / "environments" / "racks" / "environment.yaml").write_text(
        f"requirements:\n  - {workplace.wheel('racks')}\n"
    )
    assert workplace.push("racks", "--project", other)["outcome"] == "pushed"
    assert workplace.lab.current("plates")
    assert workplace.lab.current("racks")
    assert "plates" in workplace.run("push", "plates", "--project", other, status=2)["what"]
