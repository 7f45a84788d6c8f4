"""Indexes named in the project, over HTTP: which of their wheels count."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from engine_factory import OT2, Told, make_engine
from wheel_factory import make_wheel

from builder.acquire import acquire, acquire_all
from builder.environment import Index
from builder.errors import BuildFailure, NetworkFailure
from builder.fetch import Fetcher
from builder.files import sha256_file
from builder.lock import LockedFile
from builder.selection import Wanted

NAME = "demo-1.0-cp310-cp310-linux_armv7l.whl"
ASKED = Wanted(name="demo", version="1.0", candidates=(), sdist=None, chain=("demo",), requested=True)


class Site:
    """A server of a few answers: path -> (content type, body)."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[str, bytes]] = {}
        self.login = ""
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = not site.login or self.headers.get("Authorization") == site.login
                kind, body = site.answers.get(self.path, ("", b"")) if known else ("", b"")
                self.send_response(200 if kind else 404 if known else 401)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.index = Index(name="lab", url=f"http://127.0.0.1:{self.server.server_port}/simple")


class DeadNetwork(Fetcher):
    """A fetcher that reaches nobody, at once."""

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> tuple[bytes, str, str]:
        raise NetworkFailure("cannot reach lab")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site()
    thread = threading.Thread(target=site.server.serve_forever, daemon=True)
    thread.start()
    site.answers[f"/files/{NAME}"] = ("application/zip", make_wheel(tmp_path, NAME).read_bytes())
    yield site
    site.server.shutdown()
    site.server.server_close()
    thread.join()


def test_a_wheel_of_an_html_index(tmp_path: Path, site: Site) -> None:
    sha256 = sha256_file(tmp_path / NAME)
    page = f'<a href="../../files/{NAME}#sha256={sha256}">{NAME}</a> <a href="x">demo-2.0-py3-none-any.whl</a>'
    site.answers["/simple/demo/"] = ("text/html", page.encode())
    found = acquire(ASKED, OT2, make_engine(tmp_path), indexes=(site.index,))
    assert (found.blob.sha256, found.how) == (sha256, "index")
    offline = acquire(ASKED, OT2, make_engine(tmp_path, offline=True), indexes=(site.index,))
    assert (offline.blob.sha256, offline.reused) == (sha256, True)


def test_a_wheel_of_a_json_index(tmp_path: Path, site: Site) -> None:
    sha256 = sha256_file(tmp_path / NAME)
    file = {"filename": NAME, "url": f"/files/{NAME}", "hashes": {"sha256": sha256}}
    page = {"meta": {"api-version": "1.0"}, "name": "demo", "files": [file]}
    site.answers["/simple/demo/"] = ("application/vnd.pypi.simple.v1+json", json.dumps(page).encode())
    found = acquire(ASKED, OT2, make_engine(tmp_path), indexes=(site.index,))
    assert found.blob.sha256 == sha256


def test_a_wheel_without_hash_is_not_taken(tmp_path: Path, site: Site) -> None:
    site.answers["/simple/demo/"] = ("text/html", f'<a href="../../files/{NAME}">{NAME}</a>'.encode())
    with pytest.raises(BuildFailure) as caught:
        acquire(ASKED, OT2, make_engine(tmp_path), indexes=(site.index,))
    assert f"{NAME}: index lab gives no sha256 for it" in caught.value.details


def test_an_index_without_the_project_is_no_failure_but_a_dead_one_is(tmp_path: Path, site: Site) -> None:
    with pytest.raises(BuildFailure, match="no wheel for"):
        acquire(ASKED, OT2, make_engine(tmp_path), indexes=(site.index,))
    with pytest.raises(NetworkFailure, match="the index lab cannot be asked: cannot reach lab"):
        acquire(ASKED, OT2, make_engine(tmp_path / "new", fetcher=DeadNetwork()), indexes=(site.index,))


def test_an_index_that_is_down_has_what_it_had_last_time(tmp_path: Path, site: Site) -> None:
    site.answers["/simple/demo/"] = json_page(NAME, sha256_file(tmp_path / NAME))
    acquire(ASKED, OT2, make_engine(tmp_path), indexes=(site.index,))
    told = Told()
    later = make_engine(tmp_path, fetcher=DeadNetwork())
    for _ in range(2):
        assert acquire(ASKED, OT2, later, indexes=(site.index,), report=told).blob.filename == NAME
    assert told.messages == ["lab: cannot reach lab; what it had last time counts"]


def test_a_dead_index_is_told_once_for_all_packages(tmp_path: Path, site: Site) -> None:
    wanted = [replace(ASKED, name=f"demo{number}") for number in range(9)]
    with pytest.raises(NetworkFailure, match="the index lab cannot be asked") as caught:
        acquire_all(wanted, OT2, make_engine(tmp_path, fetcher=DeadNetwork()), indexes=(site.index,))
    assert caught.value.details == ()


LOGIN = "Basic Ym9iOnMzY3JldA=="  # bob:s3cret


def json_page(filename: str, sha256: str) -> tuple[str, bytes]:
    file = {"filename": filename, "url": f"/files/{NAME}", "hashes": {"sha256": sha256}}
    page = {"meta": {"api-version": "1.0"}, "name": "demo", "files": [file]}
    return "application/vnd.pypi.simple.v1+json", json.dumps(page).encode()


def with_login(url: str) -> str:
    return url.replace("http://", "http://bob:s3cret@")


def test_a_password_is_sent_and_never_kept(tmp_path: Path, site: Site) -> None:
    site.login = LOGIN
    site.answers["/simple/demo/"] = json_page(NAME, sha256_file(tmp_path / NAME))
    engine = make_engine(tmp_path)
    index = replace(site.index, url=with_login(site.index.url))
    assert acquire(ASKED, OT2, engine, indexes=(index,)).how == "index"
    assert not [path for path in engine.store.root.rglob("*.json") if b"s3cret" in path.read_bytes()]
    with pytest.raises(NetworkFailure, match="answered 401") as caught:
        acquire(ASKED, OT2, make_engine(tmp_path / "other"), indexes=(site.index,))
    assert ".netrc" in caught.value.next


def test_a_user_name_that_is_a_token_is_sent_with_an_empty_password(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.logins.from_keyring", lambda url, user: None)
    site.login = "Basic dG9rZW46"  # token:
    body, _, _ = Fetcher().get(site.index.url.replace("http://", "http://token@").replace("/simple", f"/files/{NAME}"))
    assert body


def test_the_password_of_the_users_own_index_goes_to_its_server_only(tmp_path: Path, site: Site) -> None:
    site.login = LOGIN
    file = site.index.url.replace("/simple", f"/files/{NAME}")
    Fetcher(indexes=[with_login(site.index.url)]).download(file, tmp_path / "x", sha256=sha256_file(tmp_path / NAME))
    with pytest.raises(NetworkFailure, match="answered 401"):
        Fetcher(indexes=["https://bob:s3cret@127.0.0.1/simple"]).get(file)


@pytest.mark.parametrize(
    "page",
    [
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/vnd.pypi.simple.v1+json", b'{"meta": {"api-version": "9.0"}, "name": "demo", "files": []}'),
    ],
)
def test_a_page_that_is_none_names_the_index(tmp_path: Path, site: Site, page: tuple[str, bytes]) -> None:
    site.answers["/simple/demo/"] = page
    with pytest.raises(NetworkFailure, match="no page of a package index") as caught:
        acquire(ASKED, OT2, make_engine(tmp_path), indexes=(site.index,))
    assert "lab" in caught.value.why


def test_a_file_name_that_leads_elsewhere_is_not_used(tmp_path: Path, site: Site) -> None:
    evil, sha256 = "demo-1.0-py3-none-any./../../../../evil.whl", sha256_file(tmp_path / NAME)
    site.answers["/simple/demo/"] = json_page(evil, sha256)
    with pytest.raises(BuildFailure, match="no wheel for"):
        acquire(ASKED, OT2, make_engine(tmp_path), indexes=(site.index,))
    file = site.index.url.replace("/simple", f"/files/{NAME}")
    locked = LockedFile(filename="../../../evil.tar.gz", url=file, sha256=sha256)
    with pytest.raises(BuildFailure, match="no wheel for") as caught:
        acquire(replace(ASKED, sdist=locked), OT2, make_engine(tmp_path))
    assert any("is no name for a wheel" in line for line in caught.value.details)
    assert not list(tmp_path.rglob("evil*"))
