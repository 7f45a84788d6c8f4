"""Which programs run from our releases, as /proc tells; nothing is known where a system has none."""

from __future__ import annotations

import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ot2deploy.agent.layout import Layout

PROC = "/proc"


class Program:
    """A running program. `uses` are pairs of environment and release, None where only `current` or the environment's
    directory is named."""

    def __init__(self, pid: int, name: str, uses: frozenset[tuple[str, str | None]]) -> None:
        self.pid, self.name, self.uses = pid, name, uses


def programs(layout: Layout, proc: str = PROC) -> list[Program]:
    """The programs that use something below `envs`: as their directory, a mapped file, an argument or a variable.

    A virtual environment's interpreter is the system's own, so the executable alone says nothing.
    """
    pattern = _pattern(layout)
    found = []
    for name in sorted(filter(str.isdigit, _listed(proc)), key=int):
        if int(name) == os.getpid():
            continue
        told = _told(os.path.join(proc, name))
        uses = frozenset(_use(match) for match in pattern.finditer(told))
        if uses:
            found.append(Program(int(name), _name(os.path.join(proc, name)), uses))
    return found


def of_environment(running: list[Program], environment: str) -> list[Program]:
    """The programs that use any release of an environment."""
    return [program for program in running if any(use[0] == environment for use in program.uses)]


def releases(running: list[Program], environment: str, current: str | None) -> set[str]:
    """The releases of an environment that programs use; who names `current` uses what it is now."""
    uses = {use for program in running for use in program.uses if use[0] == environment}
    return {digest or current or "" for _, digest in uses} - {""}


def mentioned(names: list[str], proc: str = PROC) -> set[str]:
    """Which of some files' names stand in the command line of a process."""
    lines = [_read(os.path.join(proc, name, "cmdline")) for name in _listed(proc) if name.isdigit()]
    return {name for name in names if any(os.fsencode(name) in line for line in lines)}


def words(program: Program) -> str:
    """A program as people are told of it."""
    names = sorted({use[0] for use in program.uses})
    return "process %d (%s) runs from %s" % (program.pid, program.name, ", ".join(names))


def as_values(running: list[Program]) -> list[dict[str, Any]]:
    """Programs as an answer has them."""
    return [{"pid": one.pid, "name": one.name, "environments": sorted({use[0] for use in one.uses})} for one in running]


def _pattern(layout: Layout) -> re.Pattern[bytes]:
    places = {layout.envs, os.path.realpath(layout.envs)}
    either = b"|".join(re.escape(os.fsencode(place)) for place in sorted(places))
    return re.compile(b"(?:%s)/([a-z0-9][a-z0-9._-]{0,99})(?:/releases/([0-9a-f]{64}))?(?![a-z0-9._-])" % either)


def _use(match: re.Match[bytes]) -> tuple[str, str | None]:
    return match.group(1).decode(), match.group(2).decode() if match.group(2) else None


def _told(process: str) -> bytes:
    """All that a process says of files it uses, one after the other; less where it has ended or is somebody else's."""
    parts = []
    for name in ("exe", "cwd"):
        try:
            parts.append(os.fsencode(os.readlink(os.path.join(process, name))))
        except OSError:
            pass
    for name in ("cmdline", "environ", "maps"):
        parts.append(_read(os.path.join(process, name)))
    return b"\n".join(parts)


def _name(process: str) -> str:
    """What a person knows the program by: its script or itself. Arguments are not told: they may hold secrets."""
    argv = _read(os.path.join(process, "cmdline")).split(b"\0")
    names = [os.path.basename(os.fsdecode(word)) for word in argv[:2] if word and not word.startswith(b"-")]
    if len(names) > 1 and names[0].startswith("python") and b"/" in argv[1]:
        return names[1][:60]
    return (names or ["?"])[0][:60]


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []
