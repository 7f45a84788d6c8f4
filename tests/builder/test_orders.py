"""What a user names becomes an environment, jointly where that can be, else one by one; nonsense is told at once."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from engine_factory import OT2, FakeUv, Told, make_engine, served
from wheel_factory import make_wheel

from builder.errors import BuildFailure, NetworkFailure, UsageFailure
from builder.lock import Locked
from builder.targets import Search
from builder.wheels import order_locks, orders

RECIPE = "from builder.package_build import build_package\nbuild_package()\n"


@pytest.fixture
def search(tmp_path: Path) -> Search:
    for name in ("pandas/1.5.0", "pandas/1.4.0", "greenlet/default"):
        (tmp_path / "package" / name).mkdir(parents=True)
        (tmp_path / "package" / name / "build.py").write_text(RECIPE)
    lab = tmp_path / "environments" / "lab"
    lab.mkdir(parents=True)
    (lab / "environment.yaml").write_text("requirements: [demo]\nas_of: 2025-01-01\n")
    return Search(environments=(tmp_path / "environments",), packages=(tmp_path / "package",))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("numpy==1.26.4", "numpy==1.26.4"),
        ("ujson", "ujson"),
        ("uvicorn[standard]>=0.30", "uvicorn[standard]>=0.30"),
        ("pandas", "pandas==1.5"),
        ("Pandas<1.5", "Pandas<1.5"),
        ("greenlet", "greenlet"),
        ("package/pandas/1.4.0", "pandas==1.4.0"),
        ("package/greenlet/default/build.py", "greenlet"),
    ],
)
def test_what_a_text_means(search: Search, tmp_path: Path, text: str, meant: str) -> None:
    order = orders.of([text], search, base=tmp_path)
    assert order.environment.requirements == (meant,)
    assert not order.closure


def test_an_order_has_a_name_of_its_own_for_every_question(search: Search) -> None:
    names = [
        orders.of(texts, search, as_of=day).environment.name
        for texts, day in [
            (["a", "b"], None),
            (["b", "a"], None),
            (["a"], None),
            (["a==1"], None),
            (["a"], "2025-01-01"),
        ]
    ]
    assert names[0] == names[1]
    assert len(set(names)) == 4
    assert all(name.startswith("a") for name in names)


def test_a_whole_environment(search: Search) -> None:
    order = orders.whole("lab", search, as_of="2025-04-20")
    assert (order.environment.name, order.environment.as_of, order.closure) == ("lab", "2025-04-20", True)
    assert orders.whole("lab", search).environment.as_of == "2025-01-01"


def test_everything_that_means_nothing_is_told_together(search: Search, tmp_path: Path) -> None:
    with pytest.raises(UsageFailure) as caught:
        orders.of(["numpy==", "./none", "x @ https://files.invalid/x-1.tar.gz", "lab", "good"], search, base=tmp_path)
    said = "\n".join(caught.value.lines())
    assert "'numpy==' is no requirement" in said
    assert "none does not exist" in said
    assert "#sha256=" in said
    assert "Write --env lab" in said


def test_a_recipe_elsewhere_is_not_taken_in_silence(search: Search, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere" / "demo" / "1.0"
    place.mkdir(parents=True)
    (place / "build.py").write_text(RECIPE)
    with pytest.raises(UsageFailure) as caught:
        orders.of([str(place)], search, base=tmp_path)
    assert "not where recipes are looked for" in "\n".join(caught.value.lines())


def test_a_requirements_file(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(
        "# ours\nnumpy==1.26.4  # pinned\n\nujson \\\n  >=5 ; python_version > '3'\nwheel==1 --hash=sha256:ab\n"
    )
    assert orders.read_requirements(file) == ("numpy==1.26.4", 'ujson>=5; python_version > "3"', "wheel==1")
    file.write_text("numpy\n-e .\n--index-url https://index.invalid\nx y\n")
    with pytest.raises(UsageFailure) as caught:
        orders.read_requirements(file)
    assert [line.partition(": ")[0].rpartition(":")[2] for line in caught.value.details] == ["2", "3", "4"]


class Uv(FakeUv):
    """Resolves one requirement at a time only; fails with what it was told otherwise."""

    def compile_lock(self, question, out: Path) -> dict[str, list[str]]:  # type: ignore[no-untyped-def]
        if len(question.requirements) > 1 or "bad" in question.requirements[0]:
            raise self.failure or BuildFailure("the requirements cannot be resolved")
        self.questions.append(question)
        kept = [one for one in self.packages if one.version == question.requirements[0].partition("==")[2]]
        return FakeUv(packages=kept).compile_lock(question, out)


@pytest.fixture
def two_versions(tmp_path: Path) -> Uv:
    public = tmp_path / "public"
    public.mkdir()
    made = [served(make_wheel(public, f"demo-{version}-py3-none-any.whl")) for version in ("1.0", "2.0")]
    rows = [Locked(name="demo", version=f"{n}.0", wheels=(one,), parents=("",)) for n, one in enumerate(made, 1)]
    return Uv(packages=rows)


def test_two_versions_are_resolved_alone_and_it_says_so(tmp_path: Path, two_versions: Uv) -> None:
    engine, told = make_engine(tmp_path, uv=two_versions), Told()
    order = orders.of(["demo==1.0", "demo==2.0", "bad==1"], engine.search)
    found = orders.resolve(order, engine, told)
    assert [part.wanted(OT2)[0].version for part in found.parts] == ["1.0", "2.0"]
    assert [str(failure) for failure in found.failures] == ["bad==1: the requirements cannot be resolved"]
    assert any("each is resolved alone" in message for message in told.messages)


def test_what_cannot_be_divided_or_was_no_answer_is_raised(tmp_path: Path, two_versions: Uv) -> None:
    engine = make_engine(tmp_path, uv=two_versions)
    order = orders.of(["demo==1.0", "demo==2.0"], engine.search)
    with pytest.raises(BuildFailure):
        orders.resolve(replace(order, divisible=False), engine)
    two_versions.failure = NetworkFailure("the package index cannot be reached")
    with pytest.raises(NetworkFailure):
        orders.resolve(order, engine)


def locked_files(directory: Path) -> set[str]:
    return {path.name.removeprefix("pylock.").partition("-")[0] for path in directory.glob("*.toml")}


def test_locks_of_orders_do_not_pile_up_and_are_used_again(
    tmp_path: Path, search: Search, two_versions: Uv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_locks, "KEPT", 2)
    two_versions.packages = [replace(one, name=name) for one in two_versions.packages[:1] for name in "abc"]
    engine = make_engine(tmp_path, uv=two_versions)
    for moment, name in enumerate(["a", "b", "a", "c"]):
        (part,) = orders.resolve(orders.of([f"{name}==1.0"], search), engine).parts
        assert part.lock
        os.utime(part.lock.path, (moment, moment))
    assert len(two_versions.questions) == 3  # the second `a` was known
    assert locked_files(tmp_path / "locks" / "orders") == {"a", "c"}
    assert locked_files(tmp_path / "locks") == set()


def test_an_environments_lock_is_not_among_those_of_orders(tmp_path: Path, search: Search, two_versions: Uv) -> None:
    resolver = FakeUv(packages=two_versions.packages[:1])
    orders.resolve(orders.whole("lab", search), make_engine(tmp_path, uv=resolver))
    assert locked_files(tmp_path / "locks") == {"lab.toml"}
