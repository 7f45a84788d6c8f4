"""What the user's word for a toolchain means: a compiler, and whether it runs in a container."""

from __future__ import annotations

import re
from dataclasses import dataclass

from builder.errors import UsageFailure

NAMES = ("zig", "gcc:DIRECTORY", "gcc:URL#sha256=HEX", "gcc:debian", "container[=IMAGE][:zig|:gcc:...]")
CONTAINER = re.compile(r"container(=(?P<image>.+?))?(:(?P<compiler>zig|gcc:.+))?")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A compiler by its name (zig, gcc:PLACE); with `container` builds run in one, of `image` or the default one."""

    compiler: str = "zig"
    container: bool = False
    image: str = ""


def parse(name: str) -> Choice:
    """What a name means, such as zig, gcc:/opt/sdk or container=python:3.10-slim:gcc:debian. Raises UsageFailure."""
    if name == "zig" or (name.startswith("gcc:") and name != "gcc:"):
        return Choice(compiler=name)
    if found := CONTAINER.fullmatch(name):
        return Choice(compiler=found["compiler"] or "zig", container=True, image=found["image"] or "")
    raise UsageFailure(f"no toolchain is named {name}", next=f"Toolchains: {', '.join(NAMES)}")


def supported(system: str, machine: str, *, docker: bool, debian: bool) -> tuple[str, ...]:
    """The toolchains that a host can use: `system` and `machine` as platform has them (Linux, x86_64), whether Docker
    answers, whether it is a Debian. Pure."""
    if system != "Linux":  # the target's headers are those of a Linux CPython
        return NAMES[-1:] if docker else ()
    own = [name for name in NAMES[:-1] if name != "gcc:debian" or (debian and machine == "x86_64")]
    return (*own, *(NAMES[-1:] if docker else ()))
