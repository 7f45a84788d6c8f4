"""The mirror in an index's server, with real upstreams on loopback: honest ones, and ones that lie."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
import uvicorn
from loopback_index import Served, fill, serving
from wheel_factory import make_wheel

from builder.engine import open_engine
from builder.errors import ConfigFailure, UsageFailure
from builder.files import sha256_bytes, sha256_file
from builder.index.layout import Branch
from builder.index.mirror import mirror as module
from builder.index.mirror.cache import Cache
from builder.index.mirror.mirror import Limits, Mirror, open_mirror
from builder.index.page import HTML_TYPE, JSON_TYPE, Page
from builder.index.server.app import make_app
from builder.index.tree import Index
from builder.uv import find

PY310 = Branch(profile="ot2-py310")
LAB, PUBLIC = "labtool-1.0-py3-none-any.whl", "helper-2.0-py3-none-any.whl"


@dataclass(kw_only=True)
class Mirrored:
    """An index with a mirror, as it is served."""

    url: str
    index: Index
    mirror: Mirror
    state: Path

    def page(self, name: str, branch: str = "ot2-py310", accept: str = JSON_TYPE) -> requests.Response:
        return requests.get(f"{self.url}/{branch}/simple/{name}/", headers={"Accept": accept}, timeout=60)

    def files(self, name: str, branch: str = "ot2-py310") -> dict[str, dict]:
        answer = self.page(name, branch)
        assert answer.status_code == 200, answer.text
        return {row["filename"]: row for row in answer.json()["files"]}

    def get(self, name: str, filename: str, suffix: str = "", **options) -> requests.Response:
        """A file as a page's link leads to it."""
        address = f"{self.url}/ot2-py310/simple/{name}/"
        link = requests.compat.urljoin(address, self.files(name)[filename]["url"])
        return requests.get(link + suffix, timeout=60, **options)

    @property
    def kept(self) -> list[str]:
        """The names of the files that the mirror has on disk."""
        return sorted(path.name for path in (self.state / "mirror" / "files").rglob("*") if path.is_file())


@contextmanager
def running(app) -> Iterator[str]:
    """An application on a free port, as uvicorn runs it."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server ended"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def mirrored(tmp_path, stack) -> Callable[..., Mirrored]:
    """Starts the server of an index (with `wheels` of the lab's own) that mirrors an upstream's simple API."""

    def start(upstream: str, wheels=(LAB,), limits: Limits | None = None, **options) -> Mirrored:
        index = fill(tmp_path / "index", {"ot2-py310": wheels}, own=[name.partition("-")[0] for name in wheels])
        engine = open_engine(tmp_path / "locks", store_root=tmp_path / "store")
        state = tmp_path / "state"
        mirror = open_mirror(index, engine, state, upstream, limits=limits, **options)
        url = stack.enter_context(running(make_app(index, mirror=mirror)))
        stack.callback(mirror.close)
        return Mirrored(url=url, index=index, mirror=mirror, state=state)

    return start


@pytest.fixture
def public(tmp_path, stack) -> Served:
    """An honest upstream, which writes down what it is asked."""
    fill(tmp_path / "public", {"all": (PUBLIC, "labtool-9.0-py3-none-any.whl", "lab_secret-1.0-py3-none-any.whl")})
    return stack.enter_context(serving(tmp_path / "public"))


@dataclass(kw_only=True)
class Liar:
    """An upstream whose answers a test makes: path -> (status, headers, chunks of the body)."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    answers: dict[str, Callable[[], tuple[int, dict[str, str], Iterator[bytes] | list[bytes]]]] = field(
        default_factory=dict
    )

    def says(self, path: str, body: bytes, *, status: int = 200, kind: str = JSON_TYPE, **headers: str) -> None:
        self.answers[path] = lambda: (status, {"Content-Type": kind, **headers}, [body])

    def lists(self, name: str, *files: dict) -> None:
        page = {"meta": {"api-version": "1.1"}, "name": name, "versions": [], "files": list(files)}
        self.says(f"/{name}/", json.dumps(page).encode())


@pytest.fixture
def liar() -> Iterator[Liar]:
    told = Liar()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            told.asked.append(self.path)
            status, headers, body = told.answers.get(self.path, lambda: (404, {}, []))()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            try:
                for chunk in body:
                    self.wfile.write(chunk)
            except OSError:
                pass

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    yield told
    server.shutdown()
    server.server_close()


def listed(filename: str, data: bytes = b"", **more) -> dict:
    return {"filename": filename, "url": f"/files/{filename}", "hashes": {"sha256": sha256_bytes(data)}, **more}


def wheel_bytes(where: Path, filename: str, **content) -> bytes:
    where.mkdir(parents=True, exist_ok=True)
    return make_wheel(where, filename, **content).read_bytes()


def test_a_public_project_is_passed_on_for_the_profile_alone(mirrored, liar, tmp_path):
    files = [
        listed("demo-1.0.tar.gz"),
        listed("demo-1.0-py3-none-any.whl", **{"requires-python": ">=3.8"}, size=10),
        listed("demo-1.1-cp310-cp310-manylinux_2_17_armv7l.whl", yanked="it <breaks>", size=11),
        listed("demo-1.1-cp310-cp310-manylinux_2_35_armv7l.whl", size=11),
        listed("demo-1.1-cp310-cp310-manylinux_2_17_x86_64.whl", size=11),
        listed("demo-1.2-py3-none-any.whl", size=12, **{"core-metadata": {"sha256": "a" * 64}}),
        {**listed("demo-1.3-py3-none-any.whl"), "hashes": {"md5": "0" * 32}},
        listed("other-1.0-py3-none-any.whl"),
    ]
    liar.lists("demo", *files)
    served = mirrored(liar.url)
    found = served.files("demo")
    assert list(found) == [
        "demo-1.0-py3-none-any.whl",
        "demo-1.1-cp310-cp310-manylinux_2_17_armv7l.whl",
        "demo-1.2-py3-none-any.whl",
    ]
    first, second, third = found.values()
    assert (first["requires-python"], first["yanked"], first["core-metadata"], first["size"]) == (
        ">=3.8", False, False, 10,
    )  # fmt: skip
    assert (second["yanked"], third["core-metadata"]) == ("it <breaks>", {"sha256": "a" * 64})
    assert first["url"] == f"../../mirror/{sha256_bytes(b'')}/demo-1.0-py3-none-any.whl"
    html = served.page("demo", accept=HTML_TYPE)
    assert 'data-yanked="it &lt;breaks&gt;"' in html.text
    assert 'href="../../mirror/' in html.text
    assert served.page("demo", "ot2-py310/dev").json()["files"][0]["url"].startswith("../../../mirror/")
    assert list(served.files("demo", "ot2-py312")) == ["demo-1.0-py3-none-any.whl", "demo-1.2-py3-none-any.whl"]
    assert liar.asked == ["/demo/"]


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_an_installer_gets_a_closure_of_which_one_part_is_the_labs(mirrored, public, tmp_path, installer):
    needs = "Requires-Dist: helper>=2\n"
    where = tmp_path / "made"
    where.mkdir()
    served = mirrored(f"{public.url}/all/simple/", wheels=())
    with served.index.change() as change:
        from builder.index.entry.admit import admit
        from builder.profile import load

        wheel = make_wheel(where, LAB, metadata=needs)
        change.add(PY310, admit(wheel, load("ot2-py310"), open_engine(tmp_path, store_root=tmp_path / "store")))
    target = tmp_path / "installed"
    index = f"{served.url}/ot2-py310/simple/"
    if installer == "pip":
        words = [sys.executable, "-m", "pip", "install", "--no-cache-dir", "--quiet", "--target", target]
    else:
        words = [find().program, "pip", "install", "--no-cache", "--no-config", "--target", target]
    subprocess.run([*words, "--index-url", index, "labtool"], check=True, timeout=120)
    names = {path.name for path in target.glob("*.dist-info")}
    assert names == {"labtool-1.0.dist-info", "helper-2.0.dist-info"}
    assert "CAME_AS = 'helper-2.0" in (target / "helper" / "__init__.py").read_text()
    assert not [path for path in public.asked if "labtool" in path]


def test_the_log_says_why_a_page_is_empty(mirrored, liar, caplog):
    foreign = "demo-1.0-cp310-cp310-win_amd64.whl"
    liar.lists("demo", {"filename": foreign, "url": f"/f/{foreign}", "hashes": {"sha256": "0" * 64}})
    assert mirrored(liar.url).files("demo") == {}
    assert "demo: of 1 wheel that upstream has none fits ot2-py310" in caplog.text


def test_upstream_is_never_asked_for_a_name_that_the_index_has(mirrored, public):
    served = mirrored(f"{public.url}/all/simple/")
    assert list(served.files("labtool")) == [LAB]
    assert served.page("labtool", "ot2-py312").status_code == 404
    assert served.page("labtool", "ot2-py310/dev").status_code == 404
    words = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-cache-dir", "--no-deps"]
    index = ["--index-url", f"{served.url}/ot2-py310/simple/", "-d", served.state / "x"]
    done = subprocess.run([*words, *index, "labtool==9.0"], capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "No matching distribution" in done.stderr
    assert public.asked == []


def test_an_own_project_that_was_removed_stays_the_labs_until_it_is_released(mirrored, public, tmp_path, caplog):
    served = mirrored(f"{public.url}/all/simple/")
    with served.index.change() as change:
        change.put(PY310, Page(name="labtool"))
    assert served.page("labtool").status_code == 404
    engine = open_engine(tmp_path / "locks", store_root=tmp_path / "store")
    again = open_mirror(served.index, engine, served.state, public.url, release=["Labtool"])
    again.close()
    assert public.asked == []
    assert served.page("labtool").status_code == 200
    open_mirror(served.index, engine, served.state, public.url, release=["labtool"]).close()
    assert "labtool was not kept from the mirror" in caplog.text


def test_a_project_that_came_while_the_server_ran_stays_the_labs_too(mirrored, public, tmp_path):
    served = mirrored(f"{public.url}/all/simple/", wheels=())
    fill(tmp_path / "index", {"ot2-py312": [LAB]}, own=["labtool"])
    assert served.page("unknown").status_code == 404
    with served.index.change() as change:
        change.put(Branch(profile="ot2-py312"), Page(name="labtool"))
    assert served.page("labtool").status_code == 404
    assert [path for path in public.asked if "labtool" in path] == []


def test_reserved_names_are_kept_over_a_restart(mirrored, public, tmp_path, caplog):
    served = mirrored(f"{public.url}/all/simple/", reserve=["Lab_*"])
    assert served.page("lab-secret").status_code == 404
    engine = open_engine(tmp_path / "locks", store_root=tmp_path / "store")
    again = open_mirror(served.index, engine, served.state, f"{public.url}/all/simple/")
    with running(make_app(served.index, mirror=again)) as url:
        assert requests.get(f"{url}/ot2-py310/simple/lab-secret/", timeout=60).status_code == 404
    again.close()
    assert public.asked == []
    for wrong in ("", "../x", "lab[ab]"):
        with pytest.raises(UsageFailure):
            open_mirror(served.index, engine, served.state, public.url, reserve=[wrong])
    open_mirror(served.index, engine, served.state, public.url, release=["labtool"]).close()
    assert "labtool is in the index" in caplog.text
    assert list(served.files("labtool")) == [LAB]


def test_without_the_list_of_names_nothing_is_asked_for_elsewhere(mirrored, public, tmp_path):
    served = mirrored(f"{public.url}/all/simple/")
    (served.state / "own-names.json").write_text("{")
    answer = served.page("helper")
    assert (answer.status_code, public.asked) == (500, [])
    with pytest.raises(ConfigFailure, match="damaged"):
        open_mirror(served.index, open_engine(tmp_path), served.state, public.url)
    (served.index.root / "index.json").unlink()
    (served.state / "own-names.json").unlink()
    assert served.page("helper").status_code == 404
    assert public.asked == []


def test_a_file_is_asked_of_upstream_once_by_twenty_clients_at_the_same_moment(mirrored, liar, tmp_path):
    data = wheel_bytes(tmp_path / "x", "demo-1.0-py3-none-any.whl", files={"demo/x.bin": b"x" * 300_000})
    asked, go = threading.Semaphore(0), threading.Event()

    def slowly():
        asked.release()
        assert go.wait(60)
        return 200, {}, [data]

    liar.lists("demo", listed("demo-1.0-py3-none-any.whl", data, size=len(data)))
    liar.answers["/files/demo-1.0-py3-none-any.whl"] = slowly
    served = mirrored(liar.url)
    served.files("demo")
    with ThreadPoolExecutor(20) as clients:
        answers = [clients.submit(served.get, "demo", "demo-1.0-py3-none-any.whl") for _ in range(20)]
        assert asked.acquire(timeout=60)
        assert list(served.files("labtool")) == [LAB]  # who waits for upstream keeps nobody else waiting
        go.set()
        assert {sha256_bytes(one.result().content) for one in answers} == {sha256_bytes(data)}
    assert liar.asked == ["/demo/", "/files/demo-1.0-py3-none-any.whl"]
    part = served.get("demo", "demo-1.0-py3-none-any.whl", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, data[10:20])
    same = served.get("demo", "demo-1.0-py3-none-any.whl", headers={"If-None-Match": part.headers["ETag"]})
    assert same.status_code == 304


def test_what_was_fetched_is_installed_after_upstream_has_gone(mirrored, tmp_path, caplog):
    fill(tmp_path / "public", {"all": [PUBLIC, "gone-1.0-py3-none-any.whl"]})
    with serving(tmp_path / "public") as public:
        served = mirrored(f"{public.url}/all/simple/", limits=Limits(fresh=0))
        data = served.get("helper", PUBLIC).content
        metadata = served.get("helper", PUBLIC, ".metadata").content
    assert sha256_bytes(metadata) == served.files("helper")[PUBLIC]["core-metadata"]["sha256"]
    assert served.get("helper", PUBLIC).content == data
    assert "what it had before counts" in caplog.text
    answer = served.page("gone")
    assert answer.status_code == 502
    assert answer.json()["error"].startswith("the mirrored index: cannot reach 127.0.0.1")
    assert list(served.files("labtool")) == [LAB]


def test_a_page_is_asked_for_again_only_when_it_is_old_and_then_by_its_etag(mirrored, tmp_path, stack):
    fill(tmp_path / "public", {"all": [PUBLIC]})
    said = []
    app = make_app(Index.open(tmp_path / "public"))

    async def noting(scope, receive, send):
        async def note(message):
            if message["type"] == "http.response.start":
                said.append((scope["path"], message["status"]))
            await send(message)

        await app(scope, receive, note)

    upstream = stack.enter_context(running(noting)) + "/all/simple/"
    served = mirrored(upstream, limits=Limits(fresh=600))
    for _ in range(3):
        assert list(served.files("helper")) == [PUBLIC]
        assert served.page("unknown").status_code == 404
    assert said == [("/all/simple/helper/", 200), ("/all/simple/unknown/", 404)]
    engine = open_engine(tmp_path / "locks", store_root=tmp_path / "store")
    again = open_mirror(served.index, engine, served.state, upstream, limits=Limits(fresh=0))
    with running(make_app(served.index, mirror=again)) as url:
        assert PUBLIC in requests.get(f"{url}/ot2-py310/simple/helper/", timeout=60).text
    again.close()
    assert said[2:] == [("/all/simple/helper/", 304)]


def test_metadata_comes_from_the_wheel_where_upstream_has_none_beside_it(mirrored, liar, tmp_path):
    data = wheel_bytes(tmp_path / "x", "demo-1.0-py3-none-any.whl", metadata="Summary: mine\n")
    liar.lists("demo", listed("demo-1.0-py3-none-any.whl", data))
    liar.says("/files/demo-1.0-py3-none-any.whl", data, kind="application/zip")
    served = mirrored(liar.url)
    assert b"Summary: mine" in served.get("demo", "demo-1.0-py3-none-any.whl", ".metadata").content
    assert served.page("demo").json()["meta"]["api-version"] == "1.0"  # no size: PEP 700 wants one


def test_other_bytes_than_the_page_promised_are_not_kept(mirrored, liar, tmp_path):
    data = wheel_bytes(tmp_path / "x", "demo-1.0-py3-none-any.whl")
    name = "demo-1.0-py3-none-any.whl"
    row = listed(name, data, size=len(data), **{"core-metadata": {"sha256": sha256_bytes(b"right")}})
    liar.lists("demo", row)
    served = mirrored(liar.url)
    lies = [data + b"x", data[:-1], b"", data * 1000]
    for lie in lies:
        liar.says(f"/files/{name}", lie, kind="application/zip")
        assert served.get("demo", name).status_code == 502
    liar.says(f"/files/{name}.metadata", b"wrong")
    assert served.get("demo", name, ".metadata").status_code == 502
    assert served.kept == []
    liar.says(f"/files/{name}", data)
    assert served.get("demo", name).content == data
    assert served.kept == [name]


def endless() -> Iterator[bytes]:
    while True:
        yield b" " * (1 << 20)


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (200, {"Content-Type": JSON_TYPE}, [b"{"]),
        (200, {"Content-Type": JSON_TYPE}, [b"[" * 200_000]),
        (200, {"Content-Type": JSON_TYPE}, [b'{"files": 7}']),
        (200, {"Content-Type": JSON_TYPE}, [b'{"meta": {"api-version": "2.0"}, "name": "demo", "files": []}']),
        (200, {"Content-Type": JSON_TYPE, "Content-Length": "100"}, [b"{}"]),
        (200, {"Content-Type": "image/png"}, [b""]),
        (500, {}, []),
        (503, {"Retry-After": "3600"}, []),
        (401, {"WWW-Authenticate": "Basic"}, []),
        (302, {"Location": "/demo/"}, []),
        (302, {"Location": "file:///etc/passwd"}, []),
        (200, {"Content-Type": JSON_TYPE}, endless),
    ],
)  # fmt: skip
def test_an_upstream_that_fails_is_told_in_one_line_and_harms_nobody(mirrored, liar, status, headers, body):
    liar.answers["/demo/"] = lambda: (status, headers, body() if callable(body) else body)
    served = mirrored(liar.url)
    answer = served.page("demo")
    assert answer.status_code == 502
    assert answer.json()["error"].startswith("the mirrored index: ")
    assert "\n" not in answer.json()["error"]
    assert list(served.files("labtool")) == [LAB]


def test_an_upstream_that_is_too_slow_is_not_waited_for_by_everybody(mirrored, liar, monkeypatch):
    monkeypatch.setattr("builder.fetch.BRIEF", (5.0, 0.2))
    go = threading.Event()

    def late():
        go.wait(60)
        return 200, {}, []

    liar.answers["/demo/"] = late
    served = mirrored(liar.url)
    answer = served.page("demo")
    assert (answer.status_code, "cannot reach 127.0.0.1" in answer.text) == (502, True)
    assert served.page("other").status_code == 502
    assert "/other/" not in liar.asked
    go.set()


def test_what_was_kept_of_a_page_counts_only_whole_and_for_the_same_upstream(mirrored, public, liar, tmp_path):
    upstream = f"{public.url}/all/simple/"
    served = mirrored(upstream)
    assert list(served.files("helper")) == [PUBLIC]
    (kept,) = (served.state / "mirror" / "pages").iterdir()
    kept.write_text("{")
    assert list(served.files("helper")) == [PUBLIC]
    assert public.asked.count("/all/simple/helper/") == 2
    engine = open_engine(tmp_path / "locks", store_root=tmp_path / "store")
    other = open_mirror(served.index, engine, served.state, liar.url)
    with running(make_app(served.index, mirror=other)) as url:
        assert requests.get(f"{url}/ot2-py310/simple/helper/", timeout=60).status_code == 404
    other.close()
    assert liar.asked == ["/helper/"]


def test_a_computer_that_has_no_profile_of_its_own_mirrors_for_robots(mirrored, public, monkeypatch):
    """As one with another C library, or another system."""

    def none():
        raise UsageFailure("no profile for this computer")

    monkeypatch.setattr("builder.profile_host.host_profile", none)
    module._profile.cache_clear()
    lab = mirrored(f"{public.url}/all/simple/")
    assert list(lab.files("helper")) == [PUBLIC]
    assert lab.page("public", "no-such-profile").status_code == 404


@pytest.mark.parametrize("url", ["http://[index.example/", "http://index.example:port/"])
def test_what_is_no_url_is_told(mirrored, url):
    with pytest.raises(UsageFailure, match="is no URL"):
        mirrored(url)


def test_names_that_lead_elsewhere_are_passed_over(mirrored, liar, tmp_path):
    good = listed("demo-1.0-py3-none-any.whl")
    names = [
        "../demo-1.0-py3-none-any.whl",
        "demo-1.0-py3-none-any.whl/../../x.whl",
        "/etc/passwd",
        "demo-1.0-\0.whl",
        ".demo-1.0-py3-none-any.whl",
        "demo-1.0-py3-none-any.whl\n",
        "x" * 300 + "-1.0-py3-none-any.whl",
    ]
    urls = ["file:///etc/passwd", "ftp://127.0.0.1/x", "//", "javascript:x"]
    liar.lists(
        "demo",
        *({**good, "filename": name} for name in names),
        *({**good, "filename": f"demo-1.{n}-py3-none-any.whl", "url": url} for n, url in enumerate(urls, 1)),
        {**good, "filename": "demo-2.0-py3-none-any.whl", "hashes": {"sha256": "../../x"}},
        good,
    )
    served = mirrored(liar.url)
    found = set(served.files("demo"))
    assert "demo-1.0-py3-none-any.whl" in found
    assert found <= {"demo-1.0-py3-none-any.whl", "demo-1.3-py3-none-any.whl"}  # "//" is the page's own server
    for name in ("..%2Fdemo-1.0-py3-none-any.whl", "demo-1.0.tar.gz", ".metadata", "x" * 240 + "-1-py3-none-any.whl"):
        answer = requests.get(f"{served.url}/ot2-py310/mirror/{'a' * 64}/{name}", timeout=60)
        assert answer.status_code == 404
    assert served.page("n" * 240).status_code == 404
    assert liar.asked == ["/demo/"]


def test_a_wheel_that_would_not_run_is_refused_with_the_reason(mirrored, liar, tmp_path):
    name = "demo-1.0-cp310-cp310-linux_armv7l.whl"
    data = wheel_bytes(tmp_path / "x", name, files={"demo/_x.so": b"\x7fELF not really"})
    liar.lists("demo", listed(name, data))
    liar.says(f"/files/{name}", data)
    served = mirrored(liar.url)
    for _ in range(2):
        answer = served.get("demo", name)
        assert answer.status_code == 403
        assert f"{name}: the audit for ot2-py310 refuses it" in answer.text
    other = requests.get(f"{served.url}/ot2-py312/mirror/{sha256_bytes(data)}/{name}", timeout=60)
    assert other.status_code == 404  # its tags do not fit there
    assert liar.asked.count(f"/files/{name}") == 1


def test_a_login_of_upstream_comes_from_netrc_and_stays_between_us(mirrored, public, monkeypatch, tmp_path):
    public.login = "reader", "s3cret"
    served = mirrored(f"{public.url}/all/simple/")
    refused = requests.get(f"{served.url}/ot2-py310/simple/helper/", auth=public.login, timeout=60)
    assert refused.status_code == 502  # a client's own login is no login there
    assert "s3cret" not in refused.text
    (Path.home() / ".netrc").write_text("machine 127.0.0.1 login reader password s3cret\n")
    (Path.home() / ".netrc").chmod(0o600)
    page = requests.get(f"{served.url}/ot2-py310/simple/helper/", headers={"Accept": HTML_TYPE, "Authorization": "x"})
    assert page.status_code == 200
    assert "s3cret" not in page.text
    assert not [path for path in served.state.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]
    with pytest.raises(UsageFailure, match="user name and password") as caught:
        mirrored("http://reader:s3cret@127.0.0.1/simple/")
    assert "s3cret" not in "\n".join(caught.value.lines())


def test_what_was_not_used_for_longest_goes_first_and_not_what_was_just_asked_for(tmp_path):
    cache = Cache(tmp_path, 250)
    for number in range(4):
        path = cache.place("files", str(number), "x.whl")
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(100))
        os.utime(path, (1_000_000 + number, 1_000_000))
    assert cache.get("files", "0", "x.whl")
    assert cache.get("files", "9", "x.whl") is None
    cache.trim()
    assert sorted(path.name for path in (tmp_path / "files").iterdir()) == ["0", "3"]
    assert cache.place("files", "0", "x.whl").stat().st_mtime == 1_000_000
    cache.limit = 0
    cache.trim()
    assert sorted(path.name for path in (tmp_path / "files").iterdir()) == ["0"]


def test_the_disk_has_a_limit_while_robots_go_on(mirrored, liar, tmp_path):
    names = [f"demo-{n}.0-py3-none-any.whl" for n in range(5)]
    wheels = {name: wheel_bytes(tmp_path / "x", name, files={"demo/x.bin": os.urandom(100_000)}) for name in names}
    liar.lists("demo", *(listed(name, data) for name, data in wheels.items()))
    for name, data in wheels.items():
        liar.says(f"/files/{name}", data)
    served = mirrored(liar.url, limits=Limits(size=250_000))
    for name, data in wheels.items():
        assert served.get("demo", name).content == data
        for path in (served.state / "mirror" / "files").rglob("*.whl"):
            os.utime(path, (path.stat().st_atime - 3600, path.stat().st_mtime))  # an hour goes by
    assert served.kept == names[-2:]
    assert served.get("demo", names[0]).content == wheels[names[0]]
    assert liar.asked.count(f"/files/{names[0]}") == 2


def test_a_server_that_stops_gives_up_what_is_under_way(mirrored, liar):
    name, under_way = "demo-1.0-py3-none-any.whl", threading.Event()

    def for_ever():
        while True:
            yield bytes(1 << 20)
            under_way.set()
            time.sleep(0.02)

    liar.lists("demo", listed(name))
    liar.answers[f"/files/{name}"] = lambda: (200, {}, for_ever())
    served = mirrored(liar.url)
    with ThreadPoolExecutor(1) as client:
        waiting = client.submit(served.get, "demo", name)
        assert under_way.wait(60)
        served.mirror.close()
        assert waiting.result().status_code == 502
    assert served.kept == []


def test_the_bytes_on_disk_are_those_of_the_page(mirrored, public):
    served = mirrored(f"{public.url}/all/simple/")
    sha256 = served.files("helper")[PUBLIC]["hashes"]["sha256"]
    served.get("helper", PUBLIC)
    assert sha256_file(served.state / "mirror" / "files" / sha256 / PUBLIC) == sha256
    assert (served.state / "mirror").stat().st_mode & 0o77 == 0
