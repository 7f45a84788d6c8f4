"""Faults of container robots, brought about from beside: their containers, their network, their SSH server, their disk.

Each comes at a moment of the clock during a push of release 2 over release 1. A moment that comes after the push's end
is chosen again, earlier: what did not happen proves nothing.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from chaos_faults import EITHER, MAY_END, SENT, CannotTry, Fault, ended
from chaos_host import Running
from chaos_points import Verdict, judge
from chaos_proxy import Weather, proxy, until
from chaos_yard import KEPT, PUSH, Yard

LOGINS = 5  # that dropbear lets one address begin at the same time
MOMENTS = 4
SESSION = "for p in /proc/[0-9]*; do grep -q '[.]pyz' $p/cmdline && kill -9 ${p#/proc/}; done; true"
CONNECTION = "for p in $(pidof dropbear); do [ $(cut -d' ' -f4 /proc/$p/stat) = 1 ] || kill -9 $p; done; true"


def run_yard_fault(yard: Yard, fault: Fault) -> Verdict:
    """Brings it about, judges what is left and what the next push does."""
    begun = time.monotonic()
    yard.set_back()
    chance = random.Random(f"{fault.kind} {fault.seed}")
    try:
        wrong = YARD_KINDS[fault.kind](yard, chance)
    finally:
        yard.await_robot()
        yard.write_inventory()
    done, waited = judge(yard, EITHER, (PUSH,), host="2")
    return Verdict(wrong=(*wrong, *done), seconds=time.monotonic() - begun, waited=waited)


def yard_faults(each: int) -> list[Fault]:
    """Faults of every kind; those that take long are fewer."""
    return [
        Fault(kind=kind, seed=seed)
        for kind in YARD_KINDS
        for seed in range(max(1, each // 8) if kind in YARD_LONG else max(1, each // 2))
    ]


def _during(
    yard: Yard, chance: random.Random, deed: Callable[[Running], None], want: tuple[int, ...] = MAY_END
) -> list[str]:
    """A push in which something happens once."""
    at = chance.uniform(0.05, 0.9) * yard.seconds
    for _ in range(MOMENTS):
        running = yard.start(*PUSH.words, host="2")
        happened = until(lambda: running.over() or time.monotonic() - running.begun > at) and not running.over()  # noqa: B023
        if happened:
            deed(running)
        wrong = ended(running.wait(), want if happened else (0,))
        if happened or wrong:
            return wrong
        yard.set_back()
        at /= 2
    raise AssertionError("every push had ended before the fault came")


def _paused(yard: Yard, chance: random.Random) -> list[str]:
    length = chance.uniform(0.5, 4)

    def pause(_: Running) -> None:
        yard.container.pause()
        time.sleep(length)
        yard.container.unpause()

    return _during(yard, chance, pause, (0,))


def _restarted(yard: Yard, chance: random.Random) -> list[str]:
    """The plug is pulled and put in again."""
    return _during(yard, chance, lambda _: yard.container.restart(timeout=0))


def _rebooted(yard: Yard, chance: random.Random) -> list[str]:
    """Somebody reboots the robot; its init ends everything in order."""
    boot = yard.container.attrs["State"]["StartedAt"]

    def reboot(_: Running) -> None:
        yard.run("systemctl reboot 2>/dev/null || reboot", check=False)
        assert until(lambda: _started(yard) != boot), "the robot did not reboot"

    return _during(yard, chance, reboot)


def _started(yard: Yard) -> str:
    yard.container.reload()
    started: str = yard.container.attrs["State"]["StartedAt"]
    return started


def _agent_killed(yard: Yard, chance: random.Random) -> list[str]:
    return _during(yard, chance, lambda _: _none(yard.run(SESSION)))


def _session_killed(yard: Yard, chance: random.Random) -> list[str]:
    """dropbear's process of the connection is killed; what it had started reads the end of its input."""
    return _during(yard, chance, lambda _: _none(yard.run(CONNECTION)))


def _none(_: object) -> None:
    return None


def _surplus_logins(yard: Yard, chance: random.Random) -> list[str]:
    """Others keep dropbear's logins of this address busy for a while: it hangs up on ours before a word is said."""
    length = chance.uniform(0.3, 3)
    port = int(yard.robot["port"])
    with contextlib.ExitStack() as stack:
        for _ in range(LOGINS):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            assert one.recv(4) == b"SSH-"
        with socket.create_connection(("127.0.0.1", port), timeout=10) as refused:
            try:
                told = refused.recv(4)
            except ConnectionResetError:
                told = b""
            assert told == b"", "this SSH server takes any number of logins"
        timer = threading.Timer(length, stack.pop_all().close)
        timer.start()
        try:
            return ended(yard.command(*PUSH.words, host="2"), MAY_END)
        finally:
            timer.join()


def _no_processes(yard: Yard, chance: random.Random) -> list[str]:
    """The robot cannot start a process for a while: dropbear refuses commands on channels, and new connections."""
    limit = next(Path("/sys/fs/cgroup").glob(f"pids/docker/{yard.container.id}/pids.max"), None)
    if limit is None or not os.access(limit, os.W_OK):
        raise CannotTry("needs the right to limit a container's processes (cgroup v1)")
    length = chance.uniform(0.2, 2)

    def starve(_: Running) -> None:
        before = limit.read_text()
        limit.write_text("1")
        time.sleep(length)
        limit.write_text(before)

    return _during(yard, chance, starve)


def _cut(yard: Yard, chance: random.Random) -> list[str]:
    """Connections are reset, and nobody gets in for a while."""
    length = chance.uniform(0.2, 2)
    rule = ("INPUT", "-p", "tcp", "--dport", "22", "-j", "REJECT", "--reject-with", "tcp-reset")

    def cut(_: Running) -> None:
        with _rules(yard, rule):
            time.sleep(length)

    return _during(yard, chance, cut)


def _pulled(yard: Yard, chance: random.Random) -> list[str]:
    """Nothing comes through in either direction for a while, as when a cable is pulled; then it does again."""
    length = chance.uniform(0.5, 8)

    def pull(_: Running) -> None:
        with _rules(yard, ("INPUT", "-j", "DROP"), ("OUTPUT", "-j", "DROP")):
            time.sleep(length)

    return _during(yard, chance, pull, (0,))


def _silent(yard: Yard, chance: random.Random) -> list[str]:
    """The connection carries nothing ever again, neither its end; others do."""
    with contextlib.ExitStack() as stack:
        return _during(yard, chance, lambda _: stack.enter_context(_forgotten(yard)), (0,))


def _dead_session(yard: Yard, chance: random.Random) -> list[str]:
    """The laptop dies and its connection with it: the robot hears no end, and the command works on."""
    with contextlib.ExitStack() as stack:

        def die(running: Running) -> None:
            stack.enter_context(_forgotten(yard))
            os.kill(running.pid, signal.SIGKILL)

        wrong = _during(yard, chance, die, (-signal.SIGKILL,))
        # The next push begins while the dead one's session still holds the robot.
        return [*wrong, *ended(yard.command(*PUSH.words, host="2"), (0,))]


@contextlib.contextmanager
def _forgotten(yard: Yard) -> Iterator[None]:
    """Packets of the connections that are open now get lost, until the block ends."""
    ports = [
        int(words[2].rpartition(":")[2], 16)
        for words in map(str.split, yard.in_network("cat", "/proc/net/tcp").splitlines()[1:])
        if words[1].endswith(":0016") and words[3] == "01"
    ]
    rules = [("INPUT", "-p", "tcp", "--sport", str(port), "-j", "DROP") for port in ports]
    rules += [("OUTPUT", "-p", "tcp", "--dport", str(port), "-j", "DROP") for port in ports]
    with _rules(yard, *rules):
        yield


@contextlib.contextmanager
def _rules(yard: Yard, *rules: tuple[str, ...]) -> Iterator[None]:
    """Rules of the robot's packet filter, until the block ends. They are gone when the robot restarted meanwhile."""
    for rule in rules:
        yard.in_network("iptables", "-w", "-I", *rule)
    try:
        yield
    finally:
        for rule in rules:
            yard.in_network("iptables", "-w", "-D", *rule)


def _loss(yard: Yard, chance: random.Random) -> list[str]:
    part = chance.choice(("0.05", "0.1"))
    rules = [
        (way, "-m", "statistic", "--mode", "random", "--probability", part, "-j", "DROP") for way in ("INPUT", "OUTPUT")
    ]
    with _rules(yard, *rules):
        return ended(yard.command(*PUSH.words, host="2"), (0,))


def _delay(yard: Yard, chance: random.Random) -> list[str]:
    return _through(yard, Weather(delay=chance.uniform(0.02, 0.1)))


def _flip(yard: Yard, chance: random.Random) -> list[str]:
    return _through(yard, Weather(deed="flip", after=chance.randrange(3000, SENT)))


def _through(yard: Yard, weather: Weather) -> list[str]:
    with proxy(int(yard.robot["port"]), weather) as port:
        yard.write_inventory(port=port)
        return ended(yard.command(*PUSH.words, host="2"), (0,))


def _slow(yard: Yard, chance: random.Random) -> list[str]:
    """59 kB/s towards the robot, by the kernel's own limiter on our end of its cable."""
    at = re.match(r"\d+: eth0@if(\d+):", yard.in_network("ip", "-o", "link", "show", "eth0"))
    listed = subprocess.run(["ip", "-o", "link", "show", "type", "veth"], capture_output=True, text=True, timeout=30)
    named = re.search(rf"^{at[1]}: (veth\w+)@", listed.stdout, re.MULTILINE) if at else None
    if named is None:
        raise CannotTry("needs the robot's end of a cable on this computer")
    limit = ["root", "tbf", "rate", "472kbit", "burst", "16kb", "latency", "400ms"]
    subprocess.run(["tc", "qdisc", "replace", "dev", named[1], *limit], check=True, timeout=30)
    try:
        done = yard.command(*PUSH.words, host="2")
    finally:
        subprocess.run(["tc", "qdisc", "del", "dev", named[1], "root"], check=True, timeout=30)
    wrong = ended(done, (0,))
    return wrong if wrong or done.seconds > 8 else [f"nothing was slow: {done.seconds:.1f} s"]


def _full(yard: Yard, chance: random.Random) -> list[str]:
    """/var is full at some moment; then somebody makes room."""
    free = chance.choice((0, chance.randrange(20_000), chance.randrange(2_000_000)))
    yard.among_mounts("mount", "-t", "tmpfs", "-o", "size=160m,exec", "tmpfs", yard.base)
    try:
        yard.set_back()

        def fill(_: Running) -> None:
            room = int(yard.run(f"df -k {yard.base}").split()[-3]) * 1024
            yard.run(f"head -c {max(0, room - free)} /dev/zero >{yard.base}/ballast", check=False)

        wrong = _during(yard, chance, fill)
        if yard.imported() not in EITHER:
            wrong.append("what is current does not import")
        yard.wait_until_free()
        yard.run(f"rm -f {yard.base}/ballast; rm -rf {KEPT}-full; cp -a {yard.base} {KEPT}-full")
    finally:
        yard.among_mounts("umount", "-l", yard.base)
    yard.run(f"rm -rf {yard.base}; mv {KEPT}-full {yard.base}")
    return wrong


YARD_KINDS: dict[str, Callable[[Yard, random.Random], list[str]]] = {
    "docker pause": _paused,
    "plug pulled": _restarted,
    "reboot": _rebooted,
    "agent killed": _agent_killed,
    "dropbear's session killed": _session_killed,
    "dropbear refuses surplus logins": _surplus_logins,
    "dropbear refuses channels": _no_processes,
    "connections reset": _cut,
    "nothing comes through for a while": _pulled,
    "silent cut": _silent,
    "dead session's command runs on": _dead_session,
    "packets lost": _loss,
    "delays": _delay,
    "byte flipped": _flip,
    "59 kB/s": _slow,
    "/var full": _full,
}
YARD_LONG = ("silent cut", "dead session's command runs on", "59 kB/s", "packets lost")
