"""Whose C headers a build compiles against: the recipe's word, else numpy's for who asks for numpy and compiles."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from engine_factory import OT2, FakeTools, make_engine, served
from wheel_factory import make_wheel

from builder.acquire.headers import asked_by, headers_for, numpy_in
from builder.acquire.job import Job
from builder.acquire.one import new_job
from builder.build import Source
from builder.events import silent
from builder.files import sha256_file
from builder.lock import Locked
from builder.recipe import Recipe
from builder.selection import choose
from builder.store import Blob

PYPROJECT = '[build-system]\nrequires = ["setuptools", "numpy>=2.0"]\n'


@pytest.mark.parametrize(
    ("requires", "asked"),
    [
        (["setuptools", "cython"], None),
        (["numpy"], "numpy"),
        (["NumPy>=2.0", "numpy<3"], "numpy<3,>=2.0"),
        (["numpy==1.21.6; python_version < '3.11'", "numpy==1.23.2; python_version >= '3.11'"], "numpy==1.21.6"),
        (["numpy; python_version >= '3.12'"], None),
        (["oldest-supported-numpy"], None),
        (["setuptools>=40.*", "numpy>=1.21"], "numpy>=1.21"),
    ],
)
def test_what_build_requirements_ask_of_numpy(requires: list[str], asked: str | None) -> None:
    assert numpy_in(requires, OT2) == asked


def sdist(directory: Path, files: dict[str, str]) -> Path:
    path = directory / "demo-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"demo-1.0/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return path


def job_for(tmp_path: Path, path: Path, recipe: Recipe | None = None) -> tuple[Job, list[str]]:
    """A job whose other projects' wheels are made up, and what was asked of it."""
    tools = FakeTools(recipes={"demo": recipe} if recipe else {})
    (wanted,) = choose([Locked(name="demo", version="1.0", sdist=served(path), parents=("",))], OT2)
    engine = make_engine(tmp_path, tools=tools)
    job = new_job(wanted, OT2, engine, indexes=(), as_of=None, report=silent)
    asked: list[str] = []

    def other(requirement: str, _as_of: str | None) -> Blob:
        asked.append(requirement)
        wheel = make_wheel(tmp_path, "numpy-2.2.6-cp310-cp310-linux_armv7l.whl", {"numpy/x.py": b""})
        return engine.store.add(wheel, how="built")

    job.other = other
    return job, asked


def source(path: Path) -> Source:
    return Source(path=path, sha256=sha256_file(path))


def test_who_compiles_with_numpy_gets_the_robots_headers(tmp_path: Path) -> None:
    path = sdist(tmp_path, {"pyproject.toml": PYPROJECT, "setup.py": "", "demo.c": ""})
    job, asked = job_for(tmp_path, path)
    assert [wheel.version for wheel in headers_for(job, asked_by(job, source(path)).requires)] == ["2.2.6"]
    assert asked == ["numpy>=2.0"]


def test_who_compiles_nothing_needs_none(tmp_path: Path) -> None:
    path = sdist(tmp_path, {"pyproject.toml": PYPROJECT, "setup.py": "", "demo.py": ""})
    job, asked = job_for(tmp_path, path)
    assert (headers_for(job, asked_by(job, source(path)).requires), asked) == ((), [])


@pytest.mark.parametrize(
    ("named", "asked_for"),
    [("NumPy", "numpy==1.26.4"), ("numpy>=1.21", "numpy==1.26.4,>=1.21"), ("numpy==1.26.4", "numpy==1.26.4")],
)
def test_a_recipe_says_whose_and_which(tmp_path: Path, named: str, asked_for: str) -> None:
    path = sdist(tmp_path, {"pyproject.toml": PYPROJECT, "setup.py": "", "demo.c": ""})
    limits = ("Cython<3", "numpy==1.26.4")
    recipe = Recipe(name="demo", version=None, directory=tmp_path, digest="0", headers_of=(named,), constraints=limits)
    job, asked = job_for(tmp_path, path, recipe)
    assert len(headers_for(job, asked_by(job, source(path)).requires)) == 1
    assert asked == [asked_for]
