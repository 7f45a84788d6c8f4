"""What readers of an index's server get: forms, validators, ranges, redirects, and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import time
from pathlib import Path

import pytest
from pypi_simple import ProjectPage
from served_index import DEMO, PY310, PY312, Served, fill, served

from builder.files import sha256_bytes
from builder.index.layout import Branch
from builder.index.page import HTML_TYPE, JSON_TYPE, Page
from builder.index.server.parts import Refused
from builder.index.uploads.offered import target

SECRET = "not for readers"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = tmp_path_factory.mktemp("project")
    (project / "inventory.yaml").write_text("robots: {}\n")
    fill(project, DEMO, "Lab.Tool-1.0+lab-py3-none-any.whl")
    fill(project, "next-1.0-py3-none-any.whl", branch=Branch(profile="ot2-py310", channel="dev"))
    fill(project, "large-1.0-py3-none-any.whl", branch=PY312, content={"large/data": os.urandom(3_000_000)})
    (project / "marker").write_text(SECRET)
    return project


@pytest.fixture(scope="module")
def server(project):
    with served(project) as server:
        yield server


@pytest.mark.parametrize(
    ("path", "accept", "media"),
    [
        ("/ot2-py310/simple/demo/", JSON_TYPE, JSON_TYPE),
        ("/ot2-py310/simple/demo/", HTML_TYPE, HTML_TYPE),
        ("/ot2-py310/simple/demo/", "*/*", "text/html"),
        ("/ot2-py310/simple/demo/index.json", "text/html", JSON_TYPE),
        (f"/ot2-py310/simple/demo/?format={JSON_TYPE}", "text/html", JSON_TYPE),
        ("/ot2-py310/simple/", JSON_TYPE, JSON_TYPE),
        ("/ot2-py310/dev/simple/next/", JSON_TYPE, JSON_TYPE),
        ("/own/simple/lab-tool/", JSON_TYPE, JSON_TYPE),
        ("/own/dev/simple/next/", "text/html", "text/html"),
    ],
)
def test_a_page_in_the_form_that_was_asked_for(server: Served, project, path, accept, media):
    answer = server.ask(path, Accept=accept)
    assert (answer.status, answer.headers["vary"]) == (200, "Accept")
    assert answer.headers["content-type"].partition(";")[0] == media
    place = project / "index" / path.lstrip("/").partition("?")[0].removesuffix("index.json")
    assert answer.body == (place / f"index.{'json' if media == JSON_TYPE else 'html'}").read_bytes()
    assert int(answer.headers["content-length"]) == len(answer.body)


def test_without_a_word_it_is_html_and_what_nobody_has_is_refused(server: Served):
    assert server.ask("/ot2-py310/simple/demo/").headers["content-type"] == "text/html; charset=utf-8"
    answer = server.ask("/ot2-py310/simple/demo/", Accept="image/png")
    assert answer.status == 406
    assert JSON_TYPE in answer.text


@pytest.mark.parametrize(
    "path", ["/ot2-py310/simple/demo/", f"/ot2-py310/files/{DEMO}", f"/ot2-py310/files/{DEMO}.metadata"]
)
def test_what_a_client_has_is_not_sent_again(server: Served, path):
    first = server.ask(path)
    assert first.headers["etag"].startswith('"')
    for known in (first.headers["etag"], f'"x", W/{first.headers["etag"]}', "*"):
        again = server.ask(path, If_None_Match=known)
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert server.ask(path, If_Modified_Since=first.headers["last-modified"]).status == 304
    other = server.ask(path, If_None_Match='"other"', If_Modified_Since=first.headers["last-modified"])
    assert other.status == 200


def test_two_forms_have_two_etags(server: Served):
    tags = {server.ask("/ot2-py310/simple/demo/", Accept=one).headers["etag"] for one in (JSON_TYPE, HTML_TYPE, "*/*")}
    assert len(tags) == 3


@pytest.mark.parametrize("path", ["/", "/ot2-py310/simple/", f"/ot2-py310/files/{DEMO}", "/-/health", "/nothing"])
def test_head_says_what_get_would(server: Served, path):
    get, head = server.ask(path), server.ask(path, "HEAD")
    assert (head.status, head.body) == (get.status, b"")
    assert {**head.headers, "date": ""} == {**get.headers, "date": ""}


def test_a_wheel_and_its_metadata_are_given_as_the_page_has_them(server: Served):
    page = server.ask("/ot2-py310/simple/lab-tool/", Accept=JSON_TYPE)
    (package,) = ProjectPage.from_json_data(
        json.loads(page.body), base_url=f"{server.url}ot2-py310/simple/lab-tool/"
    ).packages
    wheel = server.ask(package.url.removeprefix(server.url.rstrip("/")))
    assert sha256_bytes(wheel.body) == package.digests["sha256"]
    assert "immutable" in wheel.headers["cache-control"]
    metadata = server.ask(package.metadata_url.removeprefix(server.url.rstrip("/")))
    assert sha256_bytes(metadata.body) == package.metadata_digests["sha256"]


@pytest.mark.parametrize(
    ("asked", "status", "first", "last"),
    [
        ("bytes=0-0", 206, 0, 0), ("bytes=5-9", 206, 5, 9), ("bytes=-7", 206, -7, None), ("bytes=10-", 206, 10, None),
        ("bytes=2000000-99999999999", 206, 2_000_000, None), ("bytes=-99999999999", 206, 0, None),
        ("bytes=100-2500000", 206, 100, 2_500_000),
        ("bytes=9-5", 200, 0, None), ("bytes=-", 200, 0, None), ("bytes=0-1,3-4", 200, 0, None),
        ("lines=1-2", 200, 0, None), ("bytes=a-b", 200, 0, None), ("bytes=-1-2", 200, 0, None),
    ],
)  # fmt: skip
def test_a_part_of_a_wheel(server: Served, project, asked, status, first, last):
    path = "ot2-py312/files/large-1.0-py3-none-any.whl"
    data = (project / "index" / path).read_bytes()
    answer = server.ask(f"/{path}", Range=asked)
    wanted = data[first : None if last is None else last + 1]
    assert (answer.status, answer.body == wanted) == (status, True)
    if status == 206:
        start = first % len(data)
        assert answer.headers["content-range"] == f"bytes {start}-{start + len(wanted) - 1}/{len(data)}"


def test_a_part_beyond_the_end_is_refused_and_one_of_another_file_is_the_whole(server: Served, project):
    path = "ot2-py312/files/large-1.0-py3-none-any.whl"
    size = (project / "index" / path).stat().st_size
    for asked in (f"bytes={size}-", "bytes=-0", "bytes=99999999-"):
        answer = server.ask(f"/{path}", Range=asked)
        assert (answer.status, answer.body, answer.headers["content-range"]) == (416, b"", f"bytes */{size}")
    etag = server.ask(f"/{path}", "HEAD").headers["etag"]
    assert server.ask(f"/{path}", Range="bytes=0-4", If_Range=etag).status == 206
    assert server.ask(f"/{path}", Range="bytes=0-4", If_Range='"other"').status == 200


def test_what_is_nearly_right_is_sent_to_the_right_address_below_any_prefix(server: Served):
    for path, location in (
        ("/ot2-py310/simple", "simple/"),
        ("/ot2-py310/simple/demo", "demo/"),
        ("/ot2-py310/simple/Lab.Tool/", "../lab-tool/"),
        ("/ot2-py310/simple/Lab_tool/?format=text/html", "../lab-tool/?format=text/html"),
    ):
        answer = server.ask(path)
        assert (answer.status, answer.headers["location"]) == (301, location)


def test_a_prefix_that_a_proxy_leaves_is_passed_over(project):
    with served(project, "--root-path", "wheels/", log="prefix.log") as server:
        assert server.url.endswith("/wheels/")
        assert server.ask("/wheels/ot2-py310/simple/demo/").status == 200
        assert server.ask("/ot2-py310/simple/demo/").status == 200
        assert server.ask("/wheels/ot2-py310/simple/Demo/").headers["location"] == "../demo/"


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("POST", "/ot2-py310/simple/demo/", 405, "GET, HEAD"),
        ("DELETE", f"/ot2-py310/files/{DEMO}", 405, "GET, HEAD"),
        ("BREW", "/", 405, "GET, HEAD"),
        ("GET", "/legacy/", 405, "POST"),
        ("GET", "/ot2-py310/simple/nobody/", 404, None),
        ("GET", "/ot2-py399/simple/", 404, None),
        ("GET", "/ot2-py310/files/nothing-1.0-py3-none-any.whl", 404, None),
        ("GET", "/ot2-py310/files", 404, None),
        ("POST", "/ot2-py310/legacy/", 401, None),
    ],
)
def test_an_error_is_one_line_in_the_clients_own_form(server: Served, method, path, status, allow):
    plain = server.ask(path, method)
    assert (plain.status, plain.headers.get("allow")) == (status, allow)
    assert plain.headers["content-type"].startswith("text/plain")
    assert len(plain.text.splitlines()) == 1
    told = server.ask(path, method, Accept=f"{JSON_TYPE}, text/html;q=0.1")
    assert json.loads(told.body) == {"error": plain.text.strip()}


def test_an_answer_is_not_held_back_on_a_connection_that_is_kept(server: Served):
    took = []
    with contextlib.closing(server.connect()) as connection:
        for _ in range(60):
            start = time.perf_counter()
            connection.request("GET", "/ot2-py310/simple/demo/")
            assert connection.getresponse().read()
            took.append(time.perf_counter() - start)
    assert min(took[-20:]) < 0.02  # 0.04 at least, each, where the kernel waits for the client's word


def test_a_change_is_seen_at_once(server: Served, project):
    etag = server.ask("/ot2-py310/simple/demo/").headers["etag"]
    assert server.ask("/ot2-py310/simple/demo/", If_None_Match=etag).status == 304
    index = fill(project, "demo-2.0-py3-none-any.whl")
    try:
        answer = server.ask("/ot2-py310/simple/demo/", If_None_Match=etag)
        assert (answer.status, "demo-2.0" in answer.text) == (200, True)
        fill(project, "new-1.0-py3-none-any.whl", branch=Branch(profile="ot2-py310", channel="fresh"))
        assert "ot2-py310/fresh" in json.loads(server.ask("/-/health").body)["branches"]
        assert server.ask("/ot2-py310/fresh/simple/new/").status == 200
    finally:
        with index.change() as change:
            change.put(PY310, index.page(PY310, "demo").without(["demo-2.0-py3-none-any.whl"]))
            change.put(Branch(profile="ot2-py310", channel="fresh"), Page(name="new"))


def test_readers_never_see_a_page_half_written(project):
    branch = Branch(profile="ot2-py310", channel="busy")
    with served(project, log="busy.log") as server:
        fill(project, "busy-1.0-py3-none-any.whl", branch=branch)
        writer = threading.Thread(
            target=fill,
            args=(project, *(f"busy-1.{n}-py3-none-any.whl" for n in range(1, 9))),
            kwargs={"branch": branch},
        )
        writer.start()
        versions = []
        while writer.is_alive() or not versions:
            page = server.ask("/ot2-py310/busy/simple/busy/", Accept=JSON_TYPE)
            versions.append(len(json.loads(page.body)["files"]))
        writer.join()
        assert set(versions) <= {1, 9}
        assert len(json.loads(server.ask("/ot2-py310/busy/simple/busy/", Accept=JSON_TYPE).body)["files"]) == 9


def test_a_strange_host_is_no_matter(server: Served):
    for host in ("[", "[::1", "a:b:c", "", "http://x"):
        assert server.ask("/ot2-py310/simple/demo/?x=y", Host=host).status == 200
        assert server.ask("/ot2-py310/simple/Demo/?x=y", Host=host).headers["location"] == "../demo/?x=y"


def test_nothing_hidden_and_nothing_outside_is_given(server: Served, project, tmp_path):
    files = project / "index" / "ot2-py310" / "files"
    (tmp_path / "file").write_text(SECRET)
    made = {
        "out-1.0-py3-none-any.whl": project / "marker",
        "far-1.0-py3-none-any.whl": tmp_path / "file",
        "state-1.0-py3-none-any.whl": project / "index" / ".lock",
        "directory-1.0-py3-none-any.whl": project,
        "broken-1.0-py3-none-any.whl": project / "nowhere",
        "round-1.0-py3-none-any.whl": files / "round-1.0-py3-none-any.whl",
    }
    inside = files / "inside-1.0-py3-none-any.whl"
    fifo = files / "fifo-1.0-py3-none-any.whl"
    try:
        for name, target in made.items():
            (files / name).symlink_to(target)
        inside.symlink_to(files / DEMO)
        os.mkfifo(fifo)
        (files / ".demo.x.part").write_text(SECRET)
        for name in (*made, ".demo.x.part", fifo.name):
            assert server.ask(f"/ot2-py310/files/{name}").status == 404
        assert server.ask(f"/ot2-py310/files/{inside.name}").body == (files / DEMO).read_bytes()
        for path in ("/.lock", "/index/.lock", "/../marker", "/ot2-py310/files/../../../marker", "/%2e%2e/marker",
                     "/ot2-py310/files/..%2f..%2f..%2fmarker", "//marker", f"/{project}/marker", "/index.json",
                     "/ot2-py310/files/%252e%252e/%252e%252e/marker"):  # fmt: skip
            answer = server.ask(path)
            assert (answer.status, SECRET in answer.text) == (404, False), path
    finally:
        for path in (*(files / name for name in made), inside, fifo, files / ".demo.x.part"):
            path.unlink(missing_ok=True)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux says and limits what a process has open")
def test_what_cannot_be_opened_is_not_taken_for_absent(tmp_path):
    import resource

    fill(tmp_path, DEMO)
    with served(tmp_path, "--read-only") as server, contextlib.closing(server.connect()) as connection:

        def status() -> int:
            connection.request("GET", "/ot2-py310/simple/demo/")
            answer = connection.getresponse()
            answer.read()
            return answer.status

        assert status() == 200
        before = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (0, before[1]))  # what is open stays so
        assert status() == 500
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, before)
        assert status() == 200
    assert "Too many open files" in server.log
    assert "Traceback" not in server.log


def test_health_says_when_the_tree_cannot_be_read(tmp_path):
    fill(tmp_path, DEMO)
    (tmp_path / "inventory.yaml").write_text("robots: {}\n")
    with served(tmp_path) as server:
        good = json.loads(server.ask("/-/health").body)
        assert (good["ok"], good["branches"], server.ask("/-/ready").status) == (True, ["ot2-py310"], 200)
        shutil.move(tmp_path / "index", tmp_path / "away")
        bad = server.ask("/-/health")
        assert (bad.status, json.loads(bad.body)["ok"], str(tmp_path) in bad.text) == (503, False, False)
        assert server.ask("/ot2-py310/simple/demo/").status == 404
        shutil.move(tmp_path / "away", tmp_path / "index")
        assert server.ask("/-/health").status == 200


def test_the_log_has_a_line_for_each_request_without_its_query(server: Served):
    before = len(server.answered())
    server.ask("/ot2-py310/simple/demo/?token=hunter2", Authorization="Basic aHVudGVyMg==")
    (line,) = server.answered()[before:]
    assert line.group("method", "path", "status") == ("GET", "/ot2-py310/simple/demo/", "200")
    assert "hunter2" not in server.log
    assert "aHVudGVyMg" not in server.log


def test_a_damaged_list_or_page_is_told_instead_of_given(tmp_path):
    (tmp_path / "inventory.yaml").write_text("robots: {}\n")
    fill(tmp_path, DEMO)
    simple = tmp_path / "index" / "ot2-py310" / "simple"
    with served(tmp_path) as server:
        for form, path in (("json", "/ot2-py310/simple/demo/index.json"), ("html", "/ot2-py310/simple/demo/")):
            page = simple / "demo" / f"index.{form}"
            page.write_bytes(page.read_bytes()[:-9])
            answer = server.ask(path)
            assert (answer.status, answer.text.count("\n")) == (500, 1)
            assert f"demo/index.{form} is damaged" in server.answered()[-1]["note"]
        assert server.ask("/-/health").status == 200
        (simple / "index.json").write_text("{")
        assert server.ask("/-/health").status == 503


def test_a_branch_that_is_not_there_is_told_as_that(server: Served):
    assert server.ask("/host/simple/demo/").text == "no branch host\n"
    assert server.ask("/ot2-py310/simple/nothing/").text == "ot2-py310 has no project nothing\n"


@pytest.mark.parametrize(("path", "status"), [("/", 405), ("/upload/here", 404), ("/ot2-py310/simple/", 405)])
def test_who_uploads_to_a_wrong_address_is_told_the_right_one(server: Served, path, status):
    answer = server.ask(path, "POST", b"")
    assert answer.status == status
    assert "uploads go to /legacy/" in answer.text


def test_a_profile_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(Refused, match=r"no profile is named ot2-py311; there are .*ot2-py310"):
        target(("ot2-py311",))
