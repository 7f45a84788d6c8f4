"""docs/architecture.md names what there is: every module, every dependency, and no module that is gone."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SELF_EVIDENT = {"__init__", "__main__"}


def table(heading: str) -> list[list[str]]:
    """The rows of the table below a heading, without its head."""
    section = re.split(r"\n##+ ", PAGE.split(f"{heading}\n", 1)[1], maxsplit=1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return rows[2:]


def modules(package: str) -> set[str]:
    """The modules and packages right inside a package."""
    inside = (path for path in (ROOT / package).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists())
    return {path.stem for path in inside} - SELF_EVIDENT


@pytest.mark.parametrize("package", ["builder", "ot2deploy"])
def test_the_table_of_a_package_has_its_modules(package: str) -> None:
    rows = table(f"### {package}")
    first = {word.split(".")[0] for row in rows for word in re.findall(r"`([a-z_.]+)`", row[0])}
    anywhere = {word for row in rows for word in re.findall(r"`([a-z_]+)[`.(]", "|".join(row))}
    assert modules(package) - first - anywhere == set()
    assert first - modules(package) == set()


def test_each_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    needed = {Requirement(text).name.lower() for text in texts} - {"ot2deploy"}
    parts = {word for row in table("## Parts, and why") for word in re.findall(r"[a-z0-9.-]+", row[1].lower())}
    assert needed - parts == set()
