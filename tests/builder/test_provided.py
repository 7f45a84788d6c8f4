"""A resolution around packages that are there already: what it takes, and what stands in its way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from wheel_factory import make_wheel

from builder import uv as uv_module
from builder.environment import Environment
from builder.lock import lock, parse
from builder.pipeline import make_bundle, open_engine
from builder.profile import load
from builder.provided import Conflict, ProvidedConflict, compile_beside, conflicts_in, left_out
from builder.uv import Question

OT2 = load("ot2-py310")
THERE = {"pydantic": "1.10.12", "numpy": "1.21.6", "typing-extensions": "4.9.0"}
# Real lines of uv 0.13.
DIRECT = """error: No solution found when resolving dependencies
  cause: Because only pydantic==1.10.12 is available and you require pydantic>=2, we can conclude that your requirements
are unsatisfiable."""
DEEP = """error: No solution found when resolving dependencies
  cause: Because only typing-extensions==4.9.0 is available and pydantic-settings<=0.2.5 depends on
typing-extensions>=3.7.4,<4.0.0, we can conclude that pydantic-settings<=0.2.5 cannot be used.
         Because only pydantic==1.10.12 is available and pydantic-settings>=2.1.0,<=2.2.1 depends on pydantic>=2.3.0, we
can conclude that pydantic-settings>=2.1.0,<=2.2.1 cannot be used.
         Because only pydantic==1.10.12 is available and pydantic-settings>=2.3.0 depends on pydantic>=2.7.0, we can
conclude that pydantic-settings>=2.3.0 cannot be used.
         And because xarray==1 depends on numpy>=1.21 and other==1 depends on six>=2, nothing of that is about us."""
ONE_OF = """Because rack==1 depends on one of:
             numpy{python_full_version >= '3.10'}>=1.22,<1.23
             numpy>=1.24
         we can conclude that rack==1 cannot be used."""


def test_who_is_in_the_way_of_whom_is_read_from_the_explanation() -> None:
    direct = Conflict(name="pydantic", version="1.10.12", wanted="pydantic>=2")
    assert conflicts_in(DIRECT.splitlines(), THERE) == (direct,)
    assert str(direct) == "pydantic>=2 was asked for; the robot's own pydantic 1.10.12 wins"
    (deep,) = conflicts_in(DEEP.splitlines(), THERE)
    assert str(deep) == "pydantic-settings needs pydantic>=2.7.0; the robot's own pydantic 1.10.12 wins"
    (either,) = conflicts_in(ONE_OF.splitlines(), THERE)
    assert (either.by, either.wanted) == ("rack", "numpy>=1.22,<1.23 or numpy>=1.24")
    assert conflicts_in(["the network is down"], THERE) == ()


def question(*wheels: Path, more: tuple[str, ...] = ()) -> Question:
    named = [f"{path.name.split('-')[0]} @ {path.as_uri()}" for path in wheels]
    return Question(requirements=[*named, *more], constraints=[], python="3.10", as_of="2025-04-20")


def wheel(where: Path, name: str, *needs: str) -> Path:
    lines = "".join(f"Requires-Dist: {need}\n" for need in needs)
    return make_wheel(where, f"{name}-1.0-py3-none-any.whl", {f"{name}.py": b""}, metadata=lines)


def compiled(tmp_path: Path, asked: Question, there: Mapping[str, str] = THERE) -> dict[str, str]:
    out = tmp_path / "pylock.toml"
    compile_beside(uv_module.find(), asked, there, out)
    return {package.name: package.version for package in parse(out.read_text(), str(out))}


def test_what_is_there_is_taken_as_it_is_and_asks_for_nothing(tmp_path: Path) -> None:
    plates = wheel(tmp_path, "plates", "numpy>=1.20", "pydantic[email]", "typing-extensions")
    assert compiled(tmp_path, question(plates), {**THERE, "broken": "2004d-beta"}) == {"plates": "1.0", **THERE}


def test_every_conflict_is_told_at_once(tmp_path: Path) -> None:
    plates = wheel(tmp_path, "plates", "pydantic>=2")
    racks = wheel(tmp_path, "racks", "numpy>=1.26,<2", "plates")
    with pytest.raises(ProvidedConflict) as caught:
        compiled(tmp_path, question(plates, racks, more=("typing-extensions==4.13.0",)))
    assert [str(one) for one in caught.value.conflicts] == [
        "plates needs pydantic>=2; the robot's own pydantic 1.10.12 wins",
        "racks needs numpy>=1.26,<2; the robot's own numpy 1.21.6 wins",
        "typing-extensions==4.13.0 was asked for; the robot's own typing-extensions 4.9.0 wins",
    ]


def test_a_file_in_another_version_than_is_there_is_a_conflict(tmp_path: Path) -> None:
    out = tmp_path / "pylock.toml"
    compile_beside(uv_module.find(), question(wheel(tmp_path, "plates")), {"plates": "0.9"}, out)
    with pytest.raises(ProvidedConflict, match=r"plates==1.0 was asked for; the robot's own plates 0.9 wins"):
        left_out(parse(out.read_text(), str(out)), {"plates": "0.9"})


def shared(local: Path, provided: Mapping[str, str]) -> Environment:
    return Environment(
        name="shared", local=(local,), shared=True, system_packages=True, provided=provided, constraints=("six<3",),
        as_of="2025-04-20",
    )  # fmt: skip


def test_the_bundle_has_what_is_missing_and_says_what_it_leans_on(tmp_path: Path) -> None:
    plates = wheel(tmp_path, "plates", "numpy", "racks")
    engine = open_engine(tmp_path / "locks", store_root=tmp_path / "store")
    made = make_bundle(shared(plates, {**THERE, "racks": "3"}), OT2, engine).manifest
    assert [row["name"] for row in made["wheels"]] == ["plates"]
    assert made["provided"] == {"numpy": "1.21.6", "racks": "3"}
    assert (made["shared"], made["constraints"], made["system_packages"]) == (True, ["six<3"], True)
    assert [check["name"] for check in made["checks"]["live"]] == ["import plates in protocols"]
    assert make_bundle(shared(plates, {**THERE, "racks": "3"}), OT2, engine).manifest == made


def test_robots_with_other_packages_have_a_lock_of_their_own(tmp_path: Path) -> None:
    plates, uv = wheel(tmp_path, "plates"), uv_module.find()
    first = [lock(shared(plates, there), tmp_path, uv, uv_version="1") for there in (THERE, {"numpy": "1.26"})]
    assert len({one.path for one in first}) == 2
    assert lock(shared(plates, THERE), tmp_path, uv, uv_version="1").digest == first[0].digest
