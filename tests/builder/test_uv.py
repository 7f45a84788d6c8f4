"""uv is asked the right way, and what it says is understood."""

from __future__ import annotations

import contextlib
import json
import stat
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from wheel_factory import make_wheel

from builder import uv as uv_module
from builder.environment import Index
from builder.errors import BuildFailure, NetworkFailure, OfflineFailure, ToolFailure, UsageFailure
from builder.lock import parse
from builder.uv import Question, Uv, end_of, index_urls, parents
from builder.uv_settings import settings

LAB_KEYS = {"exclude-newer": False, "cache-control": {"api": "max-age=0"}}
QUESTION = Question(requirements=["demo"], constraints=["demo<2"], python="3.10", as_of="2025-04-20")


def program(tmp_path: Path, body: str) -> Uv:
    """A program in uv's place that writes down how it was called."""
    path = tmp_path / "uv"
    record = f"import json, os, sys\nfile = open({str(tmp_path / 'calls')!r}, 'a')\n"
    path.write_text(
        f"#!{sys.executable}\n{record}print(json.dumps([sys.argv[1:], dict(os.environ)]), file=file)\n{body}\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Uv(path)


def calls(tmp_path: Path) -> list[tuple[list[str], dict[str, str]]]:
    return [tuple(json.loads(line)) for line in (tmp_path / "calls").read_text().splitlines()]


def failing(tmp_path: Path, text: str) -> Uv:
    return program(tmp_path, f"print({text!r}, file=sys.stderr)\nsys.exit(1)")


def test_a_date_ends_at_midnight_utc_wherever_the_host_is() -> None:
    assert end_of("2025-04-20") == "2025-04-21T00:00:00Z"
    assert end_of("2024-12-31") == "2025-01-01T00:00:00Z"
    assert end_of("2025-04-20T10:00:00Z") == "2025-04-20T10:00:00Z"


def test_who_wants_what_is_read_from_the_notes() -> None:
    text = """aiosqlite==0.21.0         # via prefect
async-timeout==5.0.1 ; python_full_version < '3.11'  # via asyncpg, python-socks
greenlet==3.1.1           # via sqlalchemy, -c constraints.txt
prefect==3.3.4            # via -r requirements.in
mine @ file:///x/mine-1.tar.gz  # via -r requirements.in
"""
    assert parents(text) == {
        "aiosqlite": ["prefect"],
        "async-timeout": ["asyncpg", "python-socks"],
        "greenlet": ["sqlalchemy"],
        "prefect": [""],
        "mine": [""],
    }


def test_the_users_index_goes_on_working_and_find_links_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PIP_INDEX_URL": "https://mirror.invalid/simple",
        "PIP_FIND_LINKS": "/wheels",
        "UV_FIND_LINKS": "/wheels",
        "UV_EXCLUDE_NEWER": "2020-01-01",
        "UV_INDEX_LAB_PASSWORD": "secret",
        "PYTHONPATH": "/somewhere",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("UV_INDEX_URL", raising=False)
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    program(tmp_path, "").freeze(Path("python"))
    ((_, seen),) = calls(tmp_path)
    assert seen["UV_DEFAULT_INDEX"] == "https://mirror.invalid/simple"
    assert seen["UV_INDEX_LAB_PASSWORD"] == "secret"
    assert not {"PIP_FIND_LINKS", "UV_FIND_LINKS", "UV_EXCLUDE_NEWER", "PYTHONPATH"} & set(seen)


def test_the_question_is_asked_twice_and_the_second_time_offline(tmp_path: Path) -> None:
    body = """
if "--output-file" in sys.argv:
    open(sys.argv[sys.argv.index("--output-file") + 1], "w").write("locked")
else:
    print("demo==1.0  # via -r requirements.in")
"""
    indexes = (Index(name="own", url="file:///my%20wheels"), Index(name="lab", url="https://lab.invalid/simple"))
    question = Question(requirements=["demo"], constraints=[], python="3.10", as_of="2025-04-20", indexes=indexes)
    found = program(tmp_path, body).compile_lock(question, tmp_path / "out.toml")
    assert found == {"demo": [""]}
    assert (tmp_path / "out.toml").read_text() == "locked\n"
    (first, _), (second, _) = calls(tmp_path)
    assert "--offline" not in first
    assert "--offline" in second
    assert "lab.invalid" not in " ".join(first), "what stands in argv can be read by everybody on the host"
    for pair in (
        ["--exclude-newer", "2025-04-21T00:00:00Z"],
        ["--python-version", "3.10"],
        ["--find-links", "/my wheels"],
    ):
        assert " ".join(pair) in " ".join(first)


def ask(uv: Uv, *indexes: Index) -> None:
    question = Question(requirements=["demo"], constraints=[], python="3.10", as_of="2025-04-20", indexes=indexes)
    with contextlib.suppress(BuildFailure):
        uv.compile_lock(question, uv.program.with_name("out"))


def test_named_indexes_come_before_the_users_own_and_hold_for_any_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_INDEX", "own=https://own.invalid/simple https://bob:other@plain.invalid/simple")
    monkeypatch.setenv("UV_INDEX_OWN_PASSWORD", "theirs")
    monkeypatch.delenv("UV_EXTRA_INDEX_URL", raising=False)
    ask(
        program(tmp_path, f"open({str(tmp_path / 'toml')!r}, 'w').write(open('uv.toml').read()); sys.exit(1)"),
        Index(name="our lab", url="https://bob:s%40cret@lab.invalid/simple"),
    )
    ((argv, seen),) = calls(tmp_path)
    read = tomllib.loads((tmp_path / "toml").read_text())
    assert read["index"] == [
        {"name": "our-lab", "url": "https://lab.invalid/simple", **LAB_KEYS},
        {"name": "own", "url": "https://own.invalid/simple"},
        {"name": "user-2", "url": "https://plain.invalid/simple"},
    ]
    assert "UV_INDEX" not in seen
    assert (seen["UV_INDEX_OUR_LAB_USERNAME"], seen["UV_INDEX_OUR_LAB_PASSWORD"]) == ("bob", "s@cret")
    assert (seen["UV_INDEX_OWN_PASSWORD"], seen["UV_INDEX_USER_2_PASSWORD"]) == ("theirs", "other")
    assert "cret" not in " ".join(argv) + (tmp_path / "toml").read_text()


def test_a_file_of_settings_that_hides_the_projects_indexes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "uv.toml"))
    question = Question(requirements=["demo"], constraints=[], python="3.10", as_of="2025-04-20")
    with pytest.raises(BuildFailure):  # its own words: nothing is in the way of a project without indexes
        failing(tmp_path, "No solution").compile_lock(question, tmp_path / "out")
    with pytest.raises(UsageFailure, match="UV_CONFIG_FILE is set"):
        failing(tmp_path, "No solution").compile_lock(
            replace(question, indexes=(Index(name="lab", url="https://lab.invalid/simple"),)), tmp_path / "out"
        )


def test_two_names_that_uv_would_take_for_one_stay_two() -> None:
    indexes = [Index(name="a.b", url="https://x:1@a.invalid/"), Index(name="a-b", url="https://x:2@b.invalid/")]
    found = settings(indexes, {})
    assert [one["name"] for one in tomllib.loads(found.text)["index"]] == ["a.b", "a-b-2"]
    assert {name: value for name, value in found.variables.items() if "PASSWORD" in name} == {
        "UV_INDEX_A_B_PASSWORD": "1",
        "UV_INDEX_A_B_2_PASSWORD": "2",
    }


def test_the_urls_of_the_users_indexes_are_known() -> None:
    outer = {
        "PIP_INDEX_URL": "https://a.invalid/simple",
        "UV_INDEX": "lab=https://bob:x@b.invalid/s https://c.invalid/",
    }
    found = index_urls(outer)
    assert sorted(found) == ["https://a.invalid/simple", "https://bob:x@b.invalid/s", "https://c.invalid/"]


def test_packages_say_which_of_the_projects_indexes_they_are_from(tmp_path: Path) -> None:
    body = """
if "--output-file" in sys.argv:
    open(sys.argv[sys.argv.index("--output-file") + 1], "w").write(
        '[[packages]]\\nname = "demo"\\nversion = "1"\\n[[packages]]\\nname = "other"\\nversion = "1"\\n')
else:
    print("demo==1.0  # via -r requirements.in\\n    # from https://lab.invalid/simple/")
    print("other==1.0  # via demo\\n    # from https://world.invalid/simple")
"""
    index = Index(name="lab", url="https://bob:secret@lab.invalid/simple")
    question = Question(requirements=["demo"], constraints=[], python="3.10", as_of="2025-04-20", indexes=(index,))
    found = program(tmp_path, body).compile_lock(question, tmp_path / "out.toml")
    assert found == {"demo": [""], "other": ["demo"]}
    demo, other = tomllib.loads((tmp_path / "out.toml").read_text())["packages"]
    assert demo["index"] == "https://lab.invalid/simple/"
    assert "index" not in other


def test_a_uv_that_is_too_old_is_told_as_such(tmp_path: Path) -> None:
    said = "error: Required uv version `>=0.11.6` does not match the running version `0.8.0`."
    with pytest.raises(BuildFailure, match="uv is too old"):
        failing(tmp_path, said).compile_lock(QUESTION, tmp_path / "out")


def test_an_index_that_is_down_is_named(tmp_path: Path) -> None:
    index = Index(name="lab", url="https://bob:secret@lab.invalid/simple")
    question = Question(requirements=["demo"], constraints=[], python="3.10", as_of="2025-04-20", indexes=(index,))
    said = "error sending request for url (https://lab.invalid/simple/demo/)"
    with pytest.raises(NetworkFailure, match="the index lab cannot be reached"):
        failing(tmp_path, said).compile_lock(question, tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "offline", "kind"),
    [
        ("error: Because network is disabled, setuptools was not found in the cache", True, OfflineFailure),
        ("error sending request for url (https://x.invalid)", False, NetworkFailure),
        ("No solution found: setuptools<1 and setuptools>2", False, ToolFailure),
    ],
)
def test_build_requirements_that_cannot_be_reached_are_no_failed_build(
    tmp_path: Path, text: str, offline: bool, kind: type[BuildFailure]
) -> None:
    uv = failing(tmp_path, text)
    uv.offline = offline
    with pytest.raises(BuildFailure) as caught:
        uv.install(tmp_path / "python", ["setuptools"], log=tmp_path / "log")
    assert type(caught.value) is kind
    assert text in caught.value.details


def test_a_back_end_that_fails_is_told_with_its_own_words(tmp_path: Path) -> None:
    project = tmp_path / "mine"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'own'\nbackend-path = ['.']\n"
    )
    (project / "own.py").write_text("raise SystemExit('set MYLIB_DIR')\n")
    with pytest.raises(BuildFailure) as caught:
        uv_module.find().build_sdist(project, tmp_path)
    assert type(caught.value) is BuildFailure  # not a tool's: what else was ordered goes on
    assert "set MYLIB_DIR" in caught.value.details


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("No solution found: because demo<1 and demo>2 are incompatible", BuildFailure),
        ("error sending request for url (https://x.invalid)", NetworkFailure),
    ],
)
def test_what_went_wrong_is_told_with_uvs_own_words(tmp_path: Path, text: str, kind: type[BuildFailure]) -> None:
    with pytest.raises(BuildFailure) as caught:
        failing(tmp_path, text).compile_lock(QUESTION, tmp_path / "out")
    assert type(caught.value) is kind
    assert caught.value.details == (text,)


def test_offline_is_its_own_failure(tmp_path: Path) -> None:
    uv = failing(tmp_path, "demo was not found in the cache")
    uv.offline = True
    with pytest.raises(OfflineFailure):
        uv.compile_lock(QUESTION, tmp_path / "out")


def test_uvs_version_is_known_without_starting_it() -> None:
    assert uv_module.version()


def test_the_real_uv_resolves_from_a_directory(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    make_wheel(wheels, "demo-1.0-py3-none-any.whl", metadata="Requires-Dist: other\n")
    make_wheel(wheels, "demo-3.0-py3-none-any.whl")
    make_wheel(wheels, "other-2.0-cp310-cp310-linux_armv7l.whl")
    index = Index(name="own", url=wheels.as_uri())
    question = Question(
        requirements=["demo"], constraints=["demo<2"], python="3.10", as_of="2025-04-20", indexes=(index,)
    )
    found = uv_module.find()
    found.offline = True
    assert found.compile_lock(question, tmp_path / "pylock.toml") == {"demo": [""], "other": ["demo"]}
    packages = parse((tmp_path / "pylock.toml").read_text(), str(tmp_path / "pylock.toml"))
    assert [(one.name, one.version) for one in packages] == [("demo", "1.0"), ("other", "2.0")]
    assert packages[0].wheels[0].url == (wheels / "demo-1.0-py3-none-any.whl").as_uri()
