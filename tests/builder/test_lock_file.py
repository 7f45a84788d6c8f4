"""Locks are made once and kept while their inputs are the same."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

import pytest
from engine_factory import FakeUv, lock_text
from wheel_factory import make_wheel

from builder.environment import Environment, Index
from builder.errors import BuildFailure
from builder.fetch import Fetcher
from builder.local import LocalFile
from builder.lock import Locked, LockedFile, current, lock, parse, path_of, read

LAB = Environment(name="lab", requirements=("demo>=1",), constraints=("other<2",), as_of="2025-04-20")
DEMO = Locked(
    name="demo",
    version="1.0",
    marker='python_full_version < "3.12"',
    wheels=(
        LockedFile(
            filename="demo-1.0-py3-none-any.whl", url="https://f.invalid/demo-1.0-py3-none-any.whl", sha256="a" * 64
        ),
    ),
    sdist=LockedFile(filename="demo-1.0.tar.gz", url="https://f.invalid/demo-1.0.tar.gz", sha256="b" * 64),
    parents=("",),
)


def locked(environment: Environment, where: Path, uv: FakeUv, **options: object) -> object:
    nobody = Fetcher(offline=True)
    return lock(environment, where, uv, **{"uv_version": "1.0", "fetcher": nobody, **options})  # type: ignore[arg-type]


def test_a_lock_says_what_it_was_made_of(tmp_path: Path) -> None:
    uv = FakeUv(packages=[DEMO])
    found = lock(LAB, tmp_path, uv, uv_version="1.0")
    assert found.path == tmp_path / "pylock.lab.toml"
    assert (found.as_of, found.uv) == ("2025-04-20", "1.0")
    assert found.packages == (DEMO,)
    (question,) = uv.questions
    assert (question.requirements, question.constraints, question.python) == (["demo>=1"], ("other<2",), "3.10")


def test_it_is_used_again_until_an_input_changes(tmp_path: Path) -> None:
    uv = FakeUv(packages=[DEMO])
    first = lock(LAB, tmp_path, uv, uv_version="1.0")
    assert lock(LAB, tmp_path, uv, uv_version="1.0") == first
    assert len(uv.questions) == 1
    local = LocalFile(name="mine", sha256="c" * 64, path=tmp_path / "mine.whl", origin=tmp_path)
    changed = [
        ({}, {"uv_version": "1.1"}),
        ({"requirements": ("demo>=2",)}, {}),
        ({"constraints": ()}, {}),
        ({"as_of": "2025-05-01"}, {}),
        ({"python": "3.11"}, {}),
        ({"indexes": (Index(name="x", url="https://x.invalid/simple"),)}, {}),
        ({}, {"local": [local]}),
        ({}, {"upgrade": True}),
    ]
    for number, (fields, options) in enumerate(changed, start=2):
        locked(replace(LAB, **fields), tmp_path, uv, **options)  # type: ignore[arg-type]
        assert len(uv.questions) == number, (fields, options)


def test_checks_and_variables_do_not_ask_for_a_new_lock(tmp_path: Path) -> None:
    uv = FakeUv(packages=[DEMO])
    locked(LAB, tmp_path, uv)
    locked(replace(LAB, variables={"A": "b"}, quick=()), tmp_path, uv)
    assert len(uv.questions) == 1


def test_another_password_asks_for_no_new_lock(tmp_path: Path) -> None:
    uv = FakeUv(packages=[DEMO])
    for login in ("", "bob:old@", "bob:new@"):
        index = Index(name="lab", url=f"https://{login}lab.invalid/simple")
        locked(replace(LAB, indexes=(index,)), tmp_path, uv)
    assert len(uv.questions) == 1


def test_a_new_wheel_in_a_directory_asks_for_a_new_lock(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    uv = FakeUv(packages=[DEMO])
    environment = replace(LAB, indexes=(Index(name="own", url=wheels.as_uri()),))
    locked(environment, tmp_path, uv)
    make_wheel(wheels)
    locked(environment, tmp_path, uv)
    assert len(uv.questions) == 2


def test_without_a_date_the_day_of_the_first_lock_is_kept(tmp_path: Path) -> None:
    uv = FakeUv(packages=[DEMO])
    undated = replace(LAB, as_of=None)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    found = lock(undated, tmp_path, uv, uv_version="1.0")
    assert found.as_of >= today
    aged = found.path.read_text().replace(found.as_of, "2024-01-02")
    found.path.write_text(aged)
    again = lock(replace(undated, requirements=("demo>=3",)), tmp_path, uv, uv_version="1.0")
    assert (again.as_of, uv.questions[-1].as_of) == ("2024-01-02", "2024-01-02")
    assert lock(undated, tmp_path, uv, uv_version="1.0", upgrade=True).as_of >= today


def test_without_uv_a_lock_of_any_uv_will_do(tmp_path: Path) -> None:
    locked(LAB, tmp_path, FakeUv(packages=[DEMO]))
    assert current(LAB, tmp_path, (), None)
    assert current(LAB, tmp_path, (), "9.9") is None
    assert current(replace(LAB, python="3.12"), tmp_path, (), None) is None


def test_a_conflict_names_the_environment(tmp_path: Path) -> None:
    uv = FakeUv(failure=BuildFailure("the requirements cannot be resolved", details=("because ...",)))
    with pytest.raises(BuildFailure, match="lab: the requirements cannot be resolved"):
        locked(LAB, tmp_path, uv)
    assert read(LAB, tmp_path) is None


def test_local_files_are_named_by_path(tmp_path: Path) -> None:
    uv = FakeUv(packages=[DEMO])
    local = LocalFile(name="mine", sha256="c" * 64, path=tmp_path / "mine-1.whl", origin=tmp_path)
    locked(LAB, tmp_path, uv, local=[local])
    assert uv.questions[0].requirements == ["demo>=1", f"mine @ {(tmp_path / 'mine-1.whl').as_uri()}"]


def test_a_file_of_another_kind_is_no_lock(tmp_path: Path) -> None:
    path_of(LAB, tmp_path).write_text(lock_text([DEMO]))
    assert read(LAB, tmp_path) is None
    for header in ("{", "[]", "{}"):
        path_of(LAB, tmp_path).write_text(f"# ot2deploy-lock: {header}\n")
        assert read(LAB, tmp_path) is None
    with pytest.raises(BuildFailure, match="is not a lock file"):
        parse("lock-version = 3", "x")


def test_dots_leave_the_name(tmp_path: Path) -> None:
    assert path_of(replace(LAB, name="lab.v2"), tmp_path).name == "pylock.lab-v2.toml"


def test_archives_count_as_what_they_are_and_paths_are_resolved(tmp_path: Path) -> None:
    text = f"""lock-version = "1.0"
created-by = "uv"
[[packages]]
name = "mine"
version = "1"
archive = {{ path = "mine-1.tar.gz", hashes = {{ sha256 = "{"d" * 64}" }} }}
[[packages]]
name = "wheel"
version = "1"
archive = {{ url = "https://f.invalid/wheel-1-py3-none-any.whl", hashes = {{ sha256 = "{"e" * 64}" }} }}
"""
    mine, wheel = parse(text, str(tmp_path / "pylock.x.toml"))
    assert mine.sdist
    assert mine.sdist.url == (tmp_path / "mine-1.tar.gz").as_uri()
    assert [file.filename for file in wheel.wheels] == ["wheel-1-py3-none-any.whl"]


@pytest.mark.parametrize(
    "entry",
    [
        'vcs = { type = "git", url = "x", commit-id = "1" }',
        'wheels = [{ url = "https://f.invalid/a-1-py3-none-any.whl", hashes = { md5 = "1" } }]',
    ],
)
def test_what_has_no_sha256_is_refused(entry: str) -> None:
    text = f'lock-version = "1.0"\ncreated-by = "uv"\n[[packages]]\nname = "a"\nversion = "1"\n{entry}\n'
    with pytest.raises(BuildFailure, match="locked without a"):
        parse(text, "pylock.a.toml")
