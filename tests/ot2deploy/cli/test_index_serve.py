"""`ot2deploy index serve` as a program: what it says, what stops it, what it cannot do."""

from __future__ import annotations

import contextlib
import datetime
import http.client
import ipaddress
import os
import re
import signal
import socket
import ssl
import subprocess
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from served_index import DEMO, PY310, ROOT, Served, fill, served

from builder.files import sha256_bytes

LARGE = "large-1.0-py3-none-any.whl"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "inventory.yaml").write_text("robots: {}\n")
    fill(tmp_path, DEMO)
    return tmp_path


@pytest.fixture
def large(project):
    """A project whose index has a wheel that no socket's buffers can hold."""
    fill(project, LARGE, content={"large/data": os.urandom(40_000_000)})
    return project


@contextlib.contextmanager
def downloading(server: Served):
    """A download that is under way: the headers were read, and nothing else."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.settimeout(30)
        client.connect(("127.0.0.1", server.port))
        client.sendall(f"GET /ot2-py310/files/{LARGE} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = http.client.HTTPResponse(client)
        answer.begin()
        with answer:
            yield answer


def until_it_listens_no_more(server: Served) -> None:
    """Returns when the server takes no new connection."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:  # it stopped listening between the two halves of a connection
            continue


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(project, signum):
    with served(project) as server:
        assert server.said["branches"] == ["ot2-py310"]
        with contextlib.closing(server.connect()) as idle:
            idle.request("GET", "/-/health")
            assert idle.getresponse().read()
            assert server.stop(signum) == 0
    assert "Traceback" not in server.log


def test_a_download_that_is_under_way_may_end(large):
    data = (large / "index" / "ot2-py310" / "files" / LARGE).read_bytes()
    with served(large) as server, downloading(server) as answer:
        server.process.send_signal(signal.SIGTERM)
        until_it_listens_no_more(server)
        assert sha256_bytes(answer.read()) == sha256_bytes(data)
        assert server.process.wait(timeout=30) == 0
    assert [line["status"] for line in server.requests] == ["200"]


def test_but_not_for_ever(large):
    with served(large, "--grace", "0.2") as server, downloading(server) as answer:
        assert server.stop() == 0
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            answer.read()
    assert [line["note"] for line in server.requests] == ["cut off: the server stops"]
    assert "Traceback" not in server.log


def test_the_second_signal_cuts_what_is_under_way(large):
    with served(large) as server, downloading(server):
        server.process.send_signal(signal.SIGINT)
        until_it_listens_no_more(server)
        assert server.stop(signal.SIGINT) == 130
    assert "Traceback" not in server.log


def test_a_client_that_goes_is_noticed(large):
    with served(large) as server:
        with downloading(server):
            pass
        while not (lines := [line for line in server.requests if LARGE in line["path"]]):
            server.ask("/-/health")
        (line,) = lines
        assert line["note"] == "the client has gone"
        assert int(line["bytes"]) < 40_000_000


def test_a_wheel_that_somebody_cuts_short_is_not_taken_for_whole(large):
    with served(large) as server, downloading(server) as answer:
        os.truncate(large / "index" / "ot2-py310" / "files" / LARGE, 35_000_000)
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            answer.read()
        assert server.ask("/-/health").status == 200
    assert "became shorter" in server.log
    assert "Traceback" not in server.log


def test_a_person_is_told_the_address_and_the_commands(project):
    fill(project, "demo-1.0-py3-none-any.whl", branch=type(PY310)(profile="ot2-py312", channel="dev"))
    for words, host in (((), r"127\.0\.0\.1"), (("--host", "0.0.0.0"), r"[\d.]+")):
        process = subprocess.Popen(
            [sys.executable, "-m", "ot2deploy", "index", "serve", "--port", "0", *words],
            cwd=project, env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        try:
            first, *commands = [process.stdout.readline() for _ in range(3)]
        finally:
            process.kill()
            process.communicate()
        found = re.fullmatch(rf"Serving {project / 'index'} at (http://({host}):\d+/)\n", first)
        assert found
        trust = "" if found[2].startswith("127.") else f" --trusted-host {found[2]}"
        for branch, command in zip(("ot2-py310", "ot2-py312/dev"), commands, strict=True):
            assert command == f"  pip install NAME --index-url {found[1]}{branch}/simple/{trust}\n"


def test_a_port_that_is_taken_is_told(project, run_program):
    with socket.create_server(("127.0.0.1", 0)) as other:
        ran = run_program("index", "serve", "--port", str(other.getsockname()[1]))
    assert ran.status == 1
    assert "is taken" in ran.err
    assert "--port 0" in ran.err
    for host in ("192.0.2.77", "a" * 70):
        ran = run_program("index", "serve", "--host", host, "--port", "0")
        assert (ran.status, host in ran.err) == (2, True)


def test_an_index_is_made_where_uploads_can_fill_it(tmp_path, run_program):
    ran = run_program("index", "serve", "--read-only", "--port", "0")
    assert (ran.status, "there is no index" in ran.err) == (2, True)
    (tmp_path / "inventory.yaml").write_text("robots: {}\n")
    with served(tmp_path) as server:
        assert server.said["uploads"]
        assert server.ask("/").status == 200
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    ran = run_program("index", "serve", "--index", "other", "--port", "0")
    assert (ran.status, "holds something that is no index" in ran.err) == (2, True)


def test_read_only_takes_no_uploads(project):
    with served(project, "--read-only") as server:
        answer = server.ask("/ot2-py310/legacy/", "POST", b"x" * 3_000_000)
        assert (answer.status, answer.text) == (403, "this index takes no uploads here\n")
        assert server.ask("/ot2-py310/simple/demo/").status == 200


def test_it_speaks_tls(project, run_program):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "index.example")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem, encoding = project / "server.pem", serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem.write_bytes(certificate.public_bytes(encoding) + private)
    with served(project, "--certfile", pem) as server:
        assert server.url.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=pem)
        with contextlib.closing(http.client.HTTPSConnection("127.0.0.1", server.port, context=context)) as connection:
            connection.request("GET", "/ot2-py310/simple/demo/")
            assert connection.getresponse().status == 200
        with pytest.raises((http.client.HTTPException, ConnectionError)):  # no TLS is no request
            server.ask("/")
        assert server.stop() == 0
    assert "Traceback" not in server.log
    ran = run_program("index", "serve", "--port", "0", "--certfile", "inventory.yaml")
    assert (ran.status, "cannot be used" in ran.err) == (2, True)
    ran = run_program("index", "serve", "--port", "0", "--keyfile", "server.pem")
    assert (ran.status, "--certfile" in ran.err) == (2, True)


def test_what_is_not_installed_is_named(project):
    code = "import sys; sys.modules['starlette'] = None; from ot2deploy.cli import main; main(['index', 'serve'])"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, env=env, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, "ot2deploy[index]" in done.stderr) == (2, True)


def test_a_directory_that_cannot_be_written_is_served_read_only(project, run_cli):
    lock = project / "index" / ".lock"
    lock.unlink(missing_ok=True)
    lock.mkdir()  # nobody can write that as a file, root neither
    ran = run_cli("index", "serve", "--port", "0")
    assert ran.status == 1
    assert "--read-only" in ran.err
    with served(project, "--read-only") as server:
        assert server.ask("/ot2-py310/simple/demo/").status == 200


def test_an_index_that_it_makes_is_told_as_new(tmp_path):
    (tmp_path / "inventory.yaml").write_text("robots: {}\n")
    for is_new in (True, False):
        with served(tmp_path) as server:
            assert server.said["new"] is is_new
