"""Uploads to a real server by the real twine and uv, and what it refuses."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from upload_place import OTHER, PROFILES, PY310, Place, form, receiving_place
from wheel_factory import NATIVE, PURE

from builder.files import write_json
from builder.index.journal import JOURNAL, Journal
from builder.index.tree import Index


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with receiving_place(tmp_path) as place:
        yield place


def run(place: Place, *words: str | Path, token: str, **variables: str) -> tuple[int, str]:
    """A client's exit status, and what it said in one line (twine folds its own)."""
    env = {**os.environ, **variables}
    done = subprocess.run(
        [*map(str, words)], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120
    )
    assert token not in done.stdout
    return done.returncode, " ".join(done.stdout.split())


def twine(place: Place, path: Path, address: str = "ot2-py310/legacy/", token: str | None = None) -> tuple[int, str]:
    token = place.token if token is None else token
    words = [sys.executable, "-m", "twine", "upload", "--non-interactive", "--disable-progress-bar"]
    login = {"TWINE_USERNAME": "__token__", "TWINE_PASSWORD": token}
    return run(place, *words, "--repository-url", place.server.url + address, path, token=token, **login)


def uv(place: Place, path: Path, *words: str, address: str = "ot2-py310/legacy/") -> tuple[int, str]:
    uv_words = [sys.executable, "-m", "uv", "publish", "--trusted-publishing", "never", *words]
    to = ["--publish-url", place.server.url + address]
    return run(place, *uv_words, *to, path, token=place.token, UV_PUBLISH_TOKEN=place.token)


def test_twine_uploads_again_and_is_told_of_other_bytes(place: Place) -> None:
    assert twine(place, place.wheel())[0] == 0
    assert twine(place, place.wheel())[0] == 0
    status, said = twine(place, place.wheel("other", content=OTHER))
    assert status == 1
    assert "409 Conflict" in said
    assert "demo-1.0-py3-none-any.whl: ot2-py310 has other bytes under this name." in said
    assert "Build it with a higher `revision` in its recipe" in said
    assert place.listed() == {"ot2-py310": [PURE]}
    acts = Journal(place.state / JOURNAL).lines()
    assert [(act.op, act.who, act.branches, list(act.files)) for act in acts] == [
        ("upload", "ci", ("ot2-py310",), [PURE]),
        ("refused", "ci", ("ot2-py310",), [PURE]),
    ]
    (file,) = place.index.page(PY310, "demo").files
    assert file.own
    assert place.left() == []


def test_uv_uploads_with_and_without_a_look_before(place: Place) -> None:
    look = ("--check-url", f"{place.server.url}ot2-py310/simple/")
    assert uv(place, place.wheel(), *look)[0] == 0
    assert uv(place, place.wheel())[0] == 0
    status, said = uv(place, place.wheel(), *look)
    assert (status, "already exists, skipping" in said) == (0, True)
    other = place.wheel("other", content=OTHER)
    status, said = uv(place, other)
    assert status != 0
    assert "409" in said
    assert "Build it with a higher `revision` in its recipe" in said
    assert uv(place, other, *look)[0] != 0
    assert place.listed() == {"ot2-py310": [PURE]}


def test_clients_show_why_a_token_is_refused(place: Place) -> None:
    path = place.wheel()
    status, said = twine(place, path, token=place.token_for("robots", "read"))
    assert (status, "token robots may read, not upload" in said) == (1, True)
    status, said = twine(place, path, token="ot2_0123456789abcdef_" + "0" * 64)
    assert (status, "this token is not known here" in said) == (1, True)
    place.tokens.revoke("ci")
    status, said = uv(place, path)
    assert (status != 0, "token ci is revoked since" in said) == (True, True)
    assert place.listed() == {}


def test_a_token_opens_what_it_is_for_and_no_more(place: Place) -> None:
    path = place.wheel()
    dev = place.token_for("dev", "upload", profiles=("ot2-py310",), channels=("dev",))
    for address in ("/ot2-py310/legacy/", "/ot2-py312/dev/legacy/", "/legacy/"):
        answer = place.upload(path, address, token=dev)
        assert (answer.status, "only" in answer.text) == (403, True), address
    assert place.upload(path, "/ot2-py310/dev/legacy/", token=dev).status == 200
    answer = place.upload(path, "/dev/legacy/", token=dev)  # to all profiles is to those that it is for
    assert json.loads(answer.text)["branches"] == {"ot2-py310/dev": "no change"}
    expired = place.token_for("old", "upload")
    rows = json.loads(place.tokens.path.read_bytes())
    rows["tokens"][-1]["expires"] = "2026-01-02T03:04:05Z"
    write_json(place.tokens.path, rows, mode=0o600)
    answer = place.upload(path, token=expired)
    assert (answer.status, "has expired since 2026-01-02T03:04:05Z" in answer.text) == (403, True)
    nobody = place.server.ask("/ot2-py310/legacy/", "POST", b"")
    assert (nobody.status, nobody.headers["www-authenticate"].partition(" ")[0]) == (401, "Basic")
    assert place.listed() == {"ot2-py310/dev": [PURE]}


def test_the_plain_address_is_for_every_profile_that_takes_the_wheel(place: Place) -> None:
    answer = json.loads(place.upload(place.wheel(), "/legacy/").text)
    assert answer["branches"] == dict.fromkeys(PROFILES, "new")
    answer = json.loads(place.upload(place.wheel(filename=NATIVE), "/dev/legacy/").text)
    assert answer["branches"] == {"ot2-py310/dev": "new"}
    assert "does not fit ot2-py312" in answer["refused"]["ot2-py312/dev"]
    foreign = place.upload(place.wheel(filename="demo-1.0-cp310-cp310-win_amd64.whl"), "/legacy/")
    assert foreign.status == 400
    assert all(f"{name}: does not fit {name}." in foreign.text for name in PROFILES)
    assert place.upload(place.wheel(), "/legacy").status == 200  # without its slash, too
    named = place.upload(place.wheel(), "/x/legacy/", **{"ot2deploy-profile": "ot2-py310"})
    assert json.loads(named.text)["branches"] == {"ot2-py310/x": "new"}
    named = place.upload(place.wheel(), "/ot2-py312/x/legacy/", **{"ot2deploy-profile": "ot2-py310"})
    assert json.loads(named.text)["branches"] == {"ot2-py312/x": "new"}  # the address counts
    assert set(place.listed()) == {*PROFILES, "ot2-py310/dev", "ot2-py310/x", "ot2-py312/x"}


def test_one_refusal_keeps_a_wheel_out_of_every_branch(place: Place) -> None:
    assert place.upload(place.wheel("other", content=OTHER), "/ot2-py312/legacy/").status == 200
    assert place.upload(place.wheel(), "/legacy/").status == 409
    assert place.listed() == {"ot2-py312": [PURE]}


def test_an_address_that_is_no_branch(place: Place) -> None:
    for address, said in (
        ("/ot2-py31/legacy/", "no profile is named ot2-py31"),
        ("/dev/ot2-py310/legacy/", "no profile is named dev"),
        ("/own/legacy/", "no name of a channel"),
        ("/ot2-py310/Dev/legacy/", "no name of a channel"),
    ):
        answer = place.upload(place.wheel(), address)
        assert (answer.status, said in answer.text) == (404, True), address
    assert place.listed() == {}


NO_UPLOADS: tuple[tuple[dict[str, str | None], str], ...] = (
    ({"filetype": "sdist"}, "robots never get an sdist"),
    ({"filename": "demo-1.0.tar.gz"}, "robots never get an sdist"),
    ({"filename": "../../demo-1.0-py3-none-any.whl"}, "no name of a wheel"),
    ({"filename": ".demo-1.0-py3-none-any.whl"}, "no name of a wheel"),
    ({"filename": "demo-1.0.whl"}, "demo-1.0.whl"),
    ({"filename": "other-1.0-py3-none-any.whl"}, "name-mismatch"),
    ({"sha256_digest": "0" * 64}, "does not have its sha256_digest"),
    ({"blake2_256_digest": "0" * 64}, "does not have its blake2_256_digest"),
    ({"sha256_digest": None}, "names no digest"),
    ({"name": "other"}, "is not of other"),
    ({"version": "1.1"}, "is not of"),
    ({"version": "one"}, "is not of"),
    ({":action": "submit"}, "only uploads of files"),
    ({"protocol_version": "2"}, "only uploads of files"),
    ({"filetype": "x" * 5000}, "longer than"),
    ({"ot2deploy-profile": "ot2-py39"}, "no profile is named ot2-py39"),
)


def test_what_is_no_upload_of_a_wheel_is_refused_and_leaves_nothing(place: Place) -> None:
    for changed, said in NO_UPLOADS:
        answer = place.post("/legacy/", *form(place.wheel(), **changed))  # type: ignore[arg-type]
        assert (answer.status, said in answer.text) == (400, True), (changed, answer.text)
    assert (place.listed(), place.left()) == ({}, [])


def test_a_form_that_is_cut_off_or_none_is_refused(place: Place) -> None:
    body, kind = form(place.wheel())
    for cut in (0, 1, 50, 400, -3, -4, -12, -200):
        assert place.post("/legacy/", body[:cut], kind).status == 400, cut
    for wrong in ("application/octet-stream", "multipart/form-data", "multipart/form-data; boundary=zyx", ""):
        assert place.post("/legacy/", body, wrong).status == 400, wrong
    twice = body.replace(b"--xyz--", b"--xyz") + body.partition(b"\r\n")[2]
    assert "has two" in place.post("/legacy/", twice, kind).text
    assert (place.listed(), place.left()) == ({}, [])


def test_pages_link_as_the_index_says_now_and_not_when_the_server_began(place: Place) -> None:
    Index.create(place.project / "index", "http://index.example/")
    assert place.upload(place.wheel()).status == 200
    html = (place.project / "index" / PY310.page("demo") / "index.html").read_text()
    assert 'href="http://index.example/ot2-py310/files/' in html


def test_a_form_of_very_many_fields_is_refused_and_not_kept(place: Place) -> None:
    body, kind = form(place.wheel())
    field = b'--xyz\r\nContent-Disposition: form-data; name="ot2deploy-profile"\r\n\r\not2-py310\r\n'
    answer = place.post("/legacy/", field * 1000 + body, kind)
    assert (answer.status, "too many fields" in answer.text) == (400, True), answer.text
    assert (place.listed(), place.left()) == ({}, [])


def test_a_wheel_that_is_too_large_is_told_to_whoever_sends_it(tmp_path: Path) -> None:
    with receiving_place(tmp_path, "--max-upload", "1") as place:
        path = place.wheel(content={f"demo/{n}.bin": os.urandom(500_000) for n in range(6)})
        status, said = twine(place, path)
        assert (status, "this index takes at most 1 MB" in said) == (1, True)
        small = place.wheel("small", content={"demo/0.bin": os.urandom(900_000)})
        assert place.upload(small).status == 200
        assert (place.listed(), place.left()) == ({"ot2-py310": [PURE]}, [])


def test_no_secret_is_anywhere(place: Place) -> None:
    wrong = "ot2_0123456789abcdef_" + "5" * 64
    for token in (place.token, wrong, "hunter2hunter2"):
        twine(place, place.wheel(), token=token)
    place.server.ask(f"/legacy/?password={place.token}", "POST", b"", Authorization=f"Basic {place.token}")
    secrets = [place.token.rpartition("_")[2], "5" * 64, "hunter2hunter2"]
    secrets += [base64.b64encode(f"__token__:{one}".encode()).decode()[:60] for one in (place.token, wrong)]
    kept = {path: path.read_bytes() for path in place.project.rglob("*") if path.is_file()}
    assert len(kept) > 10
    for secret in secrets:
        assert [path for path, data in kept.items() if secret.encode() in data] == []
