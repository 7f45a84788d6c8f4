"""What recipes say of the versions beside their project reaches the resolution, or is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_factory import FakeTools, FakeUv, Told, make_engine, served
from wheel_factory import make_wheel

from builder.engine import Engine
from builder.environment import Environment
from builder.errors import BuildFailure, ConfigFailure
from builder.lock import Locked
from builder.pipeline import make_lock
from builder.recipe import Recipe

PANDAS = Recipe(name="pandas", version="1.5.0", directory=Path("pandas"), digest="1", requires=("numpy<2",))


@pytest.fixture
def uv(tmp_path: Path) -> FakeUv:
    """Answers with pandas 1.5.0 beside two versions of numpy, for two ranges of Python."""
    rows = []
    for name, version in (("pandas", "1.5.0"), ("numpy", "2.2.6"), ("numpy", "2.4.6")):
        wheel = served(make_wheel(tmp_path, f"{name}-{version}-py3-none-any.whl"))
        rows.append(Locked(name=name, version=version, wheels=(wheel,), parents=("",)))
    return FakeUv(packages=rows)


@pytest.fixture
def engine(tmp_path: Path, uv: FakeUv) -> Engine:
    return make_engine(tmp_path, uv=uv, tools=FakeTools(recipes={"pandas": PANDAS}))


@pytest.mark.parametrize(
    ("requirements", "limits"),
    [
        (("pandas==1.5.0", "numpy"), ("numpy<2",)),
        (("Pandas[test]==1.5.0",), ("numpy<2",)),
        (("pandas>=1.5", "numpy"), ()),
        (("pandas==1.*",), ()),
        (("numpy==2.2.6",), ()),
    ],
)
def test_a_pinned_version_brings_the_limits_of_its_recipe(
    engine: Engine, uv: FakeUv, requirements: tuple[str, ...], limits: tuple[str, ...]
) -> None:
    make_lock(Environment(name="lab", requirements=requirements, constraints=("six<2",)), engine)
    assert uv.questions[-1].constraints == ("six<2", *limits)


def test_what_was_chosen_without_them_is_told(engine: Engine) -> None:
    told = Told()
    make_lock(Environment(name="lab", requirements=("pandas", "numpy")), engine, told)
    said = "pandas 1.5.0: needs numpy<2 by its recipe, chosen was 2.2.6, 2.4.6: ask for numpy<2, too"
    assert said in told.messages


def test_what_cannot_be_resolved_says_whose_limit_it_is(engine: Engine, uv: FakeUv) -> None:
    uv.failure = BuildFailure("the requirements cannot be resolved", why="uv's explanation stands above.")
    with pytest.raises(BuildFailure) as caught:
        make_lock(Environment(name="lab", requirements=("pandas==1.5.0", "numpy==2.2.6")), engine)
    needs = "By their recipes, versions that are pinned need numpy<2."
    assert caught.value.why == f"uv's explanation stands above. {needs}"


def test_a_new_limit_asks_for_a_new_lock(tmp_path: Path, engine: Engine, uv: FakeUv) -> None:
    lab = Environment(name="lab", requirements=("pandas==1.5.0",))
    make_lock(lab, make_engine(tmp_path, uv=uv))
    for _ in range(2):
        make_lock(lab, engine)
    assert [question.constraints for question in uv.questions] == [(), ("numpy<2",)]


def test_a_broken_recipe_is_told_when_its_wheel_is_wanted(tmp_path: Path, uv: FakeUv) -> None:
    class Broken(FakeTools):
        def recipe(self, name: str, version: str, directories: tuple[Path, ...]) -> Recipe | None:
            raise ConfigFailure("build.py:1: SyntaxError")

    lab = Environment(name="lab", requirements=("pandas==1.5.0",))
    assert make_lock(lab, make_engine(tmp_path, uv=uv, tools=Broken())).packages
