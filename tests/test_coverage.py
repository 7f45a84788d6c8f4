"""The coverage page is made of the results of runs, and says nothing else."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "coverage.py"
LIST = "# as of 2026-11-01\nDemo_x==1.0 [ot2-py310]  # tests\nother==2.0  # more tests\n"


@pytest.fixture
def coverage(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("coverage_script", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "coverage_script", module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_results_say(coverage: ModuleType) -> None:
    entries, as_of = coverage.read_list(coverage.LIST.read_text())
    assert coverage.PAGE.read_text() == coverage.page(entries, coverage.results(), as_of), (
        "run: scripts/coverage --page"
    )


def test_results_are_shown_for_what_is_listed_and_counted(coverage: ModuleType) -> None:
    entries, as_of = coverage.read_list(LIST)
    assert [(entry.name, len(entry.profiles)) for entry in entries] == [("demo-x", 1), ("other", 3)]
    row = coverage.Result(name="demo-x", version="1.0", profile="ot2-py310", how="built", native=2, sha256="ab" * 32)
    refused = replace(row, name="other", version="2.0", how="refused", native=0, sha256="", why="no way")
    elsewhere = replace(row, profile="ot2-py312")
    page = coverage.page(entries, [row, elsewhere, refused], as_of)
    assert "1 distributions with native code for at least one profile (1 wheels), 0 pure ones, 1 refused." in page
    assert "- **other 2.0**: no way" in page
    assert "ot2-py312" not in page


def test_a_package_runs_with_the_versions_of_the_list(coverage: ModuleType) -> None:
    lines = ["a==1.0 with numpy<2 [ot2-py310]  # old", "b==1.0  # new", "numpy==1.9  # old", "numpy==1.10  # new"]
    entries, _ = coverage.read_list("\n".join(["# as of 2026-11-01", *lines]))
    assert coverage.beside(entries[0], entries) == ("b==1.0", "numpy<2")
    assert coverage.beside(entries[1], entries) == ("a==1.0", "numpy==1.10")


def test_what_has_a_result_is_not_run_again(coverage: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    entries, _ = coverage.read_list(LIST)
    row = coverage.Result(name="other", version="2.0", profile="ot2-py312", how="public")
    monkeypatch.setattr(coverage, "results", lambda: [row])
    todo = list(coverage.plan(entries, set(), coverage.PROFILES, again=False))
    assert [(entry.name, profile.name) for entry, profile in todo] == [
        ("demo-x", "ot2-py310"),
        ("other", "ot2-py310"),
        ("other", "debian-12-armhf"),
    ]


@pytest.mark.parametrize("text", ["demo==1.0  # no date", "# as of 2026-11-01\ndemo==1.0 and no reason\n"])
def test_a_list_that_lacks_something_is_refused(coverage: ModuleType, text: str) -> None:
    with pytest.raises(SystemExit):
        coverage.read_list(text)
