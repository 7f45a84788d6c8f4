"""Random faults, from seeds: networks, storage, clocks, restarts, other people. Each is judged as the points are."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chaos_host import Command, Ended
from chaos_place import Place
from chaos_points import Verdict, judge
from chaos_proxy import DOWN, UP, Weather, proxy, until

from ot2deploy.sim import embedded, processes

EITHER: frozenset[int | None] = frozenset({1, 2})
MAY_END = (0, 1)  # a command under a fault: done, or told why not
SENT = 750_000  # bytes that a push sends, with all that belongs to it
TOLD = 20_000  # bytes that it reads


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A kind of fault with the seed that decides the rest."""

    kind: str
    seed: int

    @property
    def name(self) -> str:
        """A name that stays."""
        return f"{self.kind}/{self.seed}"


class CannotTry(Exception):
    """This computer cannot bring a fault about."""


def run_fault(place: Place, fault: Fault) -> Verdict:
    """Brings it about during a push of release 2 over release 1, judges what is left and what the next push does."""
    begun = time.monotonic()
    place.set_back("first")
    chance = random.Random(f"{fault.kind} {fault.seed}")
    method = chance.choice(("tree", "pip"))
    try:
        wrong = KINDS[fault.kind](place, chance, method)
    finally:
        place.restart_when_dead()
        place.write_inventory()
    how = ("--install-method", method) if chance.random() < 0.5 else ()
    done, waited = judge(place, EITHER, (Command(words=("push", str(place.bundle(2)), *how)),))
    return Verdict(wrong=(*wrong, *done), seconds=time.monotonic() - begun, waited=waited)


def faults(each: int) -> list[Fault]:
    """Faults of every kind; those that take long are fewer."""
    return [
        Fault(kind=kind, seed=seed)
        for kind in KINDS
        for seed in range(max(1, each // 8) if kind in LONG else 1 if kind in ONCE else each)
    ]


def _push(
    place: Place, method: str, *, want: tuple[int, ...] = MAY_END, meanwhile: Callable[[], None] = lambda: None
) -> list[str]:
    done = place.start("push", str(place.bundle(2)), "--install-method", method).wait(meanwhile=meanwhile)
    return ended(done, want)


def ended(done: Ended, want: tuple[int, ...]) -> list[str]:
    """What is wrong with how a command under a fault ended."""
    if done.status < 0 and done.status in want:  # killed by us: it says nothing
        return []
    if done.status not in want or done.document is None or "this is a bug" in json.dumps(done.document):
        return [f"under the fault: {done.words}"]
    return []


def _through(place: Place, method: str, weather: Weather, *, want: tuple[int, ...] = MAY_END) -> list[str]:
    with proxy(place.server.port, weather) as port:
        place.write_inventory(port=port)
        return _push(place, method, want=want)


def _cut(place: Place, chance: random.Random, method: str) -> list[str]:
    up = chance.random() < 0.6
    after = chance.choice((chance.randrange(6000), chance.randrange(SENT if up else TOLD)))
    weather = Weather(deed="cut", after=after, direction=UP if up else DOWN, times=chance.choice((1, 1, 2, 9)))
    return _through(place, method, weather)


def _flip(place: Place, chance: random.Random, method: str) -> list[str]:
    up = chance.random() < 0.7
    after = chance.randrange(3000, SENT if up else TOLD)
    return _through(place, method, Weather(deed="flip", after=after, direction=UP if up else DOWN), want=(0,))


def _silence(place: Place, chance: random.Random, method: str) -> list[str]:
    return _through(place, method, Weather(deed="silence", after=chance.randrange(4000, SENT)), want=(0,))


def _deaf(place: Place, chance: random.Random, method: str) -> list[str]:
    up = chance.random() < 0.5
    after = chance.randrange(4000, SENT if up else TOLD)
    return _through(place, method, Weather(deed="deaf", after=after, direction=UP if up else DOWN), want=(0,))


def _stall(place: Place, chance: random.Random, method: str) -> list[str]:
    after = chance.randrange(2000, SENT)
    return _through(place, method, Weather(deed="stall", after=after, seconds=chance.uniform(0.5, 3)), want=(0,))


def _delay(place: Place, chance: random.Random, method: str) -> list[str]:
    return _through(place, method, Weather(delay=chance.uniform(0.01, 0.1)), want=(0,))


def _loss(place: Place, chance: random.Random, method: str) -> list[str]:
    return _through(place, method, Weather(loss=chance.choice((5, 20)), seed=chance.randrange(1000)), want=(0,))


def _slow(place: Place, chance: random.Random, method: str) -> list[str]:
    return _through(place, method, Weather(rate=59_000), want=(0,))


def _surplus(place: Place, chance: random.Random, method: str) -> list[str]:
    """What dropbear does to the sixth of several logins at once: it hangs up before a word is said."""
    return _through(place, method, Weather(refused=chance.choice((1, 2, 3, 40))))


def _paused(place: Place, chance: random.Random, method: str) -> list[str]:
    """Every process of the robot stands still for a while."""
    begun, at, length = time.monotonic(), chance.uniform(0.05, 1.2), chance.uniform(0.3, 2.5)
    stopped: list[int] = []

    def stop() -> None:
        if not stopped and time.monotonic() - begun > at:
            stopped.extend([place.server.pid, *processes.descendants(place.server.pid)])
            _signal(stopped, signal.SIGSTOP)
            time.sleep(length)
            _signal(stopped, signal.SIGCONT)

    return _push(place, method, want=(0,), meanwhile=stop)


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _restarted(place: Place, chance: random.Random, method: str) -> list[str]:
    """Power goes, and comes back after a while."""
    begun, at, dark = time.monotonic(), chance.uniform(0.02, 1.2), chance.uniform(0.0, 1.5)
    done: list[bool] = []

    def pull() -> None:
        if not done and time.monotonic() - begun > at:
            done.append(True)
            _signal([*processes.descendants(place.server.pid), place.server.pid], signal.SIGKILL)
            time.sleep(dark)
            place.restart_when_dead()

    return _push(place, method, meanwhile=pull)


def _host_killed(place: Place, chance: random.Random, method: str) -> list[str]:
    """The laptop dies at a moment of the clock, not of our counting."""
    running = place.start("push", str(place.bundle(2)), "--install-method", method)
    time.sleep(chance.uniform(0.05, 1.4))
    _signal([running.pid], signal.SIGKILL)
    running.wait()
    return []


def _interrupted(place: Place, chance: random.Random, method: str) -> list[str]:
    """Ctrl-C, once or twice."""
    running = place.start("push", str(place.bundle(2)), "--install-method", method)
    time.sleep(chance.uniform(0.3, 1.4))
    _signal([running.pid], signal.SIGINT)
    if chance.random() < 0.5:
        time.sleep(0.05)
        _signal([running.pid], signal.SIGINT)
    status = running.wait().status
    return [] if status in (0, 130) else [f"Ctrl-C ended it with {status}: {running.err.read_text()[-1500:]}"]


def _dead_session(place: Place, chance: random.Random, method: str) -> list[str]:
    """The laptop dies and its network with it: the robot hears no end, and the agent works on."""
    weather = Weather(deed="silence", after=chance.randrange(5000, SENT))
    with proxy(place.server.port, weather) as port:
        place.write_inventory(port=port)
        running = place.start("push", str(place.bundle(2)), "--install-method", method)
        until(weather.done.is_set, 20)
        _signal([running.pid], signal.SIGKILL)
        running.wait()
        place.write_inventory()
        # The next push begins while the dead one's agent still holds the robot: told so, or done.
        return _push(place, method, want=(0,))


def _two_hosts(place: Place, chance: random.Random, method: str) -> list[str]:
    """Two laptops push different releases at the same time: each does its work, or is told who is there."""
    first = place.start("push", str(place.bundle(2)), "--install-method", method)
    time.sleep(chance.uniform(0, 0.8))
    second = place.start("push", str(place.bundle(1)), host="other")
    return [*ended(first.wait(), MAY_END), *ended(second.wait(), MAY_END)]


def _damaged_blob(place: Place, chance: random.Random, method: str) -> list[str]:
    """A byte of a file that is on the robot already is another one: found by its sha256, and sent again."""
    kind = "packs" if method == "tree" else "wheels"
    if method == "pip":
        place.push(2, "--install-method", "pip")
        shutil.rmtree(place.base / "envs")
    else:
        for path in (place.directory / "kept" / "second" / "packs").iterdir():
            if not (place.base / "packs" / path.name).exists():
                shutil.copytree(path, place.base / "packs" / path.name)
    blobs = sorted(path for path in (place.base / kind).glob("*/*") if path.name.startswith("plates-2"))
    data = bytearray(blobs[0].read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    blobs[0].write_bytes(data)
    done = place.push(2, "--install-method", method)
    wrong = ended(done, (0,))
    if not wrong:
        (row,) = done.document["result"]["robots"]
        if row["sent"] != 1:
            wrong = [f"{row['sent']} files were sent, not the damaged one"]
    return wrong


def _half_sent(place: Place, chance: random.Random, method: str) -> list[str]:
    """What a cut transfer left was damaged meanwhile."""
    weather = Weather(deed="cut", after=chance.randrange(SENT // 2, SENT), times=99)
    wrong = _through(place, method, weather)
    for part in place.base.glob("*/*.part"):
        data = bytearray(part.read_bytes())
        if data:
            data[chance.randrange(len(data))] ^= 0x10
            part.write_bytes(data)
    return wrong


def _full_disk(place: Place, chance: random.Random, method: str) -> list[str]:
    """/var is full at some moment; then somebody makes room."""
    words = ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(place.base)]
    kept = place.directory / "kept" / "first"
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True, timeout=30).returncode:
        raise CannotTry("needs the right to mount a small file system")
    try:
        shutil.copytree(kept, place.base, symlinks=True, dirs_exist_ok=True)
        ballast, free = (
            place.base / "ballast",
            chance.choice((0, chance.randrange(20_000), chance.randrange(2_000_000))),
        )
        wait, seen = chance.uniform(0, 0.6 if method == "tree" else 1.4), []

        def fill() -> None:
            """Once the agent is at work: before, it would be told that there is too little room."""
            if not seen and (place.base / "lock").stat().st_size:
                seen.append(True)
                time.sleep(wait)
                left = os.statvfs(place.base)
                ballast.write_bytes(bytes(max(0, left.f_bavail * left.f_frsize - free)))

        wrong = _push(place, method, meanwhile=fill)
        place.wait_until_free()
        if place.imported() not in EITHER:
            wrong.append("what is current does not import")
        ballast.unlink(missing_ok=True)
        again = _push(place, method, want=(0,))
        return [*wrong, *again]
    finally:
        kept = place.directory / "kept" / "after a full disk"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(place.base, kept, symlinks=True)
        subprocess.run(["umount", "-l", str(place.base)], check=True, timeout=30)
        shutil.rmtree(place.base)
        shutil.copytree(kept, place.base, symlinks=True)


def _changed_key(place: Place, chance: random.Random, method: str) -> list[str]:
    """Another host key is shown: nothing is sent. The old one comes back, and all goes on."""
    file = place.server.directory / "host_key"
    kept, pinned = file.read_bytes(), place.server.host_key
    embedded.new_key_pair(file)
    place.restart()
    before = (place.server.directory / "sshd.log").read_text().count("exec")
    try:
        place.write_inventory(host_key=pinned)
        done = place.push(2)
        wrong = (
            []
            if done.status == 1 and "host-key-changed" in json.dumps(done.document)
            else [f"not refused: {done.words}"]
        )
        if (place.server.directory / "sshd.log").read_text().count("exec") != before:
            wrong.append("a command was sent to a robot with another key")
    finally:
        file.write_bytes(kept)
        file.with_name(file.name + ".pub").unlink()
        place.restart()
    return wrong


def _other_clock(place: Place, chance: random.Random, method: str) -> list[str]:
    """The robot's clock is years away, and jumps back for the next push."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        raise CannotTry("needs libfaketime (Debian: apt-get install libfaketime)")
    away = chance.choice(("-20y", "-400d", "+3y", "+1d"))
    (place.chaos / "environment").write_text(json.dumps({"LD_PRELOAD": str(library), "FAKETIME": away}))
    try:
        wrong = _push(place, method, want=(0,))
    finally:
        (place.chaos / "environment").unlink()
    lines = [json.loads(line) for line in (place.base / "journal").read_text().splitlines()]
    if abs(int(lines[-1]["at"][:4]) - time.gmtime().tm_year) > 30 or lines[-1]["at"][:10] == time.strftime(
        "%Y-%m-%d", time.gmtime()
    ):
        wrong.append(f"the clock was not another one: {lines[-1]['at']}")
    return wrong


def _updated(place: Place, chance: random.Random, method: str) -> list[str]:
    """A system update between two pushes: another VERSION.json, and an interpreter that is written anew."""
    version = place.root / "etc" / "VERSION.json"
    kept = version.read_bytes()
    try:
        wrong = _push(place, method, want=(0,))
        version.write_bytes(
            json.dumps({**json.loads(kept), "opentrons_api_version": f"8.{chance.randrange(9)}.0"}).encode()
        )
        done = place.push(2, "--install-method", method)
        wrong += ended(done, (0,))
        if not wrong and done.document["result"]["robots"][0]["outcome"] != "verified":
            wrong.append(f"it was not verified again after the update: {done.words}")
    finally:
        version.write_bytes(kept)
    return wrong


KINDS: dict[str, Callable[[Place, random.Random, str], list[str]]] = {
    "connection cut": _cut,
    "byte flipped in the stream": _flip,
    "silent cut": _silence,
    "one direction lost": _deaf,
    "network stalls": _stall,
    "network delays": _delay,
    "pieces come late, as after loss": _loss,
    "59 kB/s": _slow,
    "surplus logins refused": _surplus,
    "robot paused": _paused,
    "robot restarted": _restarted,
    "ot2deploy killed at any time": _host_killed,
    "Ctrl-C once or twice": _interrupted,
    "dead session's agent works on": _dead_session,
    "two hosts at once": _two_hosts,
    "byte flipped in a file on the robot": _damaged_blob,
    "half-sent file damaged": _half_sent,
    "/var full": _full_disk,
    "host key changed": _changed_key,
    "another clock": _other_clock,
    "system updated between two pushes": _updated,
}
LONG = ("silent cut", "one direction lost", "59 kB/s", "dead session's agent works on")
ONCE = ("host key changed",)
