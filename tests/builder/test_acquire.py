"""Packages become wheels: which source is used, what is passed over, and what is said when nothing is left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from engine_factory import OT2, FakeTools, Told, make_engine, pinned, served
from wheel_factory import make_wheel

from builder.acquire import acquire, acquire_all, gather
from builder.build import key
from builder.environment import Index
from builder.errors import BuildFailure, OfflineFailure
from builder.lock import Locked, LockedFile
from builder.recipe import Recipe
from builder.selection import Wanted, choose
from builder.source import Archive
from builder.toolchain import compiler

FIT = "demo-1.0-cp310-cp310-manylinux_2_17_armv7l.whl"
PURE = "demo-1.0-py3-none-any.whl"
NEW = "demo-1.0-cp310-cp310-manylinux_2_31_armv7l.whl"


@pytest.fixture
def public(tmp_path: Path) -> Path:
    path = tmp_path / "public"
    path.mkdir()
    return path


def wheel(directory: Path, name: str) -> LockedFile:
    return served(make_wheel(directory, name, {"demo/__init__.py": name.encode()}))


def sdist(directory: Path, name: str = "demo-1.0.tar.gz") -> LockedFile:
    (directory / name).write_bytes(b"source of " + name.encode())
    return served(directory / name)


def wanted(*wheels: LockedFile, source: LockedFile | None = None, name: str = "demo") -> Wanted:
    top = Locked(name="top", version="1", parents=("",))
    package = Locked(name=name, version="1.0", wheels=wheels, sdist=source, parents=("top",))
    return next(one for one in choose([top, package], OT2) if one.name == name)


def reasons(passed: Sequence[object]) -> list[str]:
    return [f"{getattr(one, 'what', '')}: {getattr(one, 'reason', '')}" for one in passed]


def test_the_best_fitting_wheel_is_taken_and_found_again(tmp_path: Path, public: Path) -> None:
    tools = FakeTools()
    engine = make_engine(tmp_path, tools=tools)
    asked = wanted(wheel(public, PURE), wheel(public, FIT))
    first = acquire(asked, OT2, engine)
    assert (first.blob.filename, first.reused, first.passed_over) == (FIT, False, ())
    again = acquire(asked, OT2, engine)
    assert (again.blob, again.reused) == (first.blob, True)
    assert tools.calls == [("audit", FIT)]


def test_a_candidate_that_fails_the_audit_is_passed_over_with_its_reason(tmp_path: Path, public: Path) -> None:
    engine = make_engine(tmp_path, tools=FakeTools(refuses={FIT: "elf-machine"}))
    told = Told()
    asked = wanted(wheel(public, FIT), wheel(public, PURE))
    for _ in range(2):  # the reason is kept for the next time, too
        found = acquire(asked, OT2, engine, report=told)
        assert found.blob.filename == PURE
        assert reasons(found.passed_over) == [f"{FIT}: for this test (elf-machine)"]
    assert any("passed over" in message for message in told.messages)


def test_a_file_that_is_no_wheel_is_passed_over(tmp_path: Path, public: Path) -> None:
    (public / FIT).write_text("<html>not found</html>")
    found = acquire(wanted(served(public / FIT), wheel(public, PURE)), OT2, make_engine(tmp_path))
    assert found.blob.filename == PURE
    assert reasons(found.passed_over) == [f"{FIT}: is not a zip file"]


def test_a_too_new_wheel_is_repaired(tmp_path: Path, public: Path) -> None:
    engine = make_engine(tmp_path)
    found = acquire(wanted(wheel(public, NEW), source=sdist(public)), OT2, engine)
    assert found.how == "repaired"
    facts = (engine.store.record(found.blob.sha256) or {})["facts"]
    assert (facts["from"], facts["changes"]) == (NEW, ["weak: statx"])


def test_without_repair_it_is_built(tmp_path: Path, public: Path) -> None:
    tools = FakeTools()
    source = sdist(public)
    engine = make_engine(tmp_path, tools=tools, repair=False)
    found = acquire(wanted(wheel(public, NEW), source=source), OT2, engine, as_of="2025-04-20")
    assert found.how == "built"
    assert (engine.store.record(found.blob.sha256) or {})["facts"] == {"sdist": source.sha256}
    (request,) = tools.requests
    assert (request.as_of, request.expects_native, request.source.sha256) == ("2025-04-20", True, source.sha256)
    assert "repairing is switched off" in reasons(found.passed_over)[0]


def test_a_build_is_not_done_again_for_another_offer_or_option(tmp_path: Path, public: Path) -> None:
    tools = FakeTools(repairs=False)
    source = sdist(public)
    first = acquire(wanted(wheel(public, NEW), source=source), OT2, make_engine(tmp_path, tools=tools))
    for engine in (make_engine(tmp_path, tools=tools, repair=False), make_engine(tmp_path, tools=tools)):
        assert acquire(wanted(source=source), OT2, engine).blob == first.blob
    assert [kind for kind, _ in tools.calls].count("build") == 1


def test_what_another_compiler_built_is_built_again(
    tmp_path: Path, public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools, source = FakeTools(), sdist(public)
    for version in ("1", "1", "2"):
        monkeypatch.setattr(compiler, "identity_of", lambda _name, *, offline, version=version: {"zig": version})
        monkeypatch.setattr(key, "identity_of", compiler.identity_of)
        acquire(wanted(source=source), OT2, make_engine(tmp_path, tools=tools))
    assert [kind for kind, _ in tools.calls].count("build") == 2


def test_an_indexs_wheel_that_was_chosen_needs_no_compiler(
    tmp_path: Path, public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered = wanted(wheel(public, FIT))
    acquire(offered, OT2, make_engine(tmp_path), as_of="2025-04-20")
    monkeypatch.setattr(compiler, "identity_of", lambda _name, *, offline: pytest.fail("it was not built"))
    assert acquire(offered, OT2, make_engine(tmp_path), as_of="2025-04-21").reused


@pytest.mark.parametrize("pinned_by_recipe", [True, False])
def test_a_recipes_own_source_is_built_if_it_is_pinned(tmp_path: Path, public: Path, pinned_by_recipe: bool) -> None:
    locked, own = sdist(public), sdist(public, "v1.0.zip")
    archive = Archive(urls=(own.url,), sha256=own.sha256 if pinned_by_recipe else None, path="sub")
    recipe = Recipe(name="demo", version="1.0", directory=tmp_path, digest="1", source=archive)
    tools = FakeTools(recipes={"demo": recipe})
    found = acquire(wanted(source=locked), OT2, make_engine(tmp_path, tools=tools))
    (request,) = tools.requests
    assert request.source.sha256 == (own if pinned_by_recipe else locked).sha256
    assert bool(found.passed_over) is not pinned_by_recipe


def test_a_repair_that_is_refused_leads_to_a_build(tmp_path: Path, public: Path) -> None:
    tools = FakeTools(repairs=False)
    found = acquire(wanted(wheel(public, NEW), source=sdist(public)), OT2, make_engine(tmp_path, tools=tools))
    assert found.how == "built"
    assert reasons(found.passed_over) == [f"repair of {NEW}: a strong symbol is too new"]


def test_nothing_left_names_the_package_the_chain_and_all_that_was_tried(tmp_path: Path, public: Path) -> None:
    tools = FakeTools(
        refuses={FIT: "glibc-too-new"},
        repairs=False,
        fails={"demo": BuildFailure("compiler failed", details=("x.c:1",))},
    )
    with pytest.raises(BuildFailure) as caught:
        acquire(wanted(wheel(public, FIT), source=sdist(public)), OT2, make_engine(tmp_path, tools=tools))
    assert str(caught.value) == "demo 1.0: no wheel for ot2-py310"
    assert caught.value.details == (
        "wanted by: top -> demo",
        f"{FIT}: for this test (glibc-too-new)",
        f"repair of {FIT}: a strong symbol is too new",
        "build of demo-1.0.tar.gz: compiler failed",
        "  x.c:1",
    )


def test_a_directory_named_by_the_project_comes_first(tmp_path: Path, public: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    make_wheel(own, "demo-1.0-cp310-cp310-linux_armv7l.whl", {"own.py": b""})
    make_wheel(own, "demo-2.0-cp310-cp310-linux_armv7l.whl")
    index = Index(name="own", url=own.as_uri())
    found = acquire(wanted(wheel(public, FIT)), OT2, make_engine(tmp_path), indexes=(index,))
    assert (found.blob.filename, found.how) == ("demo-1.0-cp310-cp310-linux_armv7l.whl", "index")


def test_all_packages_at_once_and_every_failure_told(tmp_path: Path, public: Path) -> None:
    tools = FakeTools(fails={name: BuildFailure(f"{name} does not compile") for name in ("bad", "worse")})
    engine = make_engine(tmp_path, tools=tools)
    good = wanted(wheel(public, FIT))
    natives = [wanted(source=sdist(public, f"{name}-1.0.tar.gz"), name=name) for name in ("bad", "worse", "fine")]
    with pytest.raises(BuildFailure) as caught:
        acquire_all([good, *natives], OT2, engine)
    text = "\n".join(caught.value.lines())
    assert text.startswith("2 packages have no wheel for ot2-py310")
    assert "bad does not compile" in text
    assert "worse does not compile" in text
    assert [call for call in tools.calls if call == ("build", "fine")], "one failure hides no other package"
    assert [one.wanted.name for one in acquire_all([good, natives[2]], OT2, engine)] == ["demo", "fine"]


def test_the_longest_build_begins_first(tmp_path: Path, public: Path) -> None:
    class Timed(FakeTools):
        def expected_seconds(self, name: str, profile: object) -> float:
            return {"short": 1.0, "long": 100.0, "middle": 10.0}[name]

    tools = Timed()
    names = ["short", "middle", "long"]
    packages = [wanted(source=sdist(public, f"{name}-1.0.tar.gz"), name=name) for name in names]
    acquire_all(packages, OT2, make_engine(tmp_path, tools=tools, jobs=1))
    assert [name for kind, name in tools.calls if kind == "build"] == ["long", "middle", "short"]


def test_offline_names_every_missing_file_and_the_command(tmp_path: Path, public: Path) -> None:
    engine = make_engine(tmp_path, offline=True)
    first = wanted(pinned(wheel(public, FIT)))
    second = wanted(source=pinned(sdist(public, "other-1.0.tar.gz")), name="other")
    with pytest.raises(OfflineFailure) as caught:
        acquire_all([first, second], OT2, engine, environment="lab")
    assert [detail.split()[0] for detail in caught.value.details] == [FIT, "other-1.0.tar.gz"]
    assert "ot2deploy bundle lab -o FILE.ot2bundle --profile ot2-py310" in caught.value.next


def test_offline_a_build_that_lacks_its_requirements_is_told_like_a_missing_file(tmp_path: Path, public: Path) -> None:
    lacking = OfflineFailure("what its build needs is not in uv's cache", subject="demo 1.0", details=("uv said",))
    engine = make_engine(tmp_path, tools=FakeTools(fails={"demo": lacking}), offline=True)
    first, second = wanted(source=sdist(public)), wanted(pinned(wheel(public, FIT)), name="other")
    with pytest.raises(OfflineFailure) as caught:
        acquire_all([first, second], OT2, engine, environment="lab")
    assert caught.value.details[0] == "demo 1.0: what its build needs is not in uv's cache"
    assert caught.value.details[1].startswith(FIT)
    assert "ot2deploy bundle lab" in caught.value.next


def test_offline_is_answered_from_the_store(tmp_path: Path, public: Path) -> None:
    served_wheel = wheel(public, FIT)
    acquire(wanted(served_wheel), OT2, make_engine(tmp_path))
    found = acquire(wanted(pinned(served_wheel)), OT2, make_engine(tmp_path, offline=True))
    assert found.reused


def test_a_damaged_wheel_in_the_store_is_got_again(tmp_path: Path, public: Path) -> None:
    engine = make_engine(tmp_path)
    asked = wanted(wheel(public, FIT))
    found = acquire(asked, OT2, engine)
    found.blob.path.write_bytes(b"")
    again = acquire(asked, OT2, engine)
    assert again.blob == found.blob
    assert again.blob.path.stat().st_size == again.blob.size


def test_what_can_be_had_is_given_beside_what_cannot(tmp_path: Path, public: Path) -> None:
    bad, good = wanted(source=sdist(public, "bad-1.0.tar.gz"), name="bad"), wanted(wheel(public, PURE))
    engine = make_engine(tmp_path, tools=FakeTools(fails={"bad": BuildFailure("compiler failed")}))
    got = gather([bad, good], OT2, engine)
    assert (list(got.found), list(got.failures)) == (["demo"], ["bad"])
    assert got.jobs["bad"].tried[0].what == "build of bad-1.0.tar.gz"


def test_without_building_what_would_be_built_is_left_open(tmp_path: Path, public: Path) -> None:
    tools = FakeTools()
    asked = [wanted(source=sdist(public, "other-1.0.tar.gz"), name="other"), wanted(wheel(public, PURE))]
    got = gather(asked, OT2, make_engine(tmp_path, tools=tools), build=False)
    assert (list(got.found), list(got.failures), sorted(got.jobs)) == (["demo"], [], ["demo", "other"])
    assert ("build", "other") not in tools.calls


def test_fail_fast_starts_nothing_after_the_first_failure(tmp_path: Path, public: Path) -> None:
    asked = [wanted(source=sdist(public, f"{name}-1.0.tar.gz"), name=name) for name in ("bad", "long", "other")]
    tools = FakeTools(fails={name: BuildFailure("compiler failed") for name in ("bad", "long", "other")})
    got = gather(asked, OT2, make_engine(tmp_path, tools=tools, jobs=1), fail_fast=True)
    assert len(got.failures) == 1


def test_cores_are_shared_by_the_builds_that_run_at_once(
    tmp_path: Path, public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    asked = [wanted(source=sdist(public, f"{name}-1.0.tar.gz"), name=name) for name in ("one", "two")]
    tools = FakeTools()
    gather(asked, OT2, make_engine(tmp_path, tools=tools, jobs=8))
    gather([wanted(source=sdist(public, "three-1.0.tar.gz"), name="three")], OT2, make_engine(tmp_path, tools=tools))
    assert {request.name: options.jobs for request, options in zip(tools.requests, tools.options, strict=True)} == {
        "one": 4, "two": 4, "three": 8,
    }  # fmt: skip
