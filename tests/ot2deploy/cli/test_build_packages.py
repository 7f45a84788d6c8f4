"""./build-packages: every option of the old builder does what is said of it, or is refused with the reason."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from wheel_factory import make_wheel

from builder.errors import UsageFailure
from ot2deploy.cli import build_packages

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "build-packages"
RECIPE = "from builder.package_build import {name}\n{name}({arguments})\n"
OPTIONS = (
    "--output", "-o", "--verbose", "--container-tag", "--container-source", "--prep-container-only",
    "--dist-tree-root", "--build-tree-root", "--index-tree-root", "--index-root-url", "--build-type",
    "--package-repo-base", "--buildroot-sdk-base",
)  # fmt: skip


def said(*argv: str, root: Path = ROOT) -> build_packages.Equivalent:
    return build_packages.equivalent(build_packages.parser().parse_args(argv), root)


def words(*argv: str) -> str:
    return " ".join(said(*argv, "--package-repo-base", ".", "numpy").words)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_help_has_all_options_of_the_old_builder() -> None:
    text = build_packages.parser().format_help()
    assert [option for option in OPTIONS if option not in text] == []


@pytest.mark.parametrize(
    ("argv", "equivalent"),
    [
        ([], ""),
        (["--build-type", "both"], ""),
        (["--index-tree-root", "i", "--index-root-url", "http://x"], "--index-tree-root i --index-root-url http://x"),
        (["--verbose"], "--verbose"),
        (["--output", "log.txt"], "--output log.txt"),
        (["-o", "-"], "--output -"),
        (["--dist-tree-root", "out"], "--dist-tree-root out"),
        (["--container-source", "build"], "--toolchain container"),
        (["--container-source", "pull"], "--toolchain container=python:3.10-slim-bookworm"),
        (["--buildroot-sdk-base", "/sdk"], "--toolchain gcc:/sdk"),
        (["--buildroot-sdk-base", "/sdk", "--container-source", "build"], "--toolchain container:gcc:/sdk"),
        (["--container-tag", "main", "--build-tree-root", "./build"], ""),
    ],
)
def test_what_an_option_becomes(argv: list[str], equivalent: str) -> None:
    plain = "wheel build numpy --profile ot2-py310 --build-type both"
    assert words(*argv) == f"{plain} {equivalent}".rstrip()


def test_wheels_alone_or_an_index_alone() -> None:
    assert words("--build-type", "packages-only").endswith("--build-type packages-only")
    index_only = said("--build-type", "index-only", "--package-repo-base", ".").words
    assert " ".join(index_only) == "wheel build --profile ot2-py310 --build-type index-only"


def test_preparing_builds_nothing() -> None:
    assert words("--prep-container-only", "--container-source", "build") == (
        "toolchain prepare --profile ot2-py310 --toolchain container"
    )


@pytest.mark.parametrize(
    "argv",
    [
        ["--container-tag", "dev"],
        ["--build-tree-root", "/elsewhere"],
    ],
)
def test_what_cannot_be_followed_is_refused_with_the_reason(argv: list[str]) -> None:
    with pytest.raises(UsageFailure) as caught:
        words(*argv)
    assert len(caught.value.details) == 1
    assert argv[0] in caught.value.details[0]


def test_nothing_is_left_out_in_silence() -> None:
    given = ("--build-type", "packages-only", "--index-root-url", "http://x", "--index-tree-root", "i")
    notes = "\n".join(said("numpy", *given).notes)
    for part in (
        "--index-root-url has no effect",
        "--index-tree-root has no effect",
    ):
        assert part in notes


def test_without_packages_every_recipe_is_built(tmp_path: Path) -> None:
    for path, name, arguments in [
        ("package/greenlet/default", "build_package", ""),
        ("packages/pandas/1.5.0", "build_package", ""),
        ("packages/torch/default", "refuse_package", "reason='no 32-bit ARM', instead='tflite'"),
    ]:
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "build.py").write_text(RECIPE.format(name=name, arguments=arguments))
    meant = said("--build-type", "packages-only", root=tmp_path)
    assert meant.words[2:4] == ("greenlet", "pandas==1.5.0")
    assert meant.notes == ("torch is left out: no 32-bit ARM",)


def test_no_recipe_at_all(tmp_path: Path) -> None:
    with pytest.raises(UsageFailure, match="no recipe"):
        said(root=tmp_path)


def test_the_file_can_be_read_by_python_3_7() -> None:
    ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 7))


def test_an_old_python_says_what_is_needed(tmp_path: Path) -> None:
    old = next(iter(sorted(Path(os.environ["PYENV_ROOT"]).glob("versions/3.7.*/bin/python"))), None)
    if old is None:
        pytest.skip("there is no Python 3.7 on this machine")
    alone = shutil.copy(SCRIPT, tmp_path)  # beside it there is no .venv to hand over to
    done = subprocess.run([old, alone, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "needs Python 3.11 or newer" in done.stderr
    assert "scripts/setup" in done.stderr


def test_the_command_is_printed_and_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [SCRIPT, "--build-type", "packages-only", "nothing at all"], capture_output=True, text=True, timeout=120
    )
    assert "$ ot2deploy wheel build 'nothing at all' --profile ot2-py310 --build-type packages-only" in done.stderr
    assert "'nothing at all' is no requirement" in done.stderr
    assert done.returncode == 2


def test_a_refusal_ends_with_2_and_no_traceback() -> None:
    done = subprocess.run([SCRIPT, "--container-tag", "dev"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "images of the old builder hold one SDK" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_index_alone_needs_no_recipe_compiler_or_network(tmp_path: Path) -> None:
    """The old builder made a directory that pip did not find: raw names in the place of normalised ones."""
    (tmp_path / "dist" / "ot2-py310").mkdir(parents=True)
    make_wheel(tmp_path / "dist" / "ot2-py310", "ruamel.yaml.clib-0.2.12-py3-none-any.whl", {"_ruamel_yaml.py": b""})
    (tmp_path / "environments").mkdir()
    done = subprocess.run(
        [SCRIPT, "--package-repo-base", str(tmp_path), "--build-type", "index-only", "--index-tree-root", "tree"],
        capture_output=True, text=True, timeout=120, env={**os.environ, "PATH": "/nowhere:/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    simple = tmp_path / "tree" / "ot2-py310" / "simple"
    assert [path.name for path in simple.iterdir() if path.is_dir()] == ["ruamel-yaml-clib"]
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--index-url", simple.as_uri(), "ruamel.yaml.clib"]
    environment = {**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"}
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120, env=environment)
    assert (tmp_path / "ruamel.yaml.clib-0.2.12-py3-none-any.whl").is_file()
