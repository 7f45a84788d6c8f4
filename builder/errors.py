"""The one error tree of builder and ot2deploy.

    Failure                       something a person has to read
    +-- UsageFailure              the command line or a file given to it is wrong (exit 2)
    |   +-- ConfigFailure         inventory, environment or recipe files, with file:line
    +-- BuildFailure              a wheel, lock or bundle could not be made (exit 1)
    |   +-- ToolFailure           a program we ran ended badly
    |   +-- NetworkFailure        a download or an index failed
    |   +-- AuditFailure          a wheel was read and refused
    |   +-- DiskFailure           a file of ours could not be written
    |   +-- DockerFailure         Docker is not there, or refused something
    +-- (ot2deploy.errors adds the robot branch)

Every leaf has a stable `code`; a message has three parts: what happened, likely why, what to run next.
"""

from __future__ import annotations

from typing import ClassVar

from builder.printable import printable


class Failure(Exception):
    """What happened, likely why, and what to run next.

    `subject` is the robot, package or file it is about and is printed in front; `details` are extra lines
    (one finding each, or the tail of a log). Nothing secret may be put into any of them.
    """

    code: ClassVar[str] = "failure"
    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        next: str = "",
        subject: str = "",
        details: tuple[str, ...] = (),
    ) -> None:
        self.what, self.why, self.next, self.subject, self.details = what, why, next, subject, details
        super().__init__(what)

    def __str__(self) -> str:
        return f"{self.subject}: {self.what}" if self.subject else self.what

    def as_dict(self) -> dict[str, object]:
        """The failure as it appears under "error" in every command's --json output."""
        return {
            "code": self.code,
            "subject": self.subject,
            "what": self.what,
            "why": self.why,
            "next": self.next,
            "details": list(self.details),
        }

    def lines(self) -> list[str]:
        """The failure as lines of text, the first one complete in itself; none steers a terminal."""
        rest = [*self.details, *filter(None, (self.why, self.next))]
        return [printable(str(self)), *(f"  {printable(line)}" for text in rest for line in text.splitlines())]


class UsageFailure(Failure):
    """The command line asks for something that cannot be."""

    code = "usage"
    exit_code = 2


class ConfigFailure(UsageFailure):
    """A file we read is wrong; `details` name every problem as file:line."""

    code = "config"


class BuildFailure(Failure):
    """A lock, wheel or bundle could not be made."""

    code = "build"


class ToolFailure(BuildFailure):
    """A program we ran ended badly or in time-out."""

    code = "tool"

    def __init__(
        self,
        what: str,
        *,
        argv: tuple[str, ...] = (),
        status: int | None = None,
        output: str = "",
        why: str = "",
        next: str = "",
        subject: str = "",
    ) -> None:
        self.argv, self.status, self.output = argv, status, output
        super().__init__(what, why=why, next=next, subject=subject, details=last_lines(output))


def last_lines(output: str, count: int = 15) -> tuple[str, ...]:
    """The end of what a program printed, without the frames of Python tracebacks: their last line says what it was."""
    kept: list[str] = []
    framed = False
    for line in output.splitlines():
        begins = line.lstrip().startswith("Traceback (most recent call last)")
        framed = begins or (framed and (line.startswith(" ") or not line))
        if not framed:
            kept.append(line)
    return tuple(kept[-count:])


class NetworkFailure(BuildFailure):
    """A download or an index query failed; `status` is that of HTTP where a server did answer."""

    code = "network"
    status: int | None = None


class OfflineFailure(NetworkFailure):
    """Something is needed from the network and --offline forbids it; `details` name the files."""

    code = "offline"


class HashFailure(NetworkFailure):
    """Bytes came that do not have the sha256 they were promised to have."""

    code = "sha256-mismatch"


class AuditFailure(BuildFailure):
    """A wheel was read and refused; `details` are its findings."""

    code = "audit"


class DiskFailure(BuildFailure):
    """A file could not be written or read: the disk is full, or access to it is denied."""

    code = "disk"


class DockerFailure(BuildFailure):
    """Docker is not there, or it refused something."""

    code = "docker"


class MissingExtra(UsageFailure):
    """A part of ot2deploy that was not installed is needed."""

    code = "missing-extra"

    def __init__(self, extra: str, module: str) -> None:
        super().__init__(
            f"{module} is not installed",
            why=f"This command needs the extra [{extra}].",
            next=f"Run: uv tool install 'ot2deploy[{extra}]'   (or: pip install 'ot2deploy[{extra}]')",
        )
