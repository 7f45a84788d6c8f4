"""A robot's state as one shell script prints it, and the pure parser that reads it."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from builder.environment import NAME
from builder.files import sha256_bytes
from ot2deploy.errors import AgentTooNew, CommandFailure
from ot2deploy.transport import script

SCHEMA = 1
# POSIX shell as BusyBox, dash and bash know it. Each section follows a marker on a line of its own; the newline before
# a marker is ours, so that a file's bytes come through as they are. What the shell cannot do itself are `ls` and `df`:
# a process takes 10 ms on a robot and 100 ms on an emulated one, and a push that finds nothing to do waits for this.
SCRIPT = r"""
root=@root@ base=@base@ only=@only@ depth=@depth@
say() { printf '\n==ot2deploy:%s\n' "$1"; }
show() { say "$1"; [ -f "$2" ] || return 0; while IFS= read -r l; do printf '%s\n' "$l"; done <"$2"; printf %s "$l"; }
say simulated; printf %s "${OT2DEPLOY_SIM_ROOT:-}"
show version "$root/etc/VERSION.json"
show serial "$root/var/serial"
say links; ls -lnd "$root"/usr/bin/python* "$base"/envs/*/current 2>/dev/null
if [ $depth = full ]; then
say disk; d=$base; while [ ! -d "$d" ]; do d=${d%/*}; [ "$d" ] || d=/; done; df -Pk "$d"
say mounts; while read -r a b c o e; do
p=${b%/}; case $d/ in "$p"/*) echo "$b $c $o";; esac; done 2>/dev/null </proc/mounts
say memory; while read -r a b c; do case $a in MemAvailable:) echo "$b"; break;; esac; done 2>/dev/null </proc/meminfo
say wheels; for f in "$base"/wheels/*; do echo "${f##*/}"; done
say packs; for f in "$base"/packs/*; do echo "${f##*/}"; done
fi
show lock "$base/lock"
if [ -s "$base/lock" ]; then
say holding; IFS= read -r l <"$base/lock"; p=${l#*'"pid": '}; p=${p%%[!0-9]*}
for f in /proc/"$p"/fd/*; do [ "$f" -ef "$base/lock" ] && echo yes && break; done
fi
show facts "$base/facts.json"
for e in "$base"/envs/*; do
n=${e##*/}
[ -d "$e/releases" ] || continue
[ "$only" = . ] || [ "$only" = "$n" ] || continue
say "environment $n"; for r in "$e"/releases/*/complete; do [ -f "$r" ] && echo "$r"; done
show "verified $n" "$e/current/verified.json"
[ -x "$e/current/bin/python3" ] || say "gone $n"
done
say end
"""
EVERY = "."
MARKER = re.compile(rb"\n==ot2deploy:([^\n]*)\n")
DIGEST = re.compile(r"[0-9a-f]{64}")
NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, kw_only=True)
class EnvironmentState:
    """An environment on a robot: the current release's digest, all complete ones, and what verified the current.

    `linked` is the digest that the link `current` names, also where that release is gone and `current` is None.
    `python_gone` says that the interpreter which the current release was made for is not on the robot any more.
    """

    name: str
    current: str | None
    releases: tuple[str, ...]
    verified: Mapping[str, Any] | None = None
    linked: str | None = None
    python_gone: bool = False


@dataclass(frozen=True, kw_only=True)
class RobotState:
    """What a robot is and has on it. Sizes are bytes.

    `version` is /etc/VERSION.json ({} where it is missing), `interpreter` what /usr/bin/python3 leads to, or None.
    `facts` are those stored on the robot, if they are for this `fingerprint`; else None. `holder` is what the lock
    file says: who, since, run; it may have died since. `held` says that it lives: its process has the lock open.
    `base_kind` is the type of the file system under the base directory ("ext4", "" where it cannot be told).
    `wheels` and `packs` are the sha256 of blobs that are there.
    `serial` is /var/serial, which update-server reads, too ("" where it is missing).
    `simulated` is the root of an embedded simulated robot as its SSH server says it, "" for all others.
    A brief state says nothing of mounts, disk, memory, wheels and packs: it is all that a push needs to see that
    there is nothing to do.
    """

    robot: str
    version: Mapping[str, Any]
    fingerprint: str
    interpreter: str | None
    root_writable: bool = False
    base_kind: str = ""
    base_writable: bool = True
    disk_free: int = 0
    disk_total: int = 0
    memory_available: int | None = None
    holder: Mapping[str, Any] | None = None
    held: bool = False
    facts: Mapping[str, Any] | None = None
    environments: Mapping[str, EnvironmentState] = field(default_factory=dict)
    serial: str = ""
    simulated: str = ""
    wheels: frozenset[str] = frozenset()
    packs: frozenset[str] = frozenset()

    @property
    def software(self) -> str:
        """The robot software's version, or "" where /etc/VERSION.json does not say it."""
        return str(self.version.get("opentrons_api_version", ""))

    def as_dict(self) -> dict[str, Any]:
        """The state as JSON."""
        return {
            **self.__dict__,
            "software": self.software,
            "environments": {name: dict(one.__dict__) for name, one in self.environments.items()},
            "wheels": len(self.wheels),
            "packs": len(self.packs),
        }


def command(*, root: str, base: str, environment: str | None, brief: bool = False) -> str:
    """The command that prints a robot's state: of one environment, or of all (None). `base` includes the root."""
    depth = "brief" if brief else "full"
    return script(SCRIPT, root=root or "/.", base=base, only=environment or EVERY, depth=depth)


def parse(robot: str, printed: bytes) -> RobotState:
    """The state that the script printed. Raises CommandFailure when it is cut short, AgentTooNew."""
    sections = _sections(printed)
    if "end" not in sections:
        tail = printed[-400:].decode(errors="replace").strip()
        raise CommandFailure(
            "the robot's answer to the state script is incomplete",
            subject=robot,
            why="The shell on it is not one we know, or the connection broke.",
            details=tuple(tail.splitlines()[-5:]),
        )
    links = dict(_links(sections.get("links", b"")))
    interpreter, size = _interpreter(links)
    system_files = sections.get("version", b"")
    fingerprint = sha256_bytes(b"\0".join([system_files, (interpreter or "").encode(), str(size).encode()]))
    free, total = _disk(sections.get("disk", b""))
    memory = sections.get("memory", b"").decode(errors="replace").strip()
    mounts = _mounts(sections.get("mounts", b""))
    base = max(mounts, key=len, default="")
    return RobotState(
        robot=robot,
        version=_json(system_files) or {},
        fingerprint=fingerprint,
        interpreter=interpreter,
        root_writable="/" in mounts and "rw" in mounts["/"][1],
        base_kind=mounts[base][0] if base else "",
        base_writable=not base or "rw" in mounts[base][1],
        disk_free=free,
        disk_total=total,
        memory_available=int(memory) * 1024 if NUMBER.fullmatch(memory) else None,
        holder=_json(sections.get("lock", b"")),
        held=b"yes" in sections.get("holding", b""),
        facts=_facts(robot, sections.get("facts", b""), fingerprint),
        environments=dict(_environments(robot, sections, links)),
        serial=sections.get("serial", b"").decode(errors="replace").strip(),
        simulated=sections.get("simulated", b"").decode(errors="replace").strip(),
        wheels=_names(sections.get("wheels", b"")),
        packs=_names(sections.get("packs", b"")),
    )


def _sections(printed: bytes) -> dict[str, bytes]:
    parts = MARKER.split(b"\n" + printed)
    return {name.decode(errors="replace"): body for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def _links(listing: bytes) -> Iterator[tuple[str, tuple[int, str]]]:
    """Path, size and target ("" for what is no link) out of `ls -lnd`: mode, links, owner, group, size, time, path."""
    for line in listing.decode(errors="replace").splitlines():
        words = line.split(maxsplit=8)
        if len(words) == 9 and NUMBER.fullmatch(words[4]):
            path, _, target = words[8].partition(" -> ")
            yield path, (int(words[4]), target)


def _interpreter(links: Mapping[str, tuple[int, str]]) -> tuple[str | None, int]:
    """Where usr/bin/python3 leads, and that file's size; 0 where it lies outside usr/bin (simulated robots)."""
    path = next((path for path in links if path.endswith("/usr/bin/python3")), None)
    size = 0
    for _ in range(8):
        if path is None or path not in links:
            return path, 0
        size, target = links[path]
        if not target:
            return path, size
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return path, size


def _disk(listing: bytes) -> tuple[int, int]:
    """Free and total bytes out of `df -Pk`: name, total, used, free, percent, place."""
    lines = listing.decode(errors="replace").splitlines()
    numbers = re.search(r"\s([0-9]{1,18})\s+([0-9]{1,18})\s+([0-9]{1,18})\s+[0-9]+%", lines[-1]) if lines else None
    return (int(numbers[3]) * 1024, int(numbers[1]) * 1024) if numbers else (0, 0)


def _mounts(listing: bytes) -> dict[str, tuple[str, list[str]]]:
    """Type and options of what is mounted, by place, out of /proc/mounts; later mounts hide earlier ones."""
    rows = (line.split() for line in listing.decode(errors="replace").splitlines())
    return {row[0]: (row[1], row[2].split(",")) for row in rows if len(row) == 3}


def _facts(robot: str, text: bytes, fingerprint: str) -> Mapping[str, Any] | None:
    stored = _ours(robot, "facts.json", text)
    if stored is None or stored.get("fingerprint") != fingerprint or not isinstance(stored.get("facts"), dict):
        return None
    facts: Mapping[str, Any] = stored["facts"]
    return facts


def _environments(
    robot: str, sections: Mapping[str, bytes], links: Mapping[str, tuple[int, str]]
) -> Iterator[tuple[str, EnvironmentState]]:
    targets = {path.split("/")[-2]: target for path, (_, target) in links.items() if path.endswith("/current")}
    for title, body in sections.items():
        kind, _, name = title.partition(" ")
        if kind != "environment" or not NAME.fullmatch(name):  # a directory that is none of ours
            continue
        paths = (path.split("/") for path in body.decode(errors="replace").splitlines())
        releases = tuple(sorted(parts[-2] for parts in paths if DIGEST.fullmatch("".join(parts[-2:-1]))))
        named = targets.get(name, "").rpartition("/")[2]
        linked = named if DIGEST.fullmatch(named) else None
        current = linked if linked in releases else None  # no link yet, or one into nothing
        verified = _ours(robot, "verified.json", sections.get(f"verified {name}", b""))
        if current is None or (verified is not None and verified.get("digest") != current):
            verified = None
        yield (
            name,
            EnvironmentState(
                name=name, current=current, releases=releases, verified=verified, linked=linked,
                python_gone=current is not None and f"gone {name}" in sections,
            ),
        )  # fmt: skip


def _ours(robot: str, name: str, text: bytes) -> dict[str, Any] | None:
    """A state file of ours. A damaged one counts as missing; a newer one is not ours to judge."""
    value = _json(text)
    schema = value.get("schema") if value else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise AgentTooNew(
            f"{name} on the robot was written by a newer ot2deploy",
            subject=robot,
            why=f"It has schema {schema}, this ot2deploy knows {SCHEMA}.",
            next="Upgrade ot2deploy on this computer.",
        )
    return value


def _json(text: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _names(listing: bytes) -> frozenset[str]:
    return frozenset(name for name in listing.decode(errors="replace").split() if DIGEST.fullmatch(name))
