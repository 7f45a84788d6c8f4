"""Local projects, modules and files become wheels and sdists, each once for its contents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from wheel_factory import make_wheel

from builder.audit import audit
from builder.environment import Environment
from builder.errors import UsageFailure
from builder.events import silent
from builder.local import LocalFile, contents, prepare
from builder.profile import load
from builder.store import Store
from builder.wheel import WheelFile

NOTHING = Environment(name="x")


class Maker:
    """A back end that packs nothing but remembers the tree it was shown."""

    def __init__(self) -> None:
        self.trees: list[set[str]] = []

    def build_sdist(self, project: Path, out: Path, *, as_of: str | None = None) -> Path:
        self.trees.append({path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()})
        made = out / "my_package-1.0.tar.gz"
        made.write_bytes(b"sdist %d" % len(self.trees))
        return made


@pytest.fixture
def maker() -> Maker:
    return Maker()


def prepared(tmp_path: Path, path: Path, maker: Maker) -> LocalFile:
    environment = replace(NOTHING, local=(path,))
    (found,) = prepare(environment, Store(tmp_path / "store"), lambda: maker, silent)
    return found


def project(tmp_path: Path) -> Path:
    path = tmp_path / "my-package"
    for name in ("pyproject.toml", "src/a.py", ".git/HEAD", "src/__pycache__/a.pyc", ".venv/x", "x.egg-info/PKG-INFO"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(name)
    return path


def test_a_project_becomes_an_sdist_from_a_copy_without_what_is_not_source(tmp_path: Path, maker: Maker) -> None:
    found = prepared(tmp_path, project(tmp_path), maker)
    assert found.name == "my-package"
    assert found.requirement == f"my-package @ {found.path.as_uri()}"
    assert maker.trees == [{"pyproject.toml", "src/a.py"}]


def test_it_is_made_again_only_when_its_files_change(tmp_path: Path, maker: Maker) -> None:
    path = project(tmp_path)
    first = prepared(tmp_path, path, maker)
    (path / ".git" / "HEAD").write_text("elsewhere")
    assert prepared(tmp_path, path, maker) == first
    assert len(maker.trees) == 1
    (path / "src" / "a.py").write_text("changed")
    assert prepared(tmp_path, path, maker).sha256 != first.sha256
    assert len(maker.trees) == 2


def test_a_loose_module_is_a_wheel_named_by_its_contents(tmp_path: Path, maker: Maker) -> None:
    module = tmp_path / "helpers.py"
    module.write_text("VALUE = 1\n")
    first = prepared(tmp_path, module, maker)
    wheel = WheelFile.open(first.path)
    assert (wheel.name, wheel.top_level, wheel.is_pure) == ("helpers", ("helpers",), True)
    assert wheel.version.startswith("0+")
    assert audit(first.path, load("ot2-py310")).ok
    module.write_text("VALUE = 2\n")
    assert WheelFile.open(prepared(tmp_path, module, maker).path).version != wheel.version


def test_a_directory_without_a_back_end_is_a_package(tmp_path: Path, maker: Maker) -> None:
    for name in ("__init__.py", "deep/__init__.py", "data.json", "__pycache__/x.pyc"):
        (tmp_path / "tools" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tools" / name).write_text("{}")
    wheel = WheelFile.open(prepared(tmp_path, tmp_path / "tools", maker).path)
    files = {member.name for member in wheel.members if not member.name.startswith(wheel.dist_info)}
    assert files == {"tools/__init__.py", "tools/deep/__init__.py", "tools/data.json"}
    assert maker.trees == []


def test_a_wheel_file_is_itself(tmp_path: Path, maker: Maker) -> None:
    wheel = make_wheel(tmp_path)
    found = prepared(tmp_path, wheel, maker)
    assert (found.name, found.path.read_bytes()) == ("demo", wheel.read_bytes())


@pytest.mark.parametrize("name", ["not-a-module.py", "empty/readme.txt", "thing.tar.gz"])
def test_what_cannot_be_made_into_anything(tmp_path: Path, maker: Maker, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    with pytest.raises(UsageFailure):
        prepared(tmp_path, path.parent if "/" in name else path, maker)


def test_the_same_files_elsewhere_are_the_same_contents(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place / "pkg").mkdir(parents=True)
        (tmp_path / place / "pkg" / "x.py").write_text("1")
    assert contents(tmp_path / "a" / "pkg") == contents(tmp_path / "b" / "pkg")
