"""The agent as one file: a deterministic archive of ot2deploy.agent and builder.checks that python3 runs as it is."""

from __future__ import annotations

import functools
import io
import zipfile
from importlib.resources import files
from importlib.resources.abc import Traversable

from builder.files import sha256_bytes

# The packages whose modules travel; the two outer ones travel without their own code.
PARTS = {"ot2deploy.agent": "ot2deploy/agent", "builder.checks": "builder/checks"}
APART = ("packages.py",)  # comes to a robot on standard input, alone
EMPTY = ("ot2deploy/__init__.py", "builder/__init__.py")
ENTRY = """import sys

from ot2deploy.agent.__main__ import main

sys.exit(main())
"""
# The earliest time that a zip file can hold: the same sources make the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)


@functools.cache
def build() -> tuple[bytes, str]:
    """The archive's bytes and their sha256, which is its name and version on robots.

    The sources are read where Python found the packages, in a checkout or in an installed wheel. Stored, not
    compressed: a robot reads it faster, and the connection compresses.
    """
    members = dict.fromkeys(EMPTY, b"") | {"__main__.py": ENTRY.encode()}
    for package, directory in PARTS.items():
        members |= {f"{directory}/{source.name}": source.read_bytes() for source in _sources(package)}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system = 3  # Unix, wherever it is made
            info.external_attr = 0o100644 << 16
            archive.writestr(info, members[name])
    data = buffer.getvalue()
    return data, sha256_bytes(data)


def _sources(package: str) -> list[Traversable]:
    modules = [entry for entry in files(package).iterdir() if entry.is_file() and entry.name.endswith(".py")]
    return [entry for entry in modules if entry.name not in APART]
