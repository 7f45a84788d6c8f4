"""From an environment to a bundle, whole: what is done, and what is not done twice."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from engine_factory import OT2, FakeTools, FakeUv, Told, make_engine, served
from wheel_factory import make_wheel

from builder import profile_host, uv
from builder.bundle import read, write
from builder.environment import Environment, import_check
from builder.errors import DiskFailure
from builder.fetch import Fetcher
from builder.lock import Locked, lock
from builder.pipeline import make_bundle, open_engine
from builder.profile import load
from builder.recipe import Recipe
from builder.selection import select
from builder.store import Store
from builder.targets import Search, resolve

LAB = Environment(name="lab", requirements=("demo==1.0",), as_of="2025-04-20")


@pytest.fixture
def resolver(tmp_path: Path) -> FakeUv:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    demo = served(make_wheel(wheels, "demo-1.0-py3-none-any.whl", {"demo/__init__.py": b"", "_demo.py": b""}))
    other = served(make_wheel(wheels, "other-2.0-py3-none-any.whl"))
    return FakeUv(
        packages=[
            Locked(name="demo", version="1.0", wheels=(demo,), parents=("",)),
            Locked(name="other", version="2.0", wheels=(other,), parents=("demo",)),
        ]
    )


def test_a_bundle_and_its_default_checks(tmp_path: Path, resolver: FakeUv) -> None:
    bundle = make_bundle(LAB, OT2, make_engine(tmp_path, uv=resolver))
    rows = [(row["name"], row["requested"], row["how"]) for row in bundle.manifest["wheels"]]
    assert rows == [("demo", True, "index"), ("other", False, "index")]
    assert [blob.filename for blob in bundle.blobs] == [row["filename"] for row in bundle.manifest["wheels"]]
    assert [check["name"] for check in bundle.manifest["checks"]["quick"]] == ["import demo"]
    assert (bundle.manifest["as_of"], bundle.manifest["abi"]) == ("2025-04-20", OT2.key)


def test_the_checks_of_recipes_stand_in_where_nobody_named_any(tmp_path: Path, resolver: FakeUv) -> None:
    check = replace(import_check("other.works"), name="other works")
    recipe = Recipe(name="other", version="2.0", directory=tmp_path, digest="1", checks=(check,))
    engine = make_engine(tmp_path, uv=resolver, tools=FakeTools(recipes={"other": recipe}))
    assert [one["name"] for one in make_bundle(LAB, OT2, engine).manifest["checks"]["quick"]] == [
        "import demo",
        "other works",
    ]
    assert make_bundle(replace(LAB, quick=()), OT2, engine).manifest["checks"]["quick"] == []


def test_the_same_question_is_answered_without_doing_anything(tmp_path: Path, resolver: FakeUv) -> None:
    tools = FakeTools()
    first = make_bundle(LAB, OT2, make_engine(tmp_path, uv=resolver, tools=tools))
    done = len(tools.calls), len(resolver.questions)
    engine = make_engine(tmp_path, uv=resolver, tools=tools, offline=True, fetcher=Fetcher(offline=True))
    assert make_bundle(LAB, OT2, engine) == first
    assert (len(tools.calls), len(resolver.questions)) == done


def test_changed_checks_change_the_manifest_and_not_the_digest(tmp_path: Path, resolver: FakeUv) -> None:
    engine = make_engine(tmp_path, uv=resolver)
    first = make_bundle(LAB, OT2, engine)
    second = make_bundle(replace(LAB, quick=(import_check("demo.more"),)), OT2, engine)
    assert [check["name"] for check in second.manifest["checks"]["quick"]] == ["import demo.more"]
    assert second.digest == first.digest


def test_a_changed_recipe_or_option_is_another_question(tmp_path: Path, resolver: FakeUv) -> None:
    tools = FakeTools()
    recipes = tmp_path / "package"
    (recipes / "demo" / "1.0").mkdir(parents=True)
    search = Search(environments=(), packages=(recipes,))
    make_bundle(LAB, OT2, make_engine(tmp_path, uv=resolver, tools=tools, search=search))
    (recipes / "demo" / "1.0" / "build.py").write_text("# changed\n")
    tools.versions = "newer"
    make_bundle(LAB, OT2, make_engine(tmp_path, uv=resolver, tools=tools, search=search))
    assert [name for _, name in tools.calls].count("demo-1.0-py3-none-any.whl") == 2


def test_a_damaged_wheel_is_got_again(tmp_path: Path, resolver: FakeUv) -> None:
    engine = make_engine(tmp_path, uv=resolver)
    bundle = make_bundle(LAB, OT2, engine)
    bundle.blobs[0].path.write_bytes(b"")
    assert make_bundle(LAB, OT2, engine) == bundle
    assert bundle.blobs[0].path.stat().st_size == bundle.blobs[0].size


def test_a_store_that_cannot_be_written_is_named(
    tmp_path: Path, resolver: FakeUv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OT2DEPLOY_CACHE", str(tmp_path))
    (tmp_path / "store").write_text("a file where the store should be")
    with pytest.raises(DiskFailure, match="store") as caught:
        make_bundle(LAB, OT2, make_engine(tmp_path, uv=resolver))
    assert "OT2DEPLOY_CACHE" in caught.value.next


def test_a_directory_of_locks_that_cannot_be_written_is_not_taken_for_the_store(
    tmp_path: Path, resolver: FakeUv
) -> None:
    (tmp_path / "locks").write_text("a file where the locks should be")
    with pytest.raises(DiskFailure) as caught:
        make_bundle(LAB, OT2, make_engine(tmp_path, uv=resolver))
    assert caught.value.what.startswith(str(tmp_path / "locks"))
    assert "OT2DEPLOY_CACHE" not in caught.value.next


def test_upgrade_locks_once_for_all_profiles(tmp_path: Path, resolver: FakeUv) -> None:
    make_bundle(LAB, OT2, make_engine(tmp_path, uv=resolver))
    engine = make_engine(tmp_path, uv=resolver, upgrade=True)
    for profile in ("ot2-py310", "ot2-py312"):
        make_bundle(LAB, load(profile), engine)
    assert len(resolver.questions) == 2


def test_a_loose_module_becomes_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "helpers.py").write_text("VALUE = 1\n")
    environment = resolve("./helpers.py", Search(), base=tmp_path)
    engine = open_engine(tmp_path / "locks", store_root=tmp_path / "store")
    engine = replace(engine, uv=lambda: uv.find(offline=True))
    bundle = make_bundle(environment, OT2, engine)
    (row,) = bundle.manifest["wheels"]
    assert (row["name"], row["how"], row["requested"]) == ("helpers", "local", True)
    assert bundle.manifest["requirements"] == ["./helpers.py"]
    write([bundle], tmp_path / "x.ot2bundle")
    assert read(tmp_path / "x.ot2bundle", Store(tmp_path / "elsewhere"))[0].manifest == bundle.manifest


def test_the_short_way_imports_nothing_heavy() -> None:
    heavy = {"pydantic", "rich", "requests", "pypi_simple", "elftools", "packaging.pylock", "tomllib"}
    code = f"import builder.pipeline, builder.targets, sys; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("[]", "['tomllib']")  # profiles are TOML


@pytest.mark.network
def test_a_requirement_from_the_index_for_the_host(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "locks", store_root=tmp_path / "store")
    environment = replace(resolve("rich==13.7.1", Search()), as_of="2025-04-20")
    bundle = make_bundle(environment, profile_host.load("host"), engine)
    assert {row["name"] for row in bundle.manifest["wheels"]} == {"rich", "markdown-it-py", "mdurl", "pygments"}
    assert [check["name"] for check in bundle.manifest["checks"]["quick"]] == ["import rich"]


@pytest.mark.network
@pytest.mark.slow
def test_prefect_resolves_to_the_known_packages(tmp_path: Path) -> None:
    environment = resolve("prefect", Search())
    found = lock(environment, tmp_path, uv.find(), uv_version=uv.version())
    assert len(select(found, load("ot2-py312"))) == 95
    wanted = select(found, load("ot2-py310"))
    assert len(wanted) == 96
    unfit = {one.name for one in wanted if not any(candidate.fit == "fits" for candidate in one.candidates)}
    native = "asyncpg cffi cryptography greenlet markupsafe pyyaml regex ruamel-yaml-clib ujson"
    assert unfit == set(native.split())
    (greenlet,) = (one for one in wanted if one.name == "greenlet")
    assert greenlet.version == "3.1.1"
    assert greenlet.chain == ("prefect", "sqlalchemy", "greenlet")


def test_one_package_is_counted_as_one(tmp_path: Path) -> None:
    demo = served(make_wheel(tmp_path, "demo-1.0-py3-none-any.whl", {"demo.py": b""}))
    resolver = FakeUv(packages=[Locked(name="demo", version="1.0", wheels=(demo,), parents=("",))])
    told = Told()
    make_bundle(LAB, OT2, make_engine(tmp_path, uv=resolver), told)
    assert f"{OT2.name}: 1 package" in told.messages
