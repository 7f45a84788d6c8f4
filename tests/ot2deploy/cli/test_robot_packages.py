"""`ot2deploy robot packages` and `robot freeze`: three layers, who wins, and a file that can be pushed."""

from __future__ import annotations

import json
import sys

import pytest

from builder import environment_file

PYTHON = f"python{sys.version_info[0]}.{sys.version_info[1]}"


class Bench:
    """A robot on which packages are put by hand."""

    def __init__(self, workplace):
        self.workplace, self.root = workplace, workplace.lab.root("r1")
        self.system = self.root / "usr/lib" / PYTHON / "site-packages"
        self.hand = self.root / "var/user-packages/usr/lib" / PYTHON / "site-packages"
        self.hand.mkdir(parents=True)
        (self.system / "user-packages.pth").write_text(f"{self.hand}\n")

    def put(self, where, name, version, direct_url=None):
        info = where / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: no\n")
        (info / "RECORD").write_text(f"{name}.py,,\n{name}-{version}.dist-info/METADATA,,\n")
        (where / f"{name}.py").write_text("")
        if direct_url is not None:
            (info / "direct_url.json").write_text(json.dumps(direct_url))

    def places(self, name):
        told = self.workplace.run("robot", "packages", "r1", "--name", name)["packages"]
        return [(one["version"], one["layer"], one["environment"], one["used_by"]) for one in told]

    def freeze(self, *words, status=0):
        ran = self.workplace.run_cli("robot", "freeze", "r1", "--robots", self.workplace.lab.path, *words)
        assert ran.status == status, ran.out + ran.err
        return ran.out if status == 0 else ran.err


@pytest.fixture
def bench(workplace):
    return Bench(workplace)


def files(root):
    return {path.relative_to(root) for path in root.rglob("*")}


def test_each_layer_is_told_and_who_gets_which(bench):
    bench.put(bench.system, "numpy", "1.21.6")
    bench.put(bench.hand, "NumPy", "1.26.4")
    bench.put(bench.hand, "plates", "0.9")
    for name, more in (("lab", ""), ("open", "system_packages: true")):
        bench.workplace.environment(name, bench.workplace.wheel("plates"), more=more)
        bench.workplace.push(name)
    assert bench.places("numpy") == [("1.21.6", "system", None, ["protocols", "open"]), ("1.26.4", "by hand", None, [])]
    assert bench.places("Plates") == [
        ("0.9", "by hand", None, ["protocols"]),
        ("1.0", "environment", "lab", ["lab"]),
        ("1.0", "environment", "open", ["open"]),
    ]
    shown = bench.workplace.run_cli("robot", "packages", "r1", "--robots", bench.workplace.lab.path).good().out
    assert "environment lab" in shown
    assert "file://" not in shown, "the blobs that we gave to pip are no source"


def test_looking_leaves_nothing_on_the_robot(bench):
    before = files(bench.root)
    assert bench.places("no-such-package") == []
    assert bench.workplace.run("robot", "packages", "r1")["packages"], "it has pip"
    assert files(bench.root) == before


def test_a_frozen_robot_is_an_environment_that_can_be_read(bench, tmp_path):
    bench.put(bench.system, "numpy", "1.21.6")
    bench.put(bench.hand, "numpy", "1.26.4")
    bench.put(bench.hand, "requests", "2.31.0")
    bench.put(bench.hand, "helper", "1.0", {"url": "file:///root/helper", "dir_info": {"editable": True}})
    commit = {"url": "https://ada:secret@git.example/x.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}
    bench.put(bench.hand, "ours", "3", commit)
    bench.put(bench.hand, "patched", "1.0+lab")
    bench.put(bench.hand, "ancient", "2004d-beta")
    (bench.hand / "linked.egg-link").write_text("/root/linked\n.")
    (bench.hand / "loose.py").write_text("")
    (bench.hand / "__pycache__").mkdir()
    (bench.hand / "__pycache__/loose.cpython-310.pyc").write_text("")
    old = bench.hand.parents[1] / "python3.7/site-packages"
    bench.put(old, "oldpkg", "1.0")
    text = bench.freeze()
    path = tmp_path / "environments" / "frozen" / "environment.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert environment_file.load(path).requirements == ("numpy==1.26.4", "requests==2.31.0")
    assert environment_file.load(path).python == f"{sys.version_info[0]}.{sys.version_info[1]}"
    comments = [line.strip() for line in text.splitlines() if "# left out" in line]
    assert len(comments) == 7
    assert "# left out: helper 1.0: from file:///root/helper (editable), not from an index" in comments
    assert "# left out: ours 3: from https://git.example/x.git at abc, not from an index" in comments
    assert "numpy==1.26.4  # not used there" in text
    assert "secret" not in text


def test_names_that_a_robot_made_up_do_not_break_the_file(bench, tmp_path):
    bench.put(bench.hand, "good", "1.0")
    for number, name in enumerate(["x\x1b[2J", "y\u2028requirements: [z]", "w==1 #", "v\x85"]):
        bench.put(bench.hand, f"odd{number}", "1.0")
        metadata = bench.hand / f"odd{number}-1.0.dist-info" / "METADATA"
        metadata.write_text(f"Name: {name}\nVersion: 1.0\n")
    path = tmp_path / "frozen" / "environment.yaml"
    path.parent.mkdir()
    path.write_text(bench.freeze())
    assert "good==1.0" in environment_file.load(path).requirements
    assert not [one for one in environment_file.load(path).requirements if one.startswith(("x", "w", "z"))]


def test_what_was_local_and_what_may_be_secret_is_not_frozen(bench):
    bench.workplace.environment(
        "lab", bench.workplace.wheel("plates"), more="as_of: 2025-04-20\nvariables: {KEY: v4lue}"
    )
    bench.workplace.push("lab")
    refused = bench.freeze("--env", "lab", status=1)
    assert "plates 1.0: made from local files of who pushed lab" in refused
    bench.put(bench.hand, "requests", "2.31.0")
    text = bench.freeze("--env", "lab", "--by-hand")
    assert "  - requests==2.31.0\n" in text
    assert "as_of" not in text, "requests may be younger"
    assert "left out: the value of the variable KEY of lab" in text
    assert "v4lue" not in text
    assert "environment other is not installed" in bench.freeze("--env", "other", status=1)


@pytest.mark.network
def test_a_frozen_robot_is_pushed_to_another(workplace_of, tmp_path):
    workplace = workplace_of(2)
    bench = Bench(workplace)
    bench.put(bench.hand, "ot2-made-up", "1.0")
    workplace.wheel("ot2_made_up")
    path = tmp_path / "environments" / "twin" / "environment.yaml"
    path.parent.mkdir(parents=True)
    index = tmp_path / "wheels" / "1.0"
    path.write_text(bench.freeze() + f"indexes:\n  - {{name: lab, url: '{index.as_uri()}'}}\n")
    assert workplace.push("twin", "--limit", "r2")["outcome"] == "pushed"
    (place,) = workplace.run("robot", "packages", "r2", "--name", "ot2-made-up")["packages"]
    assert (place["version"], place["used_by"]) == ("1.0", ["twin"])


def test_nothing_by_hand_is_one_clear_error(bench):
    assert "nothing to freeze" in bench.freeze(status=1)
