"""Guards around every test (clean environment, no network unless marked), and the command line as a fixture."""

from __future__ import annotations

import contextlib
import functools
import io
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = ("OT2DEPLOY_", "PIP_", "PYTHON", "UV_", "CC", "CXX", "CFLAGS", "LDFLAGS")
KEPT = ("OT2DEPLOY_TESTS_", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CERT", "UV_INDEX", "UV_DEFAULT_INDEX")
TOOLCHAINS = {
    "PYENV_ROOT": ".pyenv",
    "CARGO_HOME": ".cargo",
    "RUSTUP_HOME": ".rustup",
    "UV_PYTHON_INSTALL_DIR": ".local/share/uv/python",
}
NETWORK_MARKS = ("network", "docker", "arm", "emulated")
NOWHERE = "http://127.0.0.1:9"  # the discard port: what asks a proxy for the network is refused at once


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """An environment without the developer's settings: a home of its own, an empty store, no tool's variables."""
    for name in list(os.environ):
        if name.startswith(OURS) and not name.startswith(KEPT) and name not in TOOLCHAINS:
            monkeypatch.delenv(name)
    for name, place in TOOLCHAINS.items():  # they stand in the real home, and are read only
        monkeypatch.setenv(name, os.environ.get(name) or str(Path.home() / place))
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "SSH_AUTH_SOCK", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OT2DEPLOY_CACHE", str(home / "cache"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")  # nobody's own passwords


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Sockets reach this machine only, and child processes find a proxy that refuses, unless the test is marked."""
    if any(request.node.get_closest_marker(mark) for mark in NETWORK_MARKS):
        return
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(str(address[0])):
            pytest.fail(f"the test connects to {address[0]}: mark it @pytest.mark.network or serve it from 127.0.0.1")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, NOWHERE)
        monkeypatch.setenv(name.lower(), NOWHERE)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost,::1")


def _is_local(host: str) -> bool:
    if host in ("localhost", ""):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture
def shared_cache(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store that survives tests and runs ($OT2DEPLOY_TESTS_CACHE, default .cache/tests of the checkout)."""
    path = Path(os.environ.get("OT2DEPLOY_TESTS_CACHE") or ROOT / ".cache" / "tests")
    path.mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv("OT2DEPLOY_CACHE", str(path))
    monkeypatch.setenv("UV_CACHE_DIR", str(path / "uv"))
    return path


@dataclass(frozen=True, kw_only=True)
class Ran:
    """One call of ot2deploy: exit status, standard output, standard error."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document on standard output."""
        return json.loads(self.out)

    def good(self) -> Ran:
        """Itself, when it ended with 0."""
        assert self.status == 0, f"exit status {self.status}\n{self.out}\n{self.err}"
        return self


@pytest.fixture
def run_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Runs a command line in this process, in the test's own directory."""
    from ot2deploy.cli import main

    monkeypatch.chdir(tmp_path)

    def run(*words: str | Path, input: bytes = b"") -> Ran:
        out, err = _stream(), _stream()
        monkeypatch.setattr(sys, "stdin", _stream(input))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        status = end.value.code
        return Ran(status=status if isinstance(status, int) else 0, out=_text(out), err=_text(err))

    return run


def _stream(data: bytes = b"") -> io.TextIOWrapper:
    """A text stream with a buffer below it, as the real ones are."""
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


@pytest.fixture
def run_program(tmp_path: Path) -> Callable[..., Ran]:
    """Runs a command line as a program of its own, in the test's own directory."""

    def run(*words: str | Path, timeout: float = 120, **options: Any) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "ot2deploy", *map(str, words)],
            **{"cwd": tmp_path, "stdin": subprocess.DEVNULL, **options, "env": {**os.environ, "PYTHONPATH": str(ROOT)}},
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Ran(status=done.returncode, out=done.stdout, err=done.stderr)

    return run


def pytest_configure() -> None:
    """Ctrl-C works in the programs that tests start: who runs in a shell's background inherits that it is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_itemcollected(item: pytest.Item) -> None:
    """All container tests go to one worker; a later hook would be too late, as xdist has read the groups by then."""
    if _containers(item):
        item.add_marker(pytest.mark.xdist_group("containers"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Container tests first: they are the longest, and the machine has few cores."""
    items.sort(key=lambda item: not _containers(item))


def _containers(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(mark) for mark in ("docker", "arm"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests skip aloud where the Docker or ARM emulation they need is missing; required ones fail instead."""
    if item.get_closest_marker("emulated"):
        missing = _no_emulation()
    elif not _containers(item):
        return
    elif "PYTEST_XDIST_WORKER" in os.environ and not item.nodeid.endswith("@containers"):
        pytest.fail("container tests share robots, one worker must run them all: --dist loadgroup", pytrace=False)
    else:
        missing = _missing(arm=item.get_closest_marker("arm") is not None)
    if missing and os.environ.get("OT2DEPLOY_TESTS_REQUIRE_ARM"):
        pytest.fail(f"{missing}, and OT2DEPLOY_TESTS_REQUIRE_ARM is set", pytrace=False)
    if missing:
        pytest.skip(missing)


def _no_emulation() -> str:
    """Why programs for ARM cannot be run here without containers; empty when they can."""
    from builder.qualify import system
    from builder.toolchain import apt

    if not apt.available():
        return "no packages for ARM: this computer has no apt-get and dpkg-deb"
    if sys.platform != "linux" and not any(map(shutil.which, system.QEMU)):
        return "no ARM emulation: QEMU runs single programs on Linux only"
    return ""


@functools.cache
def _missing(*, arm: bool) -> str:
    """Why container tests cannot run here; empty when they can."""
    from builder.docker import engine as docker_engine
    from builder.errors import Failure
    from ot2deploy.sim import host

    try:
        docker_engine.connect()
    except Failure as failure:
        return failure.what
    if arm and not host.emulation_registered() and (not host.is_root() or host.missing(host.FOR_ARM)):
        return "no ARM emulation: qemu-user-static is not installed, or nobody registered it"
    return ""
