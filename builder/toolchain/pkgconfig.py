"""pkg-config files of static libraries: where they now stand, with everything that a static link needs."""

from __future__ import annotations

import re
from pathlib import Path

FIELD = re.compile(r"^(?P<name>[A-Za-z.]+):[ \t]*(?P<value>.*)$", re.MULTILINE)
VARIABLES = {"prefix": "", "exec_prefix": "", "libdir": "/lib", "sharedlibdir": "/lib"}


def relocate(directory: Path, prefix: Path) -> None:
    """Rewrites every .pc file in a directory as `relocated` does."""
    for file in sorted(directory.glob("*.pc")):
        text = relocated(file.read_text(encoding="utf-8"), prefix)
        file.unlink()  # it may be a link to another one
        file.write_text(text, encoding="utf-8")


def relocated(text: str, prefix: Path) -> str:
    """A .pc file for a library whose include/ and lib/ stand in `prefix`.

    What only static links need is asked for as well: nothing says --static to pkg-config, and a shared object that
    lacks a symbol is linked all the same.
    """
    fields = {match["name"]: match["value"].strip() for match in FIELD.finditer(text)}
    for name, below in VARIABLES.items():
        text = re.sub(rf"^{name}=.*$", f"{name}={prefix}{below}", text, flags=re.MULTILINE)
    text = re.sub(r"^includedir=.*/include", f"includedir={prefix}/include", text, flags=re.MULTILINE)
    for name, separator in (("Requires", ", "), ("Libs", " ")):
        both = separator.join(filter(None, (fields.get(name), fields.get(f"{name}.private"))))
        text = re.sub(rf"^{re.escape(name)}(\.private)?:.*\n?", "", text, flags=re.MULTILINE)
        text = f"{text.rstrip()}\n{name}: {re.sub(r'-L/[^ ]*', '-L${libdir}', both)}\n"
    return text
