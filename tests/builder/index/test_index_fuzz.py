"""Random and malformed requests against the running server: no traceback, no 500, nothing from outside of the tree.

1,500 of them in the suite; OT2DEPLOY_TESTS_FUZZ=10000 makes it ten thousand, OT2DEPLOY_TESTS_FUZZ_SEED other ones.
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from datetime import timedelta
from pathlib import Path

from index_fuzzer import Fuzzer
from served_index import DEMO, PY310, Served, fill, served

from builder.files import sha256_file
from builder.index.layout import Branch
from builder.index.tokens import TOKENS, Tokens

COUNT = int(os.environ.get("OT2DEPLOY_TESTS_FUZZ", "1500"))
SEED = int(os.environ.get("OT2DEPLOY_TESTS_FUZZ_SEED", "20261121"))
MARKER = "this stands beside the tree"


def exchange(server: Served, data: bytes, *, whole: bool) -> bytes:
    """Sends bytes on a connection of their own, and gives all that comes back until the server ends it."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        answer = b""
        try:
            client.sendall(data)
            if not whole:
                client.shutdown(socket.SHUT_WR)
            while piece := client.recv(1 << 16):
                answer += piece
        except (ConnectionResetError, BrokenPipeError):  # it would not hear the rest of something broken
            assert not whole
        return answer


def tree(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): sha256_file(path) for path in root.rglob("*") if path.is_file()}


def test_no_request_brings_the_server_down_or_leads_out_of_the_tree(tmp_path):
    (tmp_path / "inventory.yaml").write_text(f"# {MARKER}\nrobots: {{}}\n")
    (tmp_path / "marker").write_text(MARKER)
    _, secret = Tokens(tmp_path / ".ot2deploy" / "index" / TOKENS).create("ci", ["upload"], lasts=timedelta(days=1))
    fill(tmp_path, DEMO)
    fill(tmp_path, DEMO, branch=Branch(profile=PY310.profile, channel="dev"))
    before = tree(tmp_path / "index")
    fuzzer, statuses = Fuzzer(SEED, secret), Counter[int]()
    with served(tmp_path) as server:
        for number in range(COUNT):
            data, whole = fuzzer.request()
            answer = exchange(server, data, whole=whole)
            told = f"request {number} of seed {SEED}: {data[:400]!r}\n{answer[:400]!r}"
            assert MARKER.encode() not in answer, told
            assert b"Traceback" not in answer, told
            assert secret.encode() not in answer, told
            if answer or whole:
                assert answer.startswith(b"HTTP/1.1 "), told
                statuses[int(answer[9:12])] += 1
                assert int(answer[9:12]) < 500, told
        assert server.ask("/-/health").status == 200
        assert server.ask("/ot2-py310/simple/demo/").status == 200
        incoming = tmp_path / ".ot2deploy" / "index" / "incoming"
        assert [path for path in incoming.rglob("*") if path.is_file() and path.name != "sweep.lock"] == []
    assert "Traceback" not in server.log
    assert secret not in server.log
    assert tree(tmp_path / "index") == before
    assert {200, 206, 301, 304, 400, 401, 404, 405, 406, 416} <= set(statuses), statuses
    print(f"{COUNT} requests of seed {SEED}: {dict(sorted(statuses.items()))}")
