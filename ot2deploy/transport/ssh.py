"""Sessions over SSH: the one module that imports the client side of fabric and paramiko."""

from __future__ import annotations

import base64
import contextlib
import logging
import random
import socket
import threading
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paramiko
from fabric import Config, Connection
from paramiko import common

from builder.events import Event, Report, silent
from ot2deploy.errors import CommandFailure, ConnectionFailure, ConnectionLost, HostKeyUnknown
from ot2deploy.inventory import Robot
from ot2deploy.transport import Output, alive, keys, wording
from ot2deploy.transport.channel import ChannelStream

CONNECT_TIMEOUT = 10  # seconds, for TCP and again for banner and login
TRIES = 3
BACK_OFF = (0.4, 1.5)  # seconds before the second and third try, times 1 to 2
SILENCE_MS = 20_000  # how long Linux keeps a connection whose bytes nobody acknowledges
WINDOW = 4 << 20
MOST = 32 << 20  # bytes that a command may print
PACKET = common.DEFAULT_MAX_PACKET_SIZE
# Best first, and nothing else is offered: CBC modes, 3DES, MD5 and shortened MACs are broken or close to it. GCM needs
# no MAC and is several times faster in Python; dropbear, which robots run, has none and takes CTR.
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
MACS = ("hmac-sha2-256", "hmac-sha2-512", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha1")

# What goes wrong is told by our own failures; without a handler, its threads' tracebacks land on the user's terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class SshSession:
    """A Session with one robot over one SSH connection, made anew when a channel cannot be opened on it."""

    def __init__(self, robot: Robot, connection: Connection, *, trust: bool, report: Report) -> None:
        self._robot, self._connection, self._trust, self._report = robot, connection, trust, report
        self._turn = threading.Lock()

    @property
    def robot(self) -> str:
        """The robot's name."""
        return self._robot.name

    @property
    def algorithms(self) -> dict[str, str]:
        """What was negotiated, by ssh's option names: Ciphers, MACs, HostKeyAlgorithms."""
        transport = self._connection.transport
        return {
            "Ciphers": transport.local_cipher,
            "MACs": transport.local_mac,
            "HostKeyAlgorithms": transport.host_key_type,
        }

    def run(self, command: str, *, input: bytes = b"", timeout: float = 60.0) -> Output:
        """Runs a command to its end. Raises ConnectionLost; CommandFailure when it takes longer (seconds)."""
        deadline = time.monotonic() + timeout
        with self.open(command) as stream:
            try:
                with contextlib.suppress(BrokenPipeError):  # it may end without reading all its input
                    stream.write(input)
                    stream.finish()
                stdout = _all(stream.read, deadline, self.robot)
                stderr = _all(stream.read_error, deadline, self.robot)
                status = stream.wait(max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                raise CommandFailure(
                    f"a command on the robot did not end within {timeout:g} s", subject=self.robot
                ) from None
        return Output(status=status, stdout=stdout, stderr=stderr)

    def open(self, command: str) -> ChannelStream:
        """Starts a command. A connection that refuses a channel is made anew, as nothing has been started yet."""
        for attempt in range(TRIES):
            channel = self._channel(again=attempt > 0)
            if channel is None:
                continue
            with _translated(self._robot):
                channel.exec_command(command)
            return ChannelStream(channel, self.robot)
        raise ConnectionLost("no channel could be opened on the connection", subject=self.robot)

    def _channel(self, *, again: bool) -> paramiko.Channel | None:
        """A fresh channel, or None where the connection broke meanwhile (dropbear's channel-open race, #321)."""
        with self._turn:
            if again:
                self._connection.close()
                self._connection = _connect(self._robot, trust=self._trust, report=self._report)
            try:
                channel: paramiko.Channel = self._connection.transport.open_session(timeout=CONNECT_TIMEOUT)
            except (paramiko.SSHException, OSError, EOFError):
                return None
        return channel

    def close(self) -> None:
        """Ends the connection, and the one to its jump host."""
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            _close(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def connect(robot: Robot, *, trust: bool = False, report: Report = silent) -> SshSession:
    """Logs in to a robot whose host key is the pinned one.

    With `trust`, a robot without a pinned key is taken at its word, and its key written into the inventory.
    Only connection-level failures are tried again, three times at most. Raises ConnectionFailure.
    """
    return SshSession(robot, _connect(robot, trust=trust, report=report), trust=trust, report=report)


def _connect(robot: Robot, *, trust: bool, report: Report) -> Connection:
    for attempt in range(TRIES):
        try:
            return _login(robot, trust=trust, report=report)
        except ConnectionLost as lost:
            if attempt + 1 == TRIES:
                raise wording.unreachable(robot, _where(robot), lost.what) from lost
            pause = BACK_OFF[attempt] * (1 + random.random())
            report(Event(subject=robot.name, stage="connect", message=f"{lost.what}; again in {pause:.1f} s"))
            time.sleep(pause)
    raise AssertionError("unreachable")


def _login(robot: Robot, *, trust: bool, report: Report) -> Connection:
    """One try. Raises ConnectionLost for what a second try may cure, other ConnectionFailures for what it cannot."""
    policy = _Pinned(robot, trust=trust)
    connection = _connection(robot, policy)
    try:
        _open_gateways(robot, connection)
        with _translated(robot, user=connection.user):
            connection.open()
        alive.keep_asking(connection.transport)
        if policy.accepted and robot.file:
            _keep(robot.file, robot.name, policy.accepted, report)
    except BaseException:
        _close(connection)
        raise
    return connection


def _keep(file: Path, robot: str, line: str, report: Report) -> None:
    """Pins a host key that was accepted on trust."""
    from ot2deploy.inventory.edit import set_host_key

    set_host_key(file, robot, line)
    shown = wording.fingerprint(line)
    report(Event(subject=robot, stage="connect", message=f"trusted on first use: {shown}", level="info"))


class _Pinned(paramiko.MissingHostKeyPolicy):
    """Knows the one key a robot may show; keeps the one that was accepted on trust."""

    def __init__(self, robot: Robot, *, trust: bool) -> None:
        self.robot, self.trust, self.accepted = robot, trust, ""

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        line = f"{key.get_name()} {key.get_base64()}"
        if not self.trust:
            raise wording.unknown_host_key(self.robot, line)
        self.accepted = line


class _KnownHosts(paramiko.MissingHostKeyPolicy):
    """Refuses jump hosts that ~/.ssh/known_hosts does not name."""

    def __init__(self, robot: Robot, hop: str) -> None:
        self.robot, self.hop = robot, hop

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        raise wording.jump_key(self.robot, self.hop, changed=False)


def _connection(robot: Robot, policy: _Pinned) -> Connection:
    """A fabric Connection, not yet open, with the robot's settings over those of ~/.ssh/config."""
    config = _config()
    entry = config.base_ssh_config.lookup(robot.address)
    gateway: Connection | None = None
    if robot.jump is not None:
        gateway = _connection(robot.jump, _Pinned(robot.jump, trust=False))
    elif robot.via is not None:
        gateway = Connection(robot.via, config=_config(), connect_timeout=CONNECT_TIMEOUT, connect_kwargs=_limits())
    connection = Connection(
        robot.address,
        user=robot.user if robot.is_set("user") else entry.get("user", robot.user),
        port=robot.port if robot.is_set("port") else int(entry.get("port", robot.port)),
        config=config,
        gateway=gateway,
        connect_timeout=CONNECT_TIMEOUT,
        connect_kwargs={**_limits(), **_identity(robot, entry)},
    )
    if robot.identity_file:  # it alone, not those of ~/.ssh/config, which fabric adds
        connection.connect_kwargs.pop("key_filename", None)
    connection.client.set_missing_host_key_policy(policy)
    if robot.host_key:
        _pin(robot, connection, robot.host_key)
    _guard_hops(robot, connection, inventory_jump=robot.jump is not None)
    return connection


def _guard_hops(robot: Robot, connection: Connection, *, inventory_jump: bool) -> None:
    """Jump hosts from ~/.ssh/config or `via` are checked against known_hosts; fabric would accept any key."""
    hop = connection.gateway
    while isinstance(hop, Connection) and not inventory_jump:
        hop.client.load_system_host_keys()
        hop.client.set_missing_host_key_policy(_KnownHosts(robot, hop.original_host))
        hop.connect_kwargs.update(_limits())
        hop = hop.gateway


def _pin(robot: Robot, connection: Connection, line: str) -> None:
    """Makes `line` the one key that is accepted. One that is no key is refused: nothing would be pinned then."""
    kind, blob = line.split()
    name = connection.host if connection.port == paramiko.config.SSH_PORT else f"[{connection.host}]:{connection.port}"
    try:
        key = paramiko.PKey.from_type_string(kind, base64.b64decode(blob))
    except (ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
        raise wording.unreadable_pin(robot) from error
    connection.client.get_host_keys().add(name, kind, key)


def _limits() -> dict[str, Any]:
    return {
        "banner_timeout": CONNECT_TIMEOUT,
        "auth_timeout": CONNECT_TIMEOUT,
        "channel_timeout": CONNECT_TIMEOUT,
        "transport_factory": _transport,
    }


def _transport(sock: Any, **options: Any) -> paramiko.Transport:
    """A Transport with a wide window, on a socket that sends at once and notices a dead peer."""
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_MS)
    ears: Any = alive.Listening(sock)
    transport = paramiko.Transport(ears, default_window_size=WINDOW, default_max_packet_size=PACKET, **options)
    security = transport.get_security_options()
    security.ciphers = tuple(name for name in CIPHERS if name in security.ciphers)
    security.digests = tuple(name for name in MACS if name in security.digests)
    return transport


def _identity(robot: Robot, entry: dict[str, Any]) -> dict[str, Any]:
    """Which keys to try: the identity_file alone, unless it has a passphrase; else what ssh would."""
    if robot.identity_file is None:
        only = entry.get("identitiesonly", "no") == "yes"
        return {"allow_agent": not only, "look_for_keys": not only}
    try:
        return {"pkey": keys.private_key(robot.identity_file), "allow_agent": False, "look_for_keys": False}
    except (paramiko.PasswordRequiredException, TypeError):  # cryptography says TypeError: a password is missing
        return {"allow_agent": True, "look_for_keys": False}
    except FileNotFoundError:
        raise wording.unusable_key(robot, robot.identity_file, "there is no such file") from None
    except (OSError, ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "it is no private key"
        raise wording.unusable_key(robot, robot.identity_file, reason) from error


def _config() -> Config:
    """One connection's own settings: fabric writes into them, and other threads' would be empty while it does.

    `lazy` keeps fabric from reading configuration files of its own.
    """
    return Config(lazy=True, ssh_config=_ssh_config(Path("~/.ssh/config").expanduser()))


@lru_cache(maxsize=4)
def _ssh_config(user_file: Path) -> paramiko.SSHConfig:
    """~/.ssh/config and the system's, read once."""
    ssh_config = paramiko.SSHConfig()
    for path in (user_file, Path("/etc/ssh/ssh_config")):
        if path.is_file():
            with path.open(encoding="utf-8", errors="replace") as file:
                ssh_config.parse(file)
    return ssh_config


def _open_gateways(robot: Robot, connection: Connection) -> None:
    hop = connection.gateway
    if not isinstance(hop, Connection):
        return
    _open_gateways(robot, hop)
    try:
        with _translated(robot.jump or robot, user=hop.user, hop=None if robot.jump else hop.original_host):
            hop.open()
    except ConnectionFailure as failure:
        failure.what = f"via {robot.via or hop.original_host}: {failure.what}"
        failure.subject = robot.name
        if isinstance(failure, HostKeyUnknown):
            failure.line = ""  # it is the jump host's
        raise


@contextlib.contextmanager
def _translated(robot: Robot, *, user: str = "", hop: str | None = None) -> Iterator[None]:
    """Foreign exceptions become ours here, once. `hop` is set for jump hosts that are no robots."""
    try:
        yield
    except paramiko.BadHostKeyException as error:
        if hop:
            raise wording.jump_key(robot, hop, changed=True) from error
        shown = f"{error.key.get_name()} {error.key.get_base64()}"
        raise wording.changed_host_key(robot, shown, robot.host_key or "") from error
    except paramiko.PasswordRequiredException as error:
        raise wording.locked_key(robot) from error
    except paramiko.AuthenticationException as error:
        reason = str(error).rstrip(".") or type(error).__name__
        raise wording.refused(robot, user or robot.user, reason, robot.identity_file) from error
    except TimeoutError as error:
        raise wording.unreachable(robot, _where(robot), f"no answer within {CONNECT_TIMEOUT} s") from error
    except socket.gaierror as error:
        raise wording.unreachable(robot, _where(robot), f"the name is unknown ({error.strerror})") from error
    except paramiko.ssh_exception.NoValidConnectionsError as error:
        raise ConnectionLost("connection refused", subject=robot.name) from error
    except paramiko.ChannelException as error:
        raise ConnectionLost(f"the channel was refused: {error.text}", subject=robot.name) from error
    except paramiko.SSHException as error:
        if "No authentication methods" in str(error):
            raise (wording.locked_key if robot.identity_file else wording.no_key)(robot) from error
        raise ConnectionLost(f"SSH failed: {error}", subject=robot.name) from error
    except (OSError, EOFError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error) or "closed by the robot"
        raise ConnectionLost(f"connection failed: {reason}", subject=robot.name) from error


def _close(connection: Connection) -> None:
    while isinstance(connection, Connection):
        connection.client.close()
        connection = connection.gateway


def _where(robot: Robot) -> str:
    return f"{robot.address}:{robot.port}" + (f" via {robot.via}" if robot.via else "")


def _all(read: Any, deadline: float, robot: str) -> bytes:
    pieces, size = [], 0
    while piece := read(1 << 20, max(0.0, deadline - time.monotonic())):
        pieces.append(piece)
        size += len(piece)
        if size > MOST:
            raise CommandFailure(f"a command on the robot printed more than {MOST >> 20} MB", subject=robot)
    return b"".join(pieces)


def show_host_key(robot: Robot) -> str:
    """The host key a robot shows now, as "type base64", whatever the inventory says. Nobody logs in.

    Raises ConnectionFailure where it cannot be reached.
    """
    from dataclasses import replace

    try:
        with connect(replace(robot, host_key=None)):
            raise AssertionError("a robot without a pinned key was accepted")
    except HostKeyUnknown as unknown:
        if not unknown.line:
            raise
        return unknown.line
