"""The embedded robots' SSH server: like a robot's dropbear, exec channels and public keys only.

Started by `ot2deploy.sim.embedded.serve` as a program. It reads its robots as JSON, forks a server for each one,
prints a line of JSON for each and ends. A server forks again for each connection, as dropbear does.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import paramiko
from paramiko import common

from ot2deploy.sim import processes

WINDOW = 8 << 20
PACKET = 128 << 10  # bigger packets cost Python less; OpenSSH takes up to 256 KiB
CHUNK = 256 << 10
LOGIN_GRACE = 30  # seconds
AUTHORIZED_KEYS = "root/var/home/.ssh/authorized_keys"  # below a robot's directory
BACKLOG = 128


class Gate(paramiko.ServerInterface):
    """What a client may do: log in as root, run commands and, on a jump host, open connections.

    Who may log in stands in the robot's authorized_keys, which is read at each login, as dropbear does.
    """

    def __init__(self, seat: dict[str, Any], run: Callable[[paramiko.Channel, bytes], None]) -> None:
        self.seat, self.run = seat, run
        self.asked: dict[int, bytes] = {}
        self.targets: dict[int, socket.socket] = {}

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        shown = f"{key.get_name()} {key.get_base64()}"
        good = username == "root" and any(shown in f" {line} " for line in self.admitted())
        return common.AUTH_SUCCESSFUL if good else common.AUTH_FAILED

    def admitted(self) -> list[str]:
        """The lines of authorized_keys that are no comments."""
        path = Path(self.seat["directory"]) / AUTHORIZED_KEYS
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        return [line.strip() for line in lines if line.strip() and not line.startswith("#")]

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return common.OPEN_SUCCEEDED if kind == "session" else common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.asked[channel.get_id()] = command
        return True

    def start(self, channel: paramiko.Channel) -> None:
        """Starts the command that was asked for on a channel, if one was."""
        command = self.asked.pop(channel.get_id(), None)
        if command is not None:
            threading.Thread(target=self.run, args=(channel, command), daemon=True).start()

    def check_channel_direct_tcpip_request(
        self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        if not self.seat["forwarding"]:
            return common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        try:
            self.targets[chanid] = socket.create_connection(destination, timeout=10)
        except OSError:
            return common.OPEN_FAILED_CONNECT_FAILED
        self.targets[chanid].settimeout(None)
        return common.OPEN_SUCCEEDED


def answer(channel: paramiko.Channel, request: paramiko.Message) -> None:
    """Answers a channel's request, and only then starts the command that was asked for.

    paramiko answers when `check_channel_exec_request` has returned. A quick command started in there could be over
    before that, its channel closed without the answer: no real server does so, and clients take it for a failure.
    """
    channel._handle_request(request)  # type: ignore[attr-defined]
    gate = channel.get_transport().server_object
    assert isinstance(gate, Gate)
    gate.start(channel)


class Transport(paramiko.Transport):
    """paramiko's server side with `answer` in the place of its own."""

    _channel_handler_table: ClassVar[dict[int, Any]] = {
        **paramiko.Transport._channel_handler_table,  # type: ignore[attr-defined]
        common.MSG_CHANNEL_REQUEST: answer,
    }


class Commands:
    """The commands of one connection."""

    def __init__(self, seat: dict[str, Any]) -> None:
        root = Path(seat["directory"]) / "root"
        self.home = root / "var" / "home"
        self.environment = {
            "PATH": f"{root}/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.home),
            "USER": "root",
            "LOGNAME": "root",
            "SHELL": "/bin/sh",
            # Nothing but an inventory's `root:` keeps our commands from this computer's own /var: we say which.
            "OT2DEPLOY_SIM_ROOT": str(root),
        }
        self.children: dict[int, processes.Child] = {}
        self.lock = threading.Lock()

    def run(self, channel: paramiko.Channel, command: bytes) -> None:
        """Runs one command to its end, its streams joined to the channel."""
        note("exec", json.dumps(command.decode(errors="replace")))
        with self.lock:
            child = processes.spawn(command, cwd=self.home, environment=self.environment)
            self.children[child.pid] = child
        threading.Thread(target=feed, args=(channel, child.stdin), daemon=True).start()
        errors = threading.Thread(target=drain, args=(child.stderr, channel.sendall_stderr), daemon=True)
        errors.start()
        drain(child.stdout, channel.sendall)
        errors.join()
        status = child.wait()
        with self.lock:
            del self.children[child.pid]
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            channel.send_exit_status(status)
            channel.shutdown_write()
            channel.close()

    def linger(self) -> None:
        """Waits for the commands that a client left behind; they have had EOF on stdin and live on, as on a robot."""
        while True:
            with self.lock:
                left = list(self.children.values())
            if not left:
                return
            for child in left:
                child.wait()
                with self.lock:
                    self.children.pop(child.pid, None)

    def kill(self) -> None:
        """Kills every command's process group."""
        for pid in list(self.children):
            processes.kill_group(pid)


def note(*words: str) -> None:
    """Writes a line to the robot's log, whole even when several connections write at once."""
    print(*words, flush=True)


def feed(channel: paramiko.Channel, descriptor: int) -> None:
    """Moves what the client sends into a command; ends it with EOF when the client does, or is gone."""
    with contextlib.suppress(OSError):
        while data := channel.recv(CHUNK):
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
    os.close(descriptor)


def drain(descriptor: int, send: Callable[[bytes], None]) -> None:
    """Moves what a command prints to the client; when that is gone the command's next write fails, as it does there."""
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        while data := os.read(descriptor, CHUNK):
            send(data)
    os.close(descriptor)


def forward(channel: paramiko.Channel, target: socket.socket) -> None:
    """Joins a direct-tcpip channel to its TCP connection, both ways, until either ends."""

    def back() -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            while data := target.recv(CHUNK):
                channel.sendall(data)
        channel.close()

    threading.Thread(target=back, daemon=True).start()
    with contextlib.suppress(OSError):
        while data := channel.recv(CHUNK):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


def converse(connection: socket.socket, seat: dict[str, Any], host_key: paramiko.PKey) -> None:
    """Serves one connection in a process of its own, until the client and all its commands are gone."""
    note("connection")
    commands = Commands(seat)

    def unplug(signum: int, frame: object) -> None:
        commands.kill()
        os._exit(0)

    signal.signal(signal.SIGTERM, unplug)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport = Transport(connection, default_window_size=WINDOW, default_max_packet_size=PACKET)
    transport.local_version = "SSH-2.0-dropbear_embedded"
    transport.add_server_key(host_key)
    gate = Gate(seat, commands.run)
    with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
        transport.start_server(server=gate, event=threading.Event())
        while transport.is_active():
            channel = transport.accept(1.0 if transport.is_authenticated() else LOGIN_GRACE)
            if channel is None and not transport.is_authenticated():
                break
            if channel is not None and (target := gate.targets.pop(channel.get_id(), None)):
                threading.Thread(target=forward, args=(channel, target), daemon=True).start()
    transport.close()
    commands.linger()


def serve(listener: socket.socket, seat: dict[str, Any], host_key: paramiko.PKey) -> None:
    """Accepts connections for one robot and forks for each, until SIGTERM; then everything below it is killed."""
    processes.adopt_orphans()
    connections: set[int] = set()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda signum, frame: stopping.set())
    signal.signal(signal.SIGCHLD, lambda signum, frame: None)
    while not stopping.is_set():
        ready, _, _ = select.select([listener.fileno(), reader], [], [])
        if reader in ready:
            os.read(reader, 4096)
            connections -= processes.reap()
        if listener.fileno() in ready and not stopping.is_set():
            with contextlib.suppress(OSError):
                connections.add(accept(listener, seat, host_key))
    listener.close()
    for pid in connections:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    processes.kill_descendants()


def accept(listener: socket.socket, seat: dict[str, Any], host_key: paramiko.PKey) -> int:
    """Takes the next connection and forks a process that serves it; returns its pid."""
    connection, _ = listener.accept()
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        listener.close()
        become(lambda: converse(connection, seat, host_key))
    connection.close()
    return pid


def become(work: Callable[[], None]) -> None:
    """Does `work` in a forked child and ends the process, whatever happens."""
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)


def launch(seat: dict[str, Any]) -> dict[str, Any]:
    """Binds a robot's port and forks its server, detached from us. Returns its port, pid and host key."""
    directory = Path(seat["directory"])
    host_key = paramiko.Ed25519Key(filename=str(directory / "host_key"))
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", seat["port"]))
    listener.listen(BACKLOG)
    port = listener.getsockname()[1]
    pid = os.fork()
    if pid == 0:
        os.setsid()
        processes.detach_streams(directory / "sshd.log")
        become(lambda: serve(listener, seat, host_key))
    listener.close()
    return {"port": port, "pid": pid, "host_key": f"{host_key.get_name()} {host_key.get_base64()}"}


def main() -> int:
    """Starts the robots that stdin names; prints each one's port, pid and host key."""
    seats = json.load(sys.stdin)
    gc.collect()
    gc.freeze()  # forked servers share our pages as long as no collection touches them
    for seat in seats:
        print(json.dumps(launch(seat)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
