"""`ot2deploy index upload`, into a directory and to a real server."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from upload_place import OTHER, PROFILES, PY310, Place, receiving_place
from wheel_factory import NATIVE, PURE, make_wheel

from builder.files import sha256_file
from builder.index.journal import JOURNAL, Journal
from builder.index.layout import Branch
from builder.index.tree import Index
from builder.places import cache_root
from builder.profile_host import host_profile
from builder.store import Store


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "environments").mkdir()
    for directory in ("made", "other"):
        (tmp_path / directory).mkdir()
    make_wheel(tmp_path / "other", PURE, OTHER)
    return tmp_path


@pytest.fixture
def wheel(project: Path) -> Path:
    return make_wheel(project / "made")


@pytest.fixture
def place(project: Path, tmp_path: Path) -> Iterator[Place]:
    with receiving_place(tmp_path / "elsewhere") as place:
        yield place


def token_file(place: Place, directory: Path) -> Path:
    path = directory / "token"
    path.write_text(f"{place.token}\n")
    path.chmod(stat.S_IRUSR)
    return path


def test_a_wheel_enters_every_branch_that_takes_it(run_cli, project, wheel):
    first = run_cli("index", "upload", wheel, "--json").good().document["result"]
    assert first["taken"][0]["branches"] == dict.fromkeys(PROFILES, "new")
    again = run_cli("index", "upload", wheel).good()
    assert again.out == f"{PURE}: no change in debian-12-armhf, ot2-py310, ot2-py312\n"
    native = make_wheel(project / "made", NATIVE)
    said = run_cli("index", "upload", native, "--channel", "dev").good().out
    assert "new in ot2-py310/dev; not in debian-12-armhf/dev: does not fit debian-12-armhf." in said
    acts = Journal(project / ".ot2deploy" / "index" / JOURNAL).lines()
    assert [(act.op, act.branches) for act in acts] == [("upload", PROFILES), ("upload", ("ot2-py310/dev",))]


def native_of_host(directory: Path) -> Path:
    return make_wheel(directory, f"demo-1.0-{next(str(tag) for tag in host_profile().tags if tag.abi != 'none')}.whl")


def test_without_a_profile_a_wheel_begins_no_branch_where_the_index_has_one_that_it_fits(run_cli, project, wheel):
    run_cli("index", "upload", wheel, "--profile", "ot2-py310").good()
    other = make_wheel(project / "made", "other-1.0-py3-none-any.whl")
    found = run_cli("index", "upload", other, "--channel", "dev", "--json").good().document["result"]
    assert found["taken"][0]["branches"] == {"ot2-py310/dev": "new"}
    made = run_cli("index", "build", other, "--json").good().document["result"]
    assert [row["branch"] for row in made["branches"]] == ["ot2-py310"]
    for_another = make_wheel(project / "made", "third-1.0-cp312-none-any.whl")
    found = run_cli("index", "upload", for_another, "--json").good().document["result"]
    assert list(found["taken"][0]["branches"]) == ["ot2-py312"]


def test_a_wheel_for_this_computer_enters_its_branch_and_is_told_of_it_where_there_is_none(run_cli, project, wheel):
    native, own = native_of_host(project / "made"), host_profile().name
    run_cli("index", "upload", wheel, "--profile", "ot2-py310").good()
    for command in ("upload", "build"):
        ran = run_cli("index", command, native)
        assert ran.status == 1
        assert "--profile host" in ran.err + ran.out
    run_cli("index", "upload", wheel, "--profile", "host").good()
    found = run_cli("index", "upload", native, "--json").good().document["result"]
    assert found["taken"][0]["branches"] == {own: "new"}
    made = run_cli("index", "build", native, "--channel", "dev", "--json").good().document["result"]
    assert [row["branch"] for row in made["branches"]] == [f"{own}/dev"]


def test_each_wheel_stands_or_falls_by_itself(run_cli, project, wheel):
    run_cli("index", "upload", wheel).good()
    fine = make_wheel(project / "made", "fine-1.0-py3-none-any.whl", {"fine.py": b""})
    broken = project / "made" / "broken-1.0-py3-none-any.whl"
    broken.write_bytes(b"no zip")
    ran = run_cli("index", "upload", project / "other" / PURE, broken, fine, "--json")
    assert ran.status == 1
    result = ran.document["result"]
    assert [one["filename"] for one in result["taken"]] == [fine.name]
    assert [one["error"]["code"] for one in result["failed"]] == ["index-conflict", "not-a-wheel"]
    assert "revision" in result["failed"][0]["error"]["next"]
    assert Index.open(project / "index").page(PY310, "demo").files[0].sha256 == sha256_file(wheel)


def test_all_profiles_that_are_named_have_to_take_it(run_cli, project):
    native = make_wheel(project / "made", NATIVE)
    ran = run_cli("index", "upload", native, "--profile", "ot2-py310", "--profile", "ot2-py312", "--json")
    error = ran.document["result"]["failed"][0]["error"]
    assert (ran.status, error["what"]) == (1, "not every branch that was named takes it")
    assert Index.open(project / "index").branches() == ()
    assert run_cli("index", "upload", native, "--profile", "ot2-py39").status == 2


def test_to_a_server_and_again(run_cli, project, wheel, place):
    token = token_file(place, project)
    words = ("index", "upload", wheel, "--to", place.server.url, "--token-file", token)
    result = run_cli(*words, "--profile", "ot2-py310", "--channel", "dev", "--json").good().document["result"]
    assert result["taken"][0]["branches"] == {"ot2-py310/dev": "new"}
    result = run_cli(*words, "--channel", "dev", "--json").good().document["result"]
    assert result["taken"][0]["branches"]["ot2-py310/dev"] == "no change"
    ran = run_cli("index", "upload", project / "other" / PURE, *words[3:], "--channel", "dev")
    assert ran.status == 1
    assert "has other bytes under this name" in ran.out
    assert "revision" in ran.out
    assert not (project / "index").exists()


def test_whose_project_it_is_goes_along(run_cli, project, wheel, place):
    to = ("--to", place.server.url, "--token-file", token_file(place, project))
    run_cli("index", "upload", wheel, *to).good()
    built = make_wheel(project / "made", "built-1.0-py3-none-any.whl", {"built.py": b""})
    Store(cache_root() / "store").add(built, how="built")
    run_cli("index", "upload", built, *to).good()
    stranger = make_wheel(project / "made", "stranger-1.0-py3-none-any.whl", {"stranger.py": b""})
    run_cli("index", "upload", stranger, *to, "--public").good()
    own = {page.name: page.own for page in place.index.pages(PY310)}
    assert own == {"demo": True, "built": False, "stranger": False}
    assert place.index.names(Branch(profile="own")) == ("demo",)


class Ring(KeyringBackend):
    """A keyring that holds one token."""

    priority = 1

    def __init__(self, service: str, token: str) -> None:
        self.service, self.token = service, token
        super().__init__()

    def get_password(self, service: str, username: str) -> str | None:
        return self.token if (service, username) == (self.service, "__token__") else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError


def test_the_token_is_found_where_it_is_kept(run_cli, project, wheel, place, monkeypatch):
    words = ("index", "upload", wheel, "--to", place.server.url)
    without = run_cli(*words, "--json").document["result"]
    assert without["failed"][0]["error"]["code"] == "upload-token"
    assert "OT2DEPLOY_INDEX_TOKEN" in without["failed"][0]["error"]["next"]
    with monkeypatch.context() as here:
        here.setenv("OT2DEPLOY_INDEX_TOKEN", place.token)
        run_cli(*words).good()
    before = keyring.get_keyring()
    keyring.set_keyring(Ring(place.server.url, place.token))
    try:
        run_cli(*words).good()
    finally:
        keyring.set_keyring(before)
    netrc = Path.home() / ".netrc"
    netrc.write_text(f"machine 127.0.0.1\nlogin __token__\npassword {place.token}\n")
    netrc.chmod(0o600)
    run_cli(*words).good()


def test_where_the_server_takes_nothing_from_us_the_rest_is_not_tried(run_cli, project, wheel, place, monkeypatch):
    fine = make_wheel(project / "made", "fine-1.0-py3-none-any.whl", {"fine.py": b""})
    monkeypatch.setenv("OT2DEPLOY_INDEX_TOKEN", place.token_for("robots", "read"))
    ran = run_cli("index", "upload", wheel, fine, "--to", place.server.url, "--json")
    result = ran.document["result"]
    assert (ran.status, result["not_tried"]) == (1, [fine.name])
    assert "token robots may read, not upload" in result["failed"][0]["error"]["what"]
    elsewhere = run_cli("index", "upload", wheel, "--to", f"{place.server.url}nowhere/at/all", "--json")
    assert "Is this the address of an index" in json.dumps(elsewhere.document)


def test_a_token_that_lacks_only_the_channel_is_answered_with_the_channel(run_cli, project, wheel, place, monkeypatch):
    limited = place.tokens.create("ci2", ["upload"], lasts=None, profiles=["ot2-py310"], channels=["dev"])[1]
    monkeypatch.setenv("OT2DEPLOY_INDEX_TOKEN", limited)
    to = ("index", "upload", wheel, "--to", place.server.url)
    error = run_cli(*to, "--json").document["result"]["failed"][0]["error"]
    assert "token ci2 is for the channel dev only" in error["what"]
    assert "--channel NAME" in error["next"]
    assert "new in ot2-py310/dev" in run_cli(*to, "--channel", "dev").good().out


def test_a_wrong_token_is_not_answered_with_how_to_give_one(run_cli, project, wheel, place):
    (project / "token").write_text("ot2_0123456789abcdef_" + "0" * 64)
    ran = run_cli("index", "upload", wheel, "--to", place.server.url, "--token-file", "token", "--json")
    error = ran.document["result"]["failed"][0]["error"]
    assert "ot2deploy token list" in error["next"]
    assert "--token-file" not in error["next"]


def test_an_sdist_is_told_as_what_it_is(run_cli, project, place):
    sdist = project / "demo-1.0.tar.gz"
    sdist.write_bytes(b"")
    for to in ((), ("--to", place.server.url, "--token-file", token_file(place, project))):
        error = run_cli("index", "upload", sdist, *to, "--json").document["result"]["failed"][0]["error"]
        assert (error["what"], "ot2deploy wheel build" in error["next"]) == ("it is source code, not a wheel", True)


def test_a_server_that_is_not_there_is_told_with_what_helps_an_upload(run_cli, wheel, place):
    to = ("--to", place.server.url, "--token-file", token_file(place, wheel.parent))
    place.server.stop()
    ran = run_cli("index", "upload", wheel, *to)
    host = place.server.url.split("/")[2]
    assert (ran.status, f"cannot reach {host}: " in ran.out) == (1, True)
    assert "--offline" not in ran.out


def test_what_cannot_be_meant_is_refused_before_anything_is_sent(run_cli, project, wheel):
    secret = "ot2_0123456789abcdef_" + "0" * 64
    (project / "empty").touch()
    (project / "text").write_text("two words")
    for words in (
        ("--to", f"http://__token__:{secret}@127.0.0.1:9/"),
        ("--to", "127.0.0.1:9"),
        ("--to", "http://127.0.0.1:9/legacy/"),
        ("--to", "http://127.0.0.1:9/", "--index", "index"),
        ("--to", "http://127.0.0.1:9/", "--token-file", "empty"),
        ("--token-file", "text"),
        ("--to", "http://127.0.0.1:9/", "--token-file", "text"),
        ("--to", "http://127.0.0.1:9/", "--channel", "Dev"),
    ):
        ran = run_cli("index", "upload", wheel, *words)
        assert ran.status == 2, words
        assert secret not in ran.out + ran.err
    assert run_cli("index", "upload", "nothing.whl").status == 2
    assert not (project / "index").exists()
