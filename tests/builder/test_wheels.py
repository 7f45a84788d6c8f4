"""Orders become files: what is placed where, what is done again and what is not, and what a failure leaves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from engine_factory import OT2, FakeTools, FakeUv, make_engine, pinned, served
from wheel_factory import make_wheel

from builder.engine import Engine
from builder.errors import BuildFailure
from builder.files import sha256_file
from builder.lock import Locked
from builder.profile import load
from builder.wheels import How, make_wheels, orders
from builder.wheels.orders import Order


@pytest.fixture
def packages(tmp_path: Path) -> list[Locked]:
    public = tmp_path / "public"
    public.mkdir()
    wheel = served(make_wheel(public, "demo-1.0-py3-none-any.whl"))
    (public / "demo-1.0.tar.gz").write_bytes(b"demo")
    (public / "native-2.0.tar.gz").write_bytes(b"native")
    return [
        Locked(name="demo", version="1.0", wheels=(wheel,), sdist=served(public / "demo-1.0.tar.gz"), parents=("",)),
        Locked(name="native", version="2.0", sdist=served(public / "native-2.0.tar.gz"), parents=("demo",)),
    ]


def engine_of(root: Path, packages: list[Locked], tools: FakeTools) -> Engine:
    return make_engine(root, uv=FakeUv(packages=packages), tools=tools)


def order_of(*texts: str, closure: bool = False) -> Order:
    return orders.of(texts or ("demo",), make_search(), closure=closure, as_of="2025-04-20")


def make_search() -> orders.Search:
    return orders.Search(environments=(), packages=())


def test_only_what_is_named_is_made_unless_the_rest_is_wanted(tmp_path: Path, packages: list[Locked]) -> None:
    tools = FakeTools()
    engine, out = engine_of(tmp_path, packages, tools), tmp_path / "dist"
    found = make_wheels(order_of(), [OT2], engine, How(out=out))
    assert [made.path for made in found.made] == [out / "ot2-py310" / "demo-1.0-py3-none-any.whl"]
    assert (found.made[0].how, found.made[0].changed, tools.requests) == ("index", True, [])
    found = make_wheels(order_of(closure=True), [OT2], engine, How(out=out))
    assert [(made.name, made.how, made.changed) for made in found.made] == [
        ("demo", "index", False),
        ("native", "built", True),
    ]
    assert sha256_file(found.made[1].path) == found.made[1].sha256


def test_the_second_run_compiles_nothing_and_changes_nothing(tmp_path: Path, packages: list[Locked]) -> None:
    tools = FakeTools()
    engine, how = engine_of(tmp_path, packages, tools), How(out=tmp_path / "dist")
    make_wheels(order_of(closure=True), [OT2], engine, how)
    before = [(path, path.stat().st_mtime_ns) for path in sorted(how.out.rglob("*.whl"))]
    tools.calls.clear()
    found = make_wheels(order_of(closure=True), [OT2], engine, how)
    assert not any(made.changed for made in found.made)
    assert tools.calls == []
    assert [(path, path.stat().st_mtime_ns) for path in sorted(how.out.rglob("*.whl"))] == before


def test_a_file_that_was_changed_is_put_right(tmp_path: Path, packages: list[Locked]) -> None:
    engine, how = engine_of(tmp_path, packages, FakeTools()), How(out=tmp_path / "dist")
    (made,) = make_wheels(order_of(), [OT2], engine, how).made
    made.path.write_bytes(b"")
    (again,) = make_wheels(order_of(), [OT2], engine, how).made
    assert (again.placed, again.reused, sha256_file(made.path)) == (True, True, made.sha256)


def test_from_source_builds_what_is_named_and_nothing_else(tmp_path: Path, packages: list[Locked]) -> None:
    tools = FakeTools()
    engine = engine_of(tmp_path, packages, tools)
    order = replace(order_of(), from_source=True)
    (made,) = make_wheels(order, [OT2], engine, How(out=tmp_path / "dist")).made
    assert (made.how, [request.name for request in tools.requests]) == ("built", ["demo"])


def test_each_profile_has_its_directory(tmp_path: Path, packages: list[Locked]) -> None:
    engine = engine_of(tmp_path, packages, FakeTools())
    found = make_wheels(order_of(), [OT2, load("ot2-py312")], engine, How(out=tmp_path / "dist"))
    assert [made.path.parent.name for made in found.made] == ["ot2-py310", "ot2-py312"]


def test_one_failure_leaves_the_others(tmp_path: Path, packages: list[Locked]) -> None:
    tools = FakeTools(fails={"native": BuildFailure("compiler failed", details=("x.c:1",), next="Log: /log")})
    engine = engine_of(tmp_path, packages, tools)
    found = make_wheels(order_of(closure=True), [OT2], engine, How(out=tmp_path / "dist"))
    assert [made.name for made in found.made] == ["demo"]
    assert [(failed.name, failed.profile) for failed in found.failed] == [("native", "ot2-py310")]
    assert "    Log: /log" in found.failed[0].failure.lines()


def test_fail_fast_names_what_was_not_tried(tmp_path: Path, packages: list[Locked]) -> None:
    packages = [replace(one, wheels=(), sdist=one.sdist and pinned(one.sdist), parents=("",)) for one in packages]
    engine = replace(engine_of(tmp_path, packages, FakeTools()), offline=True)
    how = How(out=tmp_path / "dist", fail_fast=True)
    found = make_wheels(order_of("demo", "native"), [OT2, load("ot2-py312")], engine, how)
    assert (len(found.failed), found.made) == (1, ())
    assert len(found.not_tried) == 3


def test_bundles_hold_what_is_needed_to_run_the_wheels(tmp_path: Path, packages: list[Locked]) -> None:
    engine = engine_of(tmp_path, packages, FakeTools())
    order = replace(order_of(), from_source=True)
    found = make_wheels(order, [OT2], engine, How(out=tmp_path / "dist", bundles=True))
    assert [made.name for made in found.made] == ["demo"]
    ((_, bundle),) = found.bundles
    assert [(row["name"], row["how"]) for row in bundle.manifest["wheels"]] == [("demo", "built"), ("native", "built")]
    assert found.made[0].sha256 == bundle.manifest["wheels"][0]["sha256"]


def test_from_source_without_a_source_is_a_failure(tmp_path: Path, packages: list[Locked]) -> None:
    packages = [replace(packages[0], sdist=None)]
    engine = engine_of(tmp_path, packages, FakeTools())
    found = make_wheels(replace(order_of(), from_source=True), [OT2], engine, How(out=tmp_path / "dist"))
    assert (found.made, [failed.name for failed in found.failed]) == ((), ["demo"])
