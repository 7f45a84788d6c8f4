"""The compiler wrappers as programs on PATH: one script under the four names that builds know."""

from __future__ import annotations

from pathlib import Path

from builder.files import sha256_bytes, write_bytes
from builder.places import cache_root

DATA = Path(__file__).parent / "data"
NAMES = ("ot2-cc", "ot2-c++", "ot2-ar", "ot2-ranlib")


def wrapper_directory(script: str) -> Path:
    """A directory to put on PATH: a wrapper of `data` under its four names, made once for each content of it."""
    text = (DATA / script).read_bytes()
    directory = cache_root() / "toolchain" / f"wrapper-{sha256_bytes(text)[:12]}"
    for name in NAMES:
        if not (directory / name).exists():
            write_bytes(directory / name, text, mode=0o755)
    return directory
