"""The lab's own index, asked by the real uv and by us: what is taken from where, and what never is."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from engine_factory import OT2, FakeTools, Told, make_engine
from loopback_index import LONG_AGO, Served, fill, serving
from wheel_factory import make_wheel

from builder import uv as uv_module
from builder.engine import Engine
from builder.environment import Environment, Index
from builder.errors import BuildFailure, NetworkFailure
from builder.fetch import Fetcher
from builder.pipeline import make_bundle, make_lock, renew_lock
from builder.targets import Search
from builder.wheels import orders
from builder.wheels.nearest import nearest
from builder.wheels.outlook import look

PRIVATE, HIGHER = "private-1.0-py3-none-any.whl", "private-9.0-py3-none-any.whl"
PURE, NATIVE = "demo-1.0-py3-none-any.whl", "demo-1.0-cp310-cp310-linux_armv7l.whl"
REVISION = "demo-1.0-1-cp310-cp310-linux_armv7l.whl"
BOTH = Environment(name="both", requirements=("private", "demo"), as_of="2025-04-20")
TREE = "/{profile}/simple/"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """The index that everybody may upload to: it has the public project, and a higher version of the lab's own name."""
    fill(tmp_path / "world", {"any": [HIGHER, PURE]}, uploaded=LONG_AGO)
    for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    with serving(tmp_path / "world") as served:
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{served.url}/any/simple/")
        yield served


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Served]:
    fill(tmp_path / "lab", {"ot2-py310": [PRIVATE, NATIVE]}, own=["private"])
    with serving(tmp_path / "lab") as served:
        yield served


@pytest.fixture
def engine(tmp_path: Path, world: Served) -> Callable[..., Engine]:
    """An engine with the real uv, whose project names indexes."""

    def make(*urls: str, **options: object) -> Engine:
        indexes = tuple(Index(name=f"lab{number or ''}", url=url, said="here") for number, url in enumerate(urls))
        search = Search(environments=(), packages=(), indexes=indexes)
        tools = options.pop("tools", None) or FakeTools()
        return make_engine(tmp_path / "work", uv=uv_module.find(), tools=tools, search=search, **options)  # type: ignore[arg-type]

    return make


def bundled(engine: Engine, environment: Environment = BOTH) -> list[str]:
    return sorted(blob.filename for blob in make_bundle(engine.search.indexed(environment), OT2, engine).blobs)


def test_a_private_name_is_never_looked_up_elsewhere_and_the_labs_wheel_comes_first(lab, world, engine) -> None:
    assert bundled(engine(lab.url + TREE)) == [NATIVE, PRIVATE]
    assert not [path for path in world.asked if "private" in path]
    assert bundled(engine()) == [PURE, HIGHER]  # what would have been had without the lab's index


def test_a_version_that_the_lab_does_not_have_is_told_without_a_hint_to_look_elsewhere(lab, world, engine) -> None:
    missing = Environment(name="missing", requirements=("private==9.0",), as_of="2025-04-20")
    with pytest.raises(BuildFailure, match="private has no such version") as caught:
        bundled(engine(lab.url + TREE), missing)
    assert f"a project of {lab.url}" in caught.value.why
    assert "unsafe-best-match" not in "\n".join(caught.value.lines())
    assert not [path for path in world.asked if "private" in path]


def test_as_much_holds_for_a_directory(tmp_path, lab, engine) -> None:
    assert bundled(engine((tmp_path / "lab").as_uri() + TREE)) == [NATIVE, PRIVATE]


def test_a_users_other_strategy_does_not_open_private_names(lab, engine, monkeypatch) -> None:
    monkeypatch.setenv("UV_INDEX_STRATEGY", "unsafe-best-match")
    assert bundled(engine(lab.url + TREE)) == [NATIVE, PRIVATE]


def test_the_users_own_settings_come_after_the_labs(tmp_path, lab, world, engine, monkeypatch) -> None:
    settings = tmp_path / "config" / "uv" / "uv.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f'[[index]]\nname = "other"\nurl = "{world.url}/any/simple/"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("UV_INDEX", f"again={world.url}/any/simple/")
    assert bundled(engine(lab.url + TREE)) == [NATIVE, PRIVATE]


def test_a_channel_and_a_profile_that_the_index_does_not_have(tmp_path, lab, engine) -> None:
    fill(tmp_path / "lab", {"ot2-py312/dev": ["private-2.0-py3-none-any.whl"]}, own=["private"])
    made = make_bundle(
        BOTH.with_indexes(first=[Index(name="lab", url=f"{lab.url}/{{profile}}/dev/simple/")]), OT2, engine()
    )
    assert [(row["filename"], row["how"]) for row in made.manifest["wheels"]] == [
        (PURE, "public"),
        ("private-2.0-py3-none-any.whl", "index"),  # of another profile's branch, but the lab's
    ]


def test_an_index_of_somebody_else_is_asked_for_its_login_and_nothing_more(tmp_path, lab, engine, monkeypatch) -> None:
    plain = f"{lab.url}/ot2-py310/simple"
    (tmp_path / "lab" / "ot2-py310" / "simple" / "index.html").unlink()
    (tmp_path / "lab" / "ot2-py310" / "simple" / "index.json").unlink()
    assert bundled(engine(plain)) == [NATIVE, PRIVATE]
    lab.login = ("bob", "s3cret")
    monkeypatch.setitem(sys.modules, "keyring", None)
    later = engine(plain, upgrade=True)
    with pytest.raises(NetworkFailure, match=r"the index lab cannot be asked: .* answered 401"):
        renew_lock(later.search.indexed(BOTH), later)


@pytest.mark.parametrize("wrong", ["/elsewhere/{profile}/simple/", "/{profile}/dev/simple/"])
def test_an_address_where_no_index_is_stops_everything(lab, engine, wrong) -> None:
    with pytest.raises(NetworkFailure, match="answered 404: no index") as caught:
        bundled(engine(lab.url + wrong))
    assert "looked up elsewhere" in caught.value.why
    assert "it is named in here" in caught.value.next


def test_a_stick_that_is_not_plugged_in_stops_everything(tmp_path, engine) -> None:
    with pytest.raises(NetworkFailure, match="the index lab is not there"):
        bundled(engine((tmp_path / "stick").as_uri() + TREE))
    (tmp_path / "stick" / "own" / "simple").mkdir(parents=True)
    with pytest.raises(NetworkFailure, match="no branch of an index"):
        bundled(engine((tmp_path / "stick").as_uri() + TREE))


def test_what_was_bundled_needs_no_stick_any_more_and_what_was_not_stops(tmp_path, lab, engine) -> None:
    stick = tmp_path / "lab"
    url = stick.as_uri() + TREE
    before = bundled(engine(url))
    stick.rename(tmp_path / "pocket")
    assert bundled(engine(url)) == before
    told = Told()
    later = engine(url)
    other = replace(later.search.indexed(BOTH), variables={"A": "b"})
    assert sorted(blob.filename for blob in make_bundle(other, OT2, later, told).blobs) == before
    assert len([line for line in told.messages if "is not there" in line and "last time" in line]) == 1
    (tmp_path / "pocket").rename(stick)
    fill(stick, {"ot2-py310": [REVISION]})
    assert bundled(engine(url)) == [REVISION, PRIVATE]


def test_a_directory_of_wheels_that_is_gone_is_not_taken_for_an_empty_one(tmp_path, engine) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    make_wheel(wheels, PRIVATE)
    alone = Environment(name="alone", requirements=("private<2",), as_of="2025-04-20")
    assert bundled(engine(wheels.as_uri()), alone) == [PRIVATE]
    wheels.rename(tmp_path / "gone")
    assert bundled(engine(wheels.as_uri()), alone) == [PRIVATE]
    for changed in (replace(alone, variables={"A": "b"}), replace(alone, requirements=("private<3",))):
        with pytest.raises(NetworkFailure, match="the index lab is not there"):
            bundled(engine(wheels.as_uri()), changed)


def test_a_profiles_directory_alone_is_an_index_of_its_own(tmp_path, lab, engine) -> None:
    alone = (tmp_path / "lab" / "ot2-py310" / "simple").as_uri()
    assert bundled(engine(alone)) == [NATIVE, PRIVATE]


def test_a_revision_wins_over_the_wheel_it_revises(tmp_path, lab, engine) -> None:
    fill(tmp_path / "lab", {"ot2-py310": [REVISION]})
    assert bundled(engine(lab.url + TREE)) == [REVISION, PRIVATE]


def test_a_bundle_stays_until_its_lock_is_asked_for(tmp_path, lab, engine) -> None:
    made = engine(lab.url + TREE)
    before = bundled(made)
    digest = make_lock(made.search.indexed(BOTH), made).digest
    fill(tmp_path / "lab", {"ot2-py310": [REVISION, "private-2.0-py3-none-any.whl"]}, own=["private"])
    lab.asked.clear()
    assert bundled(engine(lab.url + TREE)) == before
    assert lab.asked == []
    assert renew_lock(made.search.indexed(BOTH), made).digest == digest  # the same versions, whichever wheels they have
    assert bundled(engine(lab.url + TREE)) == [REVISION, PRIVATE]
    renew_lock(made.search.indexed(BOTH), engine(lab.url + TREE, upgrade=True))
    assert bundled(engine(lab.url + TREE)) == [REVISION, "private-2.0-py3-none-any.whl"]


def test_a_new_file_in_a_directory_counts_at_once(tmp_path, lab, engine) -> None:
    url = (tmp_path / "lab").as_uri() + TREE
    bundled(engine(url))
    fill(tmp_path / "lab", {"ot2-py310": [REVISION]})
    assert bundled(engine(url)) == [REVISION, PRIVATE]


def test_what_was_bundled_needs_no_index_any_more(tmp_path, world, engine) -> None:
    fill(tmp_path / "lab", {"ot2-py310": [PRIVATE, NATIVE]}, own=["private"])
    with serving(tmp_path / "lab") as lab:
        url = lab.url + TREE
        before = bundled(engine(url))
    assert bundled(engine(url)) == before
    told = Told()
    later = engine(url, tools=FakeTools(versions="other"), fetcher=_Impatient())
    make_bundle(replace(later.search.indexed(BOTH), variables={"A": "b"}), OT2, later, told)
    assert [line for line in told.messages if "last time" in line] == [
        f"lab: cannot reach {lab.url.removeprefix('http://')}: ConnectionError; what it had last time counts"
    ]
    with pytest.raises(NetworkFailure, match="the index lab cannot be asked: cannot reach"):
        bundled(later, Environment(name="new", requirements=("private",)))


class _Impatient(Fetcher):
    """A fetcher that does not try again."""

    def _pool(self):  # type: ignore[no-untyped-def]
        session = super()._pool()
        for adapter in session.adapters.values():
            adapter.max_retries = 0  # type: ignore[attr-defined]
        return session


def keyring(directory: Path, service: str, user: str, password: str) -> None:
    """A program named keyring that has one password."""
    directory.mkdir()
    path = directory / "keyring"
    asked = repr([service, user])
    path.write_text(f"#!{sys.executable}\nimport sys\nif sys.argv[2:] != {asked}: sys.exit(1)\nprint({password!r})\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize("service", ["{host}", "http://{host}", "http://{host}/own/simple/"])
@pytest.mark.parametrize("user", ["", "bob"])
def test_the_keyring_is_asked_and_its_password_is_kept_nowhere(
    tmp_path, lab, engine, monkeypatch, service, user
) -> None:
    host = lab.url.removeprefix("http://")
    lab.login = (user or "__token__", "s3cret:word")
    keyring(tmp_path / "bin", service.format(host=host), *lab.login)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setitem(sys.modules, "keyring", None)  # the program, even where the module is installed
    url = lab.url.replace("http://", f"http://{user}@") if user else lab.url
    assert bundled(engine(url + TREE)) == [NATIVE, PRIVATE]
    kept = [path for path in (tmp_path / "work").rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]
    assert kept == []


def test_netrc_opens_the_index_for_uv_and_for_us(tmp_path, lab, engine, monkeypatch) -> None:
    lab.login = ("bob", "s3cret")
    netrc = Path.home() / ".netrc"
    netrc.write_text("machine 127.0.0.1 login bob password s3cret\n")
    netrc.chmod(0o600)
    assert bundled(engine(lab.url + TREE)) == [NATIVE, PRIVATE]


def test_without_a_login_the_ways_to_give_one_are_told(lab, engine, monkeypatch) -> None:
    lab.login = ("__token__", "s3cret")
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(BuildFailure, match=r"the index lab cannot be asked: .* answered 401") as caught:
        bundled(engine(lab.url + TREE))
    assert f"keyring set {lab.url.removeprefix('http://')} __token__" in caught.value.next


def test_it_is_told_which_index_has_a_wheel(tmp_path, lab, engine) -> None:
    fill(tmp_path / "world", {"any": ["fast-1.0-cp310-cp310-win_amd64.whl"]}, uploaded=LONG_AGO)
    fill(tmp_path / "lab", {"ot2-py310": ["fast-1.0-cp310-cp310-linux_armv7l.whl"]})
    made = engine(lab.url + TREE)
    found = look(orders.of(["private", "demo", "fast"], made.search, closure=True), [OT2], made)
    assert {one.name: one.plan.partition(" from ")[2] for one in found} == {
        "private": "your index, no build needed",
        "demo": "the public index, no build needed",
        "fast": "your index",
    }


def test_the_nearest_version_may_be_the_labs(tmp_path, lab, engine) -> None:
    fill(tmp_path / "lab", {"ot2-py310": ["fast-0.5-cp310-cp310-linux_armv7l.whl"]})
    assert nearest("fast", "2.0", OT2, engine(lab.url + TREE)).startswith("fast==0.5, ")
    assert nearest("fast", "2.0", OT2, engine()).startswith("nothing of fast")
