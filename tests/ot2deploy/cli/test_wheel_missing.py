"""`ot2deploy wheel missing`: exactly what has no wheel, with who wants it, and what to ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from quick_project import quick_sdist
from wheel_factory import make_wheel

Run = Callable[..., Any]
NATIVE = "asyncpg cffi cryptography greenlet markupsafe pyyaml regex ruamel-yaml-clib ujson"


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> Path:
    lab = tmp_path / "environments" / "lab"
    (lab / "wheels").mkdir(parents=True)
    (lab / "environment.yaml").write_text(
        "requirements: [top]\nas_of: 2025-04-20\nindexes:\n  - {name: own, url: ./wheels}\n"
    )
    make_wheel(lab / "wheels", "other-1.0-py3-none-any.whl")
    quick_sdist(lab / "wheels", "top", requires='["other", "lost"]')
    make_wheel(lab / "wheels", "lost-1.0-cp310-cp310-win_amd64.whl")
    return tmp_path


def test_what_no_index_has_is_named_with_its_chain(run_cli: Run) -> None:
    ran = run_cli("wheel", "missing", "--env", "lab", "--offline", "--json")
    found = ran.document["result"]
    assert ran.status == 1
    assert found["missing"] == ["lost", "top"]
    rows = {row["name"]: row for row in found["packages"]}
    assert {name: row["state"] for name, row in rows.items()} == {
        "lost": "not to be had", "other": "pure", "top": "to build",
    }  # fmt: skip
    assert rows["lost"]["chain"] == ["top", "lost"]


def test_pure_python_is_shown_only_when_asked_for(run_cli: Run) -> None:
    few = run_cli("wheel", "missing", "--env", "lab", "--offline").out
    every = run_cli("wheel", "missing", "--env", "lab", "--offline", "--all").out
    assert "3 packages for ot2-py310: 1 pure, 1 to build, 1 not to be had" in few
    assert "top -> lost" in few
    assert "other 1.0" not in few
    assert "other 1.0" in every


def test_a_name_means_what_it_means_for_wheel_build(run_cli: Run, project: Path) -> None:
    recipe = project / "package" / "top" / "0.5"
    recipe.mkdir(parents=True)
    (recipe / "build.py").write_text("from builder import package_build\n\npackage_build.build_package()\n")
    said = [run_cli("wheel", verb, "top", "--offline", "--json").document for verb in ("missing", "build")]
    assert all("top==0.5" in str(document) for document in said)


def test_the_request_is_ready_to_send(run_cli: Run, project: Path) -> None:
    ran = run_cli("wheel", "missing", "--env", "lab", "--offline", "--request", "-")
    assert ran.status == 1
    assert ran.out.startswith("# Package request: lost 1.0 for ot2-py310")
    assert "Wanted by: top -> lost" in ran.out
    ran = run_cli("wheel", "missing", "--env", "lab", "--offline", "--request", "ask.md")
    assert "Request written to ask.md" in ran.out
    assert (project / "ask.md").read_text().startswith("# Package request: lost 1.0 for ot2-py310")


def test_nothing_to_ask_for(run_cli: Run, project: Path) -> None:
    ran = run_cli(
        "wheel", "missing", "./environments/lab/wheels/other-1.0-py3-none-any.whl", "--offline", "--request", "x.md"
    )
    assert "every package can be had" in ran.good().out
    assert not (project / "x.md").exists()


def test_reasons_are_told_once_and_are_no_wider_than_a_page(run_cli: Run, project: Path) -> None:
    profiles = ["--profile", "ot2-py310", "--profile", "ot2-py312"]
    recipe = project / "package" / "lost" / "default"
    recipe.mkdir(parents=True)
    advice = "take another one, which does nearly the same for all that a lab needs, and has a wheel for every robot"
    text = f"package_build.refuse_package(reason='It is lost, and nobody found it again.', instead={advice!r})"
    (recipe / "build.py").write_text(f"from builder import package_build\n\n{text}\n")
    out = run_cli("wheel", "missing", "--env", "lab", "--offline", *profiles).out
    assert max(map(len, out.splitlines())) <= 110
    assert out.count("It is lost") == 1
    assert [line.split()[1:3] for line in out.splitlines() if line.startswith("lost 1.0  ot2")] == [
        ["1.0", "ot2-py310"], ["1.0", "ot2-py312"],
    ]  # fmt: skip


@pytest.mark.network
@pytest.mark.slow
def test_prefect_lacks_nine_packages(run_cli: Run, project: Path, shared_cache: Path) -> None:
    (project / "requirements.txt").write_text("# flows\nprefect==3.3.4\n")
    ran = run_cli("wheel", "missing", "-r", "requirements.txt", "--as-of", "2025-04-20", "--json").good()
    found = ran.document["result"]
    assert found["missing"] == NATIVE.split()
    chains = {row["name"]: " -> ".join(row["chain"]) for row in found["packages"] if row["missing"]}
    assert chains["greenlet"] == "prefect -> sqlalchemy -> greenlet"
    assert chains["ruamel-yaml-clib"] == "prefect -> ruamel-yaml -> ruamel-yaml-clib"
    assert {row["state"] for row in found["packages"] if row["missing"]} <= {"repairable", "built", "to build"}
