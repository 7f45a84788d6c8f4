"""What recipes say is done: patches, commands where there is a setup.py, flags."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_factory import Told
from tiny_project import make_sdist, request_for

from builder import uv as uvs
from builder.build import BuildOptions, build_wheel
from builder.recipe import Recipe
from builder.wheel import WheelFile

pytestmark = [pytest.mark.network, pytest.mark.slow]

PROJECT = """\
[build-system]
requires = ["setuptools==75.8.0"]
build-backend = "setuptools.build_meta"

[project]
name = "tiny"
version = "1.0"
"""
PATCH = "--- a/tiny.py\n+++ b/tiny.py\n@@ -1 +1 @@\n-GOOD = False\n+GOOD = True\n"


def test_a_patch_and_commands_for_a_project_that_has_no_setup_py(shared_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "good.patch").write_text(PATCH)
    recipe = Recipe(
        name="tiny",
        version="1.0",
        directory=tmp_path,
        digest="0",
        setup_py_commands=("bdist_wheel",),
        patches=("good.patch",),
        native=(),
    )
    told = Told()
    source = make_sdist(tmp_path, {"pyproject.toml": PROJECT, "tiny.py": "GOOD = False\n"})
    built = build_wheel(
        request_for(source, recipe=recipe),
        uv=uvs.find(),
        out=tmp_path / "wheels",
        report=told,
        options=BuildOptions(timeout=600),
    )
    assert built.path.name == "tiny-1.0-py3-none-any.whl"
    assert WheelFile.open(built.path).read("tiny.py") == b"GOOD = True\n"
    message = "there is no setup.py: its back end setuptools.build_meta is run instead of the recipe's commands"
    assert f"tiny 1.0: {message}" in told.messages
