"""What a source tree says of its own build: PEP 518 requirements, the PEP 517 back end, and whether it compiles."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.source.unpack import BadSource

COMPILED = {".c": "C", ".cc": "C++", ".cpp": "C++", ".cxx": "C++", ".pyx": "Cython", ".rs": "Rust"}
BUILD_FILES = ("setup.py", "meson.build", "CMakeLists.txt", "Cargo.toml")
# Sources here are not the extension's: fixtures, examples, generators.
ASIDE = frozenset(
    {"bench", "benchmark", "benchmarks", "ci", "doc", "docs", "example", "examples", "test", "tests", "tools"}
)


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A [build-system] table (PEP 518) with what stands for it where there is none."""

    requires: tuple[str, ...] = ("setuptools>=40.8.0",)
    name: str = "setuptools.build_meta:__legacy__"
    path: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """The back end's module."""
        return self.name.partition(":")[0]


def read_backend(tree: Path) -> Backend:
    """The back end of a source tree. Raises BadSource."""
    file = tree / "pyproject.toml"
    if not file.exists():
        if not (tree / "setup.py").exists():
            raise BadSource("has neither pyproject.toml nor setup.py", subject=tree.name)
        return Backend()
    try:
        table: Any = tomllib.loads(file.read_text(encoding="utf-8")).get("build-system")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSource(f"pyproject.toml cannot be read: {error}", subject=tree.name) from error
    if table is None:
        return Backend()
    wrong = BadSource("the [build-system] table of its pyproject.toml is not in order", subject=tree.name)
    if not isinstance(table, dict):
        raise wrong
    requires, path, name = table.get("requires", []), table.get("backend-path", []), table.get("build-backend", "")
    if not all(isinstance(value, list) and all(isinstance(text, str) for text in value) for value in (requires, path)):
        raise wrong
    if not isinstance(name, str):
        raise wrong
    return Backend(requires=tuple(requires), name=name or Backend.name, path=tuple(path))


def has_extension_sources(tree: Path) -> bool:
    """Whether the tree looks as if its wheel held a shared object: compiled sources and a file that builds them."""
    return any((tree / name).exists() for name in BUILD_FILES) and bool(languages(tree))


def languages(tree: Path) -> tuple[str, ...]:
    """The compiled languages of a tree's own sources, sorted."""
    found = {
        COMPILED[path.suffix]
        for path in tree.rglob("*")
        if path.suffix in COMPILED and path.is_file() and not ASIDE.intersection(path.relative_to(tree).parts[:-1])
    }
    return tuple(sorted(found))


def uses_rust(tree: Path, backend: Backend) -> bool:
    """Whether the build calls cargo."""
    names = (requirement.lower().replace("_", "-") for requirement in backend.requires)
    named = any(name.startswith(("maturin", "setuptools-rust")) for name in names)
    return named or (tree / "Cargo.toml").exists()
