"""What a build's log says of why it failed: the words of a compiler, linker or back end, not of who called them."""

from __future__ import annotations

import re
from pathlib import Path

TELLING = re.compile(r"(error|warning|failed|cannot)\b", re.IGNORECASE)
ERROR = re.compile(
    r"^(.*: *)?(fatal |internal compiler )?error(\[\w+\])?: |^CMake Error|undefined reference to|cannot find -l",
    re.IGNORECASE,
)
# Who only passes on that a program failed.
PASSED_ON = re.compile(
    r"error: (command |subprocess-exited|linker command|could not compile|ld returned|build failed)|CalledProcessError",
    re.IGNORECASE,
)
# A program of its own begins here, or clang's errors of one end: an error before it is another one's.
NEXT = re.compile(r"^(\S*ot2-(cc|c\+\+) |\[\d+/\d+\]|building '|\d+ errors? generated)")
RAISED = re.compile(r"^[\w.]*(Error|Exception|Exit|Failure)\b(: .*)?$")
OF_PROGRAMS = re.compile(r"(CalledProcess|Compile|Link|Lib|DistutilsExec|Exec)Error\b|Command '")
LONGEST = 300  # letters of a line
LAST = 15  # lines: an exception before them was no end


def telling_lines(log: Path, limit: int = 10) -> tuple[str, ...]:
    """The first lines of a log that speak of errors."""
    return tuple(line for line in _lines(log, 0) if TELLING.search(line))[:limit]


def cause(log: Path, start: int = 0) -> str:
    """The line that tells why the step failed whose output begins at byte `start` of the log; "" where none does.

    Of compilers it is the first error of the last program that had any: what failed before it was a question, such as
    whether a header is there, which back ends ask by compiling. An exception that is not about a program comes first.
    """
    lines = _lines(log, start)
    raised = next((line for line in reversed(lines[-LAST:]) if RAISED.match(line)), "")
    if raised and not OF_PROGRAMS.search(raised):
        return raised
    found, fresh = "", True
    for line in lines:
        if NEXT.match(line):
            fresh = True
        elif fresh and ERROR.search(line) and not PASSED_ON.search(line):
            found, fresh = line, False
    return found or raised


def _lines(log: Path, start: int) -> list[str]:
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(start)
        return [line.strip()[:LONGEST] for line in file.read().decode(errors="replace").splitlines()]
