"""Hand-made wheels for tests: right in every respect that a test does not change."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from builder.wheel.writer import Entry, write_wheel

NATIVE = "demo-1.0-cp310-cp310-linux_armv7l.whl"
PURE = "demo-1.0-py3-none-any.whl"
MODULE = "demo/_speed.cpython-310-arm-linux-gnueabihf.so"


def make_wheel(
    directory: Path,
    filename: str = PURE,
    files: Mapping[str, bytes] | None = None,
    *,
    metadata: str = "",
    wheel: str | None = None,
    executable: tuple[str, ...] = (),
    info: Mapping[str, bytes] | None = None,
) -> Path:
    """Writes a wheel. `metadata` are further METADATA lines, `wheel` replaces WHEEL, `info` adds .dist-info files."""
    name, version, *_, python, abi, platform = filename.removesuffix(".whl").split("-")
    dist_info = f"{name}-{version}.dist-info"
    tags = [f"Tag: {p}-{a}-{m}" for p in python.split(".") for a in abi.split(".") for m in platform.split(".")]
    papers = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}".encode(),
        "WHEEL": (wheel if wheel is not None else "\n".join(["Wheel-Version: 1.0", *tags]) + "\n").encode(),
        **(info or {}),
    }
    content = files if files is not None else {f"{name}/__init__.py": b"VALUE = 1\n"}
    entries = [
        *(Entry(name=path, data=data, mode=0o755 if path in executable else 0o644) for path, data in content.items()),
        *(Entry(name=f"{dist_info}/{part}", data=data) for part, data in papers.items()),
    ]
    return write_wheel(directory / filename, dist_info, entries)


def edit_zip(path: Path, edit: Callable[[str, bytes], list[tuple[str | zipfile.ZipInfo, bytes]]]) -> Path:
    """Rewrites a zip: `edit` says what stands there instead of each member."""
    with zipfile.ZipFile(path) as old:
        contents = [(info.filename, old.read(info)) for info in old.infolist()]
    with zipfile.ZipFile(path, "w") as new:
        for name, data in contents:
            for changed, bytes_ in edit(name, data):
                new.writestr(changed, bytes_)
    return path


def add_member(path: Path, member: str | zipfile.ZipInfo, data: bytes = b"") -> Path:
    """Puts one more member into a wheel, past its RECORD."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, data)
    return path
