"""The hook runner, as the program that it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import builder.build.frontend

BACKEND = """\
import sources_probe
class nested:
    @staticmethod
    def build_wheel(out, settings, metadata):
        print("working")
        return f"{sources_probe.VALUE}-{out}-{settings['a']}"
def fails():
    raise RuntimeError("no compiler")
"""


def run_hook(tree: Path, **request: object) -> subprocess.CompletedProcess[str]:
    asked = {"backend": "ours:nested", "backend_path": ["backend"], "optional": False, "arguments": [], **request}
    (tree / "request.json").write_text(json.dumps(asked))
    argv = [sys.executable, builder.build.frontend.HOOK, "request.json", "answer.json"]
    return subprocess.run(argv, cwd=tree, capture_output=True, text=True, check=False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend" / "ours.py").write_text(BACKEND)
    (tmp_path / "backend" / "sources_probe.py").write_text("VALUE = 'probe'\n")
    return tmp_path


def test_a_back_end_in_the_tree_with_a_dotted_object(tree: Path) -> None:
    done = run_hook(tree, hook="build_wheel", arguments=["out", {"a": "b"}, None])
    assert done.returncode == 0, done.stderr
    assert json.loads((tree / "answer.json").read_text()) == "probe-out-b"


def test_an_optional_hook_that_is_not_there(tree: Path) -> None:
    assert run_hook(tree, hook="get_requires_for_build_wheel", optional=True).returncode == 0
    assert json.loads((tree / "answer.json").read_text()) is None


def test_a_hook_that_must_be_there(tree: Path) -> None:
    done = run_hook(tree, hook="get_requires_for_build_wheel")
    assert done.returncode != 0
    assert "has no hook" in done.stderr


def test_an_error_of_the_back_end_is_seen(tree: Path) -> None:
    done = run_hook(tree, backend="ours", hook="fails")
    assert done.returncode == 1
    assert "no compiler" in done.stderr
    assert not (tree / "answer.json").exists()


def test_our_own_modules_do_not_shadow_the_back_ends(tree: Path) -> None:
    (tree / "backend" / "clean.py").write_text(
        "import importlib.util\ndef where(): return importlib.util.find_spec('frontend') is None\n"
    )
    assert run_hook(tree, backend="clean", hook="where").returncode == 0
    assert json.loads((tree / "answer.json").read_text()) is True
