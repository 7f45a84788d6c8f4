"""Uploads at once, cut off, killed, and onto a full disk: nothing is half there, and the same again succeeds."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from served_index import served
from small_disk import fill, small_disk
from upload_place import OTHER, PROFILES, Place, form, receiving_place
from wheel_factory import PURE

from builder.index.journal import JOURNAL, Journal

CLIENT = [sys.executable, "-m", "ot2deploy", "index", "upload", "--json"]


def until(true: Callable[[], object], seconds: float = 20) -> None:
    """Waits for a state."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "this state never came"
        time.sleep(0.01)


def begin_client(place: Place, *words: str | Path) -> subprocess.Popen[str]:
    env = {**os.environ, "OT2DEPLOY_INDEX_TOKEN": place.token}
    argv = [*CLIENT, "--to", place.server.url, *map(str, words)]
    return subprocess.Popen(argv, cwd=place.project, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def begin_upload(place: Place, path: Path, address: str = "/ot2-py310/legacy/") -> socket.socket:
    """Sends the first half of an upload, and waits until the server has it on disk."""
    body, kind = form(path)
    login = base64.b64encode(f"__token__:{place.token}".encode()).decode()
    head = (
        f"POST {address} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    client = socket.create_connection(("127.0.0.1", place.server.port), timeout=20)
    client.sendall(head.encode() + body[: len(body) // 2])
    until(place.left)
    return client


def large(place: Place, directory: str = "large", filename: str = PURE) -> Path:
    """A wheel of 4 MB, half of which is more than what a server keeps in memory."""
    return place.wheel(directory, filename, {f"demo/{n}.bin": os.urandom(1_000_000) for n in range(4)})


def test_eight_clients_at_once(tmp_path: Path) -> None:
    """Four send wheels of their own, two the same one, and two other bytes under one name: exactly one of them wins."""
    with receiving_place(tmp_path) as place:
        own = [place.wheel("own", f"demo{n}-1.0-py3-none-any.whl", {f"demo{n}/x.py": b""}) for n in range(4)]
        same = place.wheel("same", "same-1.0-py3-none-any.whl", {"same/x.py": b""})
        rivals = [place.wheel("one"), place.wheel("two", content=OTHER)]
        clients = [begin_client(place, path) for path in (*own, same, same, *rivals)]
        ended = [(client.communicate(timeout=120), client.returncode) for client in clients]
        assert [status for _, status in ended[:6]] == [0] * 6, ended
        assert sorted(status for _, status in ended[6:]) == [0, 1], ended
        lost = next(json.loads(out) for (out, _), status in ended[6:] if status)
        assert "has other bytes under this name" in lost["result"]["failed"][0]["error"]["what"]
        for branch, files in place.listed().items():
            assert files == sorted([PURE, same.name, *(path.name for path in own)]), branch
        acts = [(act.op, *act.files) for act in Journal(place.state / JOURNAL).lines()]
        assert sorted(acts) == sorted(
            [("upload", path.name) for path in (*own, same)] + [("upload", PURE), ("refused", PURE)]
        )
        assert place.left() == []


def test_many_uploads_of_one_wheel_at_once_are_one(tmp_path: Path) -> None:
    with receiving_place(tmp_path) as place, ThreadPoolExecutor(8) as pool:
        path = place.wheel()
        answers = list(pool.map(lambda _: place.upload(path, "/legacy/"), range(16)))
        assert [answer.status for answer in answers] == [200] * 16
        new = [answer for answer in answers if "new" in json.loads(answer.text)["branches"].values()]
        assert len(new) == len(Journal(place.state / JOURNAL).lines()) == 1


def test_a_client_that_goes_away_leaves_nothing_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    with receiving_place(tmp_path) as place:
        path = large(place)
        with begin_upload(place, path):
            assert place.listed() == {}
            assert place.server.ask("/-/health").status == 200
            assert place.upload(place.wheel(), "/ot2-py312/legacy/").status == 200
        until(lambda: not place.left())
        until(lambda: "the client has gone" in place.server.log)
        assert place.listed() == {"ot2-py312": [PURE]}
        assert place.upload(path).status == 200
        assert set(place.listed()) == {"ot2-py310", "ot2-py312"}


def test_an_upload_under_way_ends_well_when_the_server_is_told_to_stop(tmp_path: Path) -> None:
    with receiving_place(tmp_path) as place:
        path = large(place)
        body, _ = form(path)
        with begin_upload(place, path) as client:
            place.server.process.send_signal(signal.SIGTERM)
            until(lambda: not reachable(place.server.port))
            client.sendall(body[len(body) // 2 :])
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        assert place.server.process.wait(timeout=20) == 0
        assert place.listed() == {"ot2-py310": [PURE]}
        assert list((place.state / "incoming").glob("server-*")) == []


def test_what_a_killed_server_had_of_an_upload_is_swept_by_the_next(tmp_path: Path) -> None:
    with receiving_place(tmp_path) as place:
        path = large(place)
        with begin_upload(place, path):
            place.server.process.kill()
            place.server.process.wait(timeout=20)
        assert place.left() != []
        assert place.listed() == {}
    with receiving_place(tmp_path) as place:
        assert place.left() == []
        assert place.upload(path).status == 200
        with begin_upload(place, large(place, filename="other-1.0-py3-none-any.whl")), served(tmp_path):
            assert place.left() != []  # a second server leaves alone what belongs to one that lives


@pytest.mark.slow
def test_a_server_killed_at_any_moment_leaves_a_whole_index(tmp_path: Path) -> None:
    """Twenty wheels are sent again and again while the server is killed after the second, the ninth ... of them."""
    project = tmp_path / "project"
    names = [f"demo{n:02}-1.0-py3-none-any.whl" for n in range(20)]
    for killed_after in (0, 2, 9, None):
        with receiving_place(project) as place:
            assert place.left() == []
            paths = [place.wheel("made", name, {f"{name[:6]}/x.py": b""}) for name in names]
            client = begin_client(place, *paths)
            if killed_after is not None:
                until(partial(has, project / "index" / "ot2-py312" / "simple", killed_after))
                place.server.process.kill()
            client.communicate(timeout=60)
            assert client.returncode == (0 if killed_after is None else 1)
        place.listed()
    assert place.listed() == dict.fromkeys(PROFILES, names)
    assert place.left() == []


def test_a_full_disk_is_told_and_leaves_the_index_as_it_was(tmp_path: Path) -> None:
    """Wherever it runs full: while the upload comes, while it enters the tree, or before."""
    project = tmp_path / "project"
    with small_disk(project) as ballast, receiving_place(project) as place:
        path = place.wheel(content={"demo/0.bin": os.urandom(1_500_000)})
        assert place.upload(place.wheel("two", content=OTHER), "/ot2-py312/legacy/").status == 200
        told = []
        for free in (0, 4096, 100_000, 1_000_000, 1_600_000, 2_000_000, 3_020_000):
            before = place.listed()
            fill(ballast, free=free)
            answer = place.upload(path)
            told.append((answer.status, json.loads(answer.text).get("error")))
            assert (place.listed(), place.left()) == (before, [])
        assert set(told) == {(507, "the index's disk is full; nothing of the upload was kept")}
        assert "Traceback" not in place.server.log
        ballast.unlink()
        assert place.upload(path).status == 200
        assert set(place.listed()) == {"ot2-py310", "ot2-py312"}


def test_a_large_upload_is_never_in_memory(tmp_path: Path) -> None:
    """120 MB pass through the server while it grows by less than a third of them."""
    with receiving_place(tmp_path) as place:
        assert place.upload(place.wheel()).status == 200
        path = place.wheel(
            "large", "large-1.0-py3-none-any.whl", {f"large/{n}.bin": os.urandom(4_000_000) for n in range(30)}
        )
        status = Path(f"/proc/{place.server.process.pid}/status")
        if not status.exists():
            pytest.skip("needs /proc")
        before = peak(status)
        assert begin_client(place, path).wait(timeout=60) == 0
        assert peak(status) - before < 40_000


def reachable(port: int) -> bool:
    """Whether anybody listens there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=20):
        return True
    return False


def has(simple: Path, count: int) -> bool:
    """Whether a branch lists so many projects."""
    return len(list(simple.glob("*/index.json"))) >= count


def peak(status: Path) -> int:
    """The most memory that a process ever had, kB."""
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1])
