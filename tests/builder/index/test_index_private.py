"""A private index: who may read what, with real tokens."""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from served_index import DEMO, PY312, Served, fill, served

from builder.errors import NetworkFailure
from builder.fetch import Fetcher
from builder.index.layout import Branch
from builder.index.tokens import TOKENS, Tokens

DEV = Branch(profile="ot2-py310", channel="dev")
NEXT = "next-1.0-py3-none-any.whl"


def login(secret: str, user: str = "__token__") -> str:
    return f"Basic {base64.b64encode(f'{user}:{secret}'.encode()).decode()}"


@contextlib.contextmanager
def answering(said: str) -> Iterator[str]:
    """The address of a server that refuses everything with these words."""

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(403)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = tmp_path_factory.mktemp("private")
    (project / "inventory.yaml").write_text("robots: {}\n")
    fill(project, DEMO)
    fill(project, DEMO, branch=PY312)
    fill(project, NEXT, branch=DEV)
    return project


@pytest.fixture(scope="module")
def secrets(project):
    """Tokens of each kind, by their names."""
    tokens = Tokens(project / ".ot2deploy" / "index" / TOKENS)
    day = timedelta(days=1)

    def made(name: str, scope: str = "read", lasts: timedelta = day, **limits: list[str]) -> str:
        return tokens.create(name, [scope], lasts=lasts, **limits)[1]

    found = {
        "all": made("all"),
        "prod": made("prod", channels=["prod"]),
        "dev": made("dev", channels=["dev"]),
        "py312": made("py312", profiles=["ot2-py312"]),
        "upload": made("upload", "upload"),
        "old": made("old", lasts=-day),
        "revoked": made("revoked"),
    }
    tokens.revoke("revoked")
    return found


@pytest.fixture(scope="module")
def server(project, secrets):
    with served(project, "--private") as server:
        yield server


UNKNOWN = login(f"ot2_{0:016}_{0:064}")
PAGE, DEV_PAGE, PAGE312 = "/ot2-py310/simple/demo/", "/ot2-py310/dev/simple/next/", "/ot2-py312/simple/demo/"
WHEEL, DEV_WHEEL = f"/ot2-py310/files/{DEMO}", f"/ot2-py310/files/{NEXT}"


@pytest.mark.parametrize(
    ("name", "good", "refused"),
    [
        ("all", ["/", PAGE, DEV_PAGE, PAGE312, WHEEL, f"{WHEEL}.metadata", DEV_WHEEL], []),
        ("prod", ["/", PAGE, PAGE312, WHEEL, f"{WHEEL}.metadata"], [DEV_PAGE, DEV_WHEEL]),
        ("dev", ["/", DEV_PAGE, DEV_WHEEL, f"{DEV_WHEEL}.metadata"], [PAGE, PAGE312, WHEEL, f"{WHEEL}.metadata"]),
        ("py312", ["/", PAGE312, "/own/simple/demo/", "/own/dev/simple/next/"], [PAGE, DEV_PAGE, WHEEL]),
        ("py312", ["/own/simple/", f"{WHEEL}.metadata", f"{DEV_WHEEL}.metadata"], [DEV_WHEEL]),
        ("prod", ["/own/simple/demo/"], ["/own/dev/simple/next/", f"{DEV_WHEEL}.metadata"]),
        ("upload", [], ["/", PAGE, WHEEL, "/own/simple/demo/"]),
        ("old", [], ["/", PAGE, WHEEL]),
        ("revoked", [], ["/", PAGE, WHEEL]),
    ],
)
def test_a_token_opens_what_it_is_for(server: Served, secrets, name, good, refused):
    for path in good:
        answer = server.ask(path, Authorization=login(secrets[name]))
        assert (path, answer.status) == (path, 200)
        assert answer.headers["cache-control"].startswith("private")
    for path in refused:
        answer = server.ask(path, Authorization=login(secrets[name]))
        assert (path, answer.status) == (path, 403)
        assert secrets[name] not in answer.text


@pytest.mark.parametrize("authorization", [None, "", "Basic", "Basic !!!", "Bearer x", login(""), login("x"), UNKNOWN])
@pytest.mark.parametrize("path", ["/", PAGE, WHEEL, "/nothing-here/simple/x/"])
def test_without_a_token_a_door_asks_for_one(server: Served, path, authorization):
    answer = server.ask(path, **({} if authorization is None else {"Authorization": authorization}))
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_health_is_open_and_says_nothing_else(server: Served):
    answer = server.ask("/-/health")
    assert (answer.status, "branches" in answer.text) == (200, False)


def test_no_secret_is_in_the_log(server: Served, secrets):
    for secret in secrets.values():
        server.ask(PAGE, Authorization=login(secret))
        assert secret not in server.log
        assert login(secret) not in server.log


def test_a_refused_login_is_told_as_that_with_the_servers_reason(server: Served, secrets):
    url = server.url.rstrip("/")
    to_it = url.replace("://", f"://__token__:{secrets['prod']}@")
    with pytest.raises(NetworkFailure, match="answered 403: the login was refused") as caught:
        Fetcher(indexes=[to_it]).get(f"{url}{DEV_PAGE}")
    assert caught.value.why == "The server says: token prod is for the channel prod only."
    with pytest.raises(NetworkFailure, match=r"answered 401$") as caught:
        Fetcher().get(f"{url}{PAGE}")
    assert "a token is needed" in caught.value.why


@pytest.mark.parametrize("said", ["two\nlines", "x" * 2000, "\x1b[31mred", "no: s3cret"])
def test_what_a_server_says_is_one_plain_line_without_the_login_or_nothing(said):
    with answering(said) as url, pytest.raises(NetworkFailure) as caught:
        Fetcher(indexes=[url.replace("://", "://me:s3cret@")]).get(url)
    assert "server says" not in caught.value.why
