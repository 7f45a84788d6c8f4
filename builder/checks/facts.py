"""What an interpreter says of itself: the facts from which its profile is matched. Standard library only.

Run as a program it prints the facts as one line of JSON.
"""

from __future__ import annotations

import json
import os
import platform
import struct
import sys
import sysconfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCHEMA = 1


def machine() -> str:
    """The machine a wheel must be for: armv7l for any 32-bit ARM interpreter, whatever the kernel says."""
    name = platform.machine()
    if struct.calcsize("P") == 4 and name in ("aarch64", "arm64", "armv8l", "armv7l"):
        return "armv7l"
    return {"amd64": "x86_64", "AMD64": "x86_64"}.get(name, name)


def glibc() -> str | None:
    """The C library's version such as "2.25", or None where it is not glibc."""
    try:
        name, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
    except (AttributeError, OSError, ValueError):
        return None
    return version if name == "glibc" else None


def hard_float() -> bool | None:
    """Whether a 32-bit ARM interpreter uses the hard-float ABI (EF_ARM_ABI_FLOAT_HARD in its own header)."""
    if machine() != "armv7l":
        return None
    with open(os.path.realpath(sys.executable), "rb") as file:
        header = file.read(40)
    if header[:4] != b"\x7fELF" or len(header) < 40:
        return None
    return bool(struct.unpack_from("<I", header, 36)[0] & 0x400)


def pip() -> dict[str, str] | None:
    """Version and directory of the interpreter's pip, or None. pip is looked for, not imported: that takes seconds."""
    for entry in sys.path:
        package = os.path.join(entry or ".", "pip", "__init__.py")
        compiled = package + "c"
        if not (os.path.exists(package) or os.path.exists(compiled)):
            continue
        for name in sorted(os.listdir(entry)):
            if name.startswith("pip-") and name.endswith(".dist-info"):
                return {"version": name[4:-10], "path": entry}
        return {"version": "", "path": entry}
    return None


def facts() -> dict[str, Any]:
    """All facts as a dictionary of JSON values."""
    return {
        "schema": SCHEMA,
        "implementation": sys.implementation.name,
        "python": "%d.%d" % sys.version_info[:2],
        "full_version": platform.python_version(),
        "machine": machine(),
        "system": platform.system(),
        "glibc": glibc(),
        "hard_float": hard_float(),
        "mac_version": platform.mac_ver()[0],
        "executable": os.path.realpath(sys.executable),
        "soabi": sysconfig.get_config_var("SOABI"),
        "magic": __import__("importlib.util").util.MAGIC_NUMBER.hex(),
        "pip": pip(),
        "sys_path": [entry for entry in sys.path if entry],
    }


if __name__ == "__main__":
    print(json.dumps(facts(), sort_keys=True))
