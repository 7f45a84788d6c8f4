"""Directories of builds: gone at the end, swept when their build is dead."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import builder
from builder.build.work import work_directory
from builder.places import cache_root


def test_it_is_gone_at_the_end() -> None:
    with work_directory() as work:
        (work / "file").write_text("x")
    assert not work.exists()


def test_one_that_its_build_removes_while_it_is_looked_at_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with work_directory() as ended:
        pass
    monkeypatch.setattr(Path, "glob", lambda *_: iter([ended]))
    with work_directory() as work:
        assert work.is_dir()


def test_what_a_dead_build_left_is_swept_and_what_a_living_one_has_is_not() -> None:
    code = "import sys\nfrom builder.build.work import work_directory\nwith work_directory() as work:\n"
    code += "    print(work, flush=True)\n    sys.stdin.read()"
    root = Path(builder.__file__).parent.parent
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    )
    assert other.stdout
    theirs = Path(other.stdout.readline().strip())
    assert theirs.parent == cache_root() / "work"
    with work_directory() as ours:
        assert theirs.is_dir()
        other.kill()
        other.communicate()
        with work_directory():
            assert not theirs.exists()
            assert ours.is_dir()
