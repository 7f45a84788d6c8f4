"""Runs the server of an index until it is told to stop."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.errors import BuildFailure, MissingExtra, UsageFailure
from builder.files import DENIED

try:
    import uvicorn
except ImportError:
    raise MissingExtra("index", "uvicorn") from None

from builder.index.server.reason import SpokenErrors

if TYPE_CHECKING:
    from builder.index.server.app import App

KEEP_ALIVE = 30  # seconds without a request; pip builds and unpacks between two of them
EVERYWHERE = ("0.0.0.0", "::", "")
NOWHERE = ("192.0.2.1", 9)  # an address for documentation: routed like any other, and never sent anything
FORCED = 130


@dataclass(frozen=True, kw_only=True)
class Listen:
    """Where a server listens; port 0 is any free one. With a certificate it speaks TLS.

    `grace` is how long (s) requests that are under way may take after it was told to stop.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    certificate: Path | None = None
    key: Path | None = None
    grace: float = 30.0

    @property
    def scheme(self) -> str:
        """http or https."""
        return "https" if self.certificate else "http"


def serve(app: App, listen: Listen, ready: Callable[[str], None]) -> int:
    """Serves until SIGTERM or SIGINT; then what is under way may end. A second signal ends it at once.

    `ready` is called with the address that others on the network can use, when it listens. Returns the exit code: 0,
    or 130 for the second signal. Raises BuildFailure (port taken, not allowed), UsageFailure (no such host, no such
    certificate).
    """
    if listen.key and not listen.certificate:
        raise UsageFailure("a key without a certificate", next="Give --certfile, too.")
    with _bound(listen) as bound:
        config = uvicorn.Config(
            app, http=SpokenErrors, loop="asyncio", ws="none", lifespan="off", log_config=None, access_log=False,
            proxy_headers=False, server_header=False, timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=listen.grace,  # type: ignore[arg-type]  # it takes parts of a second, too
            ssl_certfile=listen.certificate, ssl_keyfile=listen.key,
        )  # fmt: skip
        _load(config, listen)
        host = lan_address() if listen.host in EVERYWHERE else listen.host
        host = f"[{host}]" if ":" in host else host
        server = _Server(config, lambda: ready(f"{listen.scheme}://{host}:{bound.getsockname()[1]}"))
        server.run(sockets=[bound])
    return FORCED if server.force_exit else 0


def log_to_stderr() -> None:
    """One line for each request, and what went wrong, on standard error with the time."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%S"))
    logging.raiseExceptions = False  # a log that nobody reads any more is no reason to fail
    for name, level in (("ot2deploy.index", logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.addHandler(handler)
        logger.propagate = False


def lan_address() -> str:
    """This machine's address as its network sees it; 127.0.0.1 without a network. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(NOWHERE)
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it listens, and ends well by a signal instead of dying of it afterwards."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens."""
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stops at the first signal, and at once at the second."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {one: signal.signal(one, self._stop) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def _stop(self, *_: Any) -> None:
        self.should_exit, self.force_exit = True, self.should_exit


@contextlib.contextmanager
def _bound(listen: Listen) -> Iterator[socket.socket]:
    """A socket at the address, so that a port that is taken is told before anything else happens."""
    where = f"{listen.host}:{listen.port}"
    try:
        found = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:  # the latter for what can be no name of a host
        raise UsageFailure(f"{listen.host[:80]} is no address of this machine") from error
    family, kind, protocol, _, address = found[0]
    # asyncio sends small answers at once (TCP_NODELAY) only where a socket says that it is TCP; else each waits 40 ms.
    with socket.socket(family, kind, protocol) as bound:
        if os.name == "posix":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(address)
            bound.listen(128)
        except OSError as error:
            raise _cannot(where, error) from error
        yield bound


def _cannot(where: str, error: OSError) -> BuildFailure | UsageFailure:
    if error.errno == errno.EADDRINUSE:
        return BuildFailure(
            f"{where} is taken", why="Another program listens there.", next="Take another: --port 8081, or --port 0."
        )
    if error.errno in DENIED:
        return BuildFailure(f"{where}: {error.strerror}", next="Take a port above 1023: --port 8080")
    return UsageFailure(f"cannot listen at {where}: {error.strerror}")


def _load(config: uvicorn.Config, listen: Listen) -> None:
    try:
        config.load()
    except (OSError, ValueError) as error:  # ssl's errors are OSErrors
        files = ", ".join(str(one) for one in (listen.certificate, listen.key) if one)
        raise UsageFailure(f"{files}: this certificate and key cannot be used: {error}") from error
