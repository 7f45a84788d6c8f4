"""What a source tree says of its own build."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.build.sources import has_extension_sources, read_backend, uses_rust
from builder.source.unpack import BadSource


def tree_of(directory: Path, **files: str) -> Path:
    for name, text in files.items():
        path = directory / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def test_a_build_system_table(tmp_path: Path) -> None:
    text = '[build-system]\nrequires = ["mini"]\nbuild-backend = "mini:api"\nbackend-path = ["."]\n'
    backend = read_backend(tree_of(tmp_path, pyproject_dot_toml=text))
    assert (backend.requires, backend.name, backend.path, backend.module) == (("mini",), "mini:api", (".",), "mini")


@pytest.mark.parametrize("text", ["", "[tool.black]\n"])
def test_without_a_table_setuptools_stands_in(tmp_path: Path, text: str) -> None:
    backend = read_backend(tree_of(tmp_path, pyproject_dot_toml=text, setup_dot_py=""))
    assert backend.name == "setuptools.build_meta:__legacy__"


def test_a_table_without_a_back_end_keeps_its_requirements(tmp_path: Path) -> None:
    backend = read_backend(tree_of(tmp_path, pyproject_dot_toml='[build-system]\nrequires = ["Cython<4"]\n'))
    assert (backend.requires, backend.name) == (("Cython<4",), "setuptools.build_meta:__legacy__")


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"pyproject_dot_toml": "= broken"},
        {"pyproject_dot_toml": "build-system = 1"},
        {"pyproject_dot_toml": "[build-system]\nrequires = 'setuptools'"},
        {"pyproject_dot_toml": "[build-system]\nbuild-backend = 1"},
        {"pyproject_dot_toml": "[build-system]\nbackend-path = [1]"},
    ],
)
def test_trees_that_cannot_be_built(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(BadSource):
        read_backend(tree_of(tmp_path, **files))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"setup_dot_py": "", "src__m__fast_dot_c": ""}, True),
        ({"meson_dot_build": "", "m__fast_dot_pyx": ""}, True),
        ({"Cargo_dot_toml": "", "src__lib_dot_rs": ""}, True),
        ({"setup_dot_py": "", "m_dot_py": ""}, False),
        ({"setup_dot_py": "", "tests__fixture_dot_c": ""}, False),
        ({"pyproject_dot_toml": "", "m__data_dot_c": ""}, False),
    ],
)
def test_whether_machine_code_is_to_be_expected(tmp_path: Path, files: dict[str, str], expected: bool) -> None:
    assert has_extension_sources(tree_of(tmp_path, **files)) is expected


@pytest.mark.parametrize("requirement", ["maturin>=1.8", "setuptools-rust", "Setuptools_Rust>=1"])
def test_rust(tmp_path: Path, requirement: str) -> None:
    text = f'[build-system]\nrequires = ["{requirement}"]\nbuild-backend = "maturin"\n'
    tree = tree_of(tmp_path, pyproject_dot_toml=text)
    assert uses_rust(tree, read_backend(tree))
