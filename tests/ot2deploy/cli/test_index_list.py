"""`ot2deploy index list`: what an index has, branch by branch, and the files of a project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from loopback_index import fill

from builder.index.layout import Branch
from builder.index.tree import Index

Run = Callable[..., Any]
DEV = Branch(profile="ot2-py310", channel="dev")


@pytest.fixture(autouse=True)
def index(tmp_path: Path) -> Index:
    (tmp_path / "environments").mkdir()
    made = fill(
        tmp_path / "index",
        {
            "ot2-py310": ["Lab.Tool-1.0-py3-none-any.whl", "numpy-1.26.4-py3-none-any.whl"],
            "ot2-py310/dev": ["Lab.Tool-1.0-py3-none-any.whl", "Lab.Tool-1.1-py3-none-any.whl"],
            "ot2-py312": ["numpy-1.26.4-py3-none-any.whl"],
        },
        own=["lab-tool"],
    )
    with made.change() as change:
        page = made.page(DEV, "lab-tool")
        change.put(DEV, page.with_files([replace(page.files[0], yanked="crashes")]))
    return made


def test_branches_with_counts_and_sizes(run_cli: Run) -> None:
    found = run_cli("index", "list", "--json").good().document["result"]["branches"]
    counts = {row["branch"]: (row["projects"], row["own"], row["wheels"], row["yanked"]) for row in found}
    assert counts == {"ot2-py310": (2, 1, 2, 0), "ot2-py310/dev": (1, 1, 2, 1), "ot2-py312": (1, 0, 1, 0)}
    assert all(row["size"] > 0 for row in found)
    assert "3 branches in" in run_cli("index", "list").good().out
    limited = run_cli("index", "list", "--profile", "ot2-py310", "--channel", "dev", "--json").good()
    assert [row["branch"] for row in limited.document["result"]["branches"]] == ["ot2-py310/dev"]


def test_the_files_of_a_project_channel_by_channel(run_cli: Run) -> None:
    found = run_cli("index", "list", "Lab_Tool", "--json").good().document["result"]["files"]
    assert [(row["branch"], row["version"], row["yanked"], row["own"]) for row in found] == [
        ("ot2-py310/dev", "1.0", True, True),
        ("ot2-py310/dev", "1.1", False, True),
        ("ot2-py310", "1.0", False, True),
    ]
    said = run_cli("index", "list", "lab.tool", "numpy").good().out
    assert "crashes" in said
    assert "public" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing",), "the index has no nothing"),
        (("--index", "other"), "there is no index in"),
        (("--profile", "ot2-py39"), "has no profile ot2-py39"),
        (("--channel", "staging"), "has no channel staging"),
    ],
)
def test_what_is_not_there_ends_with_2(run_cli: Run, words: tuple[str, ...], said: str) -> None:
    ran = run_cli("index", "list", *words)
    assert ran.status == 2
    assert said in ran.err


def test_a_page_that_cannot_be_read_is_told_and_is_no_bug(run_cli: Run, index: Index, tmp_path: Path) -> None:
    page = index.root / "ot2-py312" / "simple" / "numpy" / "index.json"
    page.unlink()
    page.mkdir()  # nobody can read that as a file, root neither
    for words in (["list"], ["export", str(tmp_path / "stick")]):
        ran = run_cli("index", *words)
        assert ran.status == 1
        assert f"{page} cannot be read" in " ".join(ran.err.split())
        assert "bug" not in ran.err
