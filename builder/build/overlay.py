"""C headers of other projects, from their wheels for the target, laid over its Python headers for one build."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from builder.errors import BuildFailure
from builder.toolchain.headers import Headers
from builder.wheel import WheelFile


def with_headers_of(wheels: Sequence[WheelFile], headers: Headers, directory: Path) -> Headers:
    """The target's headers with those of `wheels` beside Python.h, in `directory`, which is this build's own.

    A compiler finds them before the host wheels' that the back end names: numpy's `_numpyconfig.h`, for one, says how
    long a C long is. Raises BuildFailure for a wheel without any.
    """
    if not wheels:
        return headers
    include = directory / headers.include.name
    shutil.copytree(headers.include, include)
    for wheel in wheels:
        _lay(wheel, include)
    origin = {**headers.origin, "headers_of": [wheel.path.name for wheel in wheels]}
    return replace(headers, include=include, origin=origin)


def _lay(wheel: WheelFile, include: Path) -> None:
    """Copies what lies below a directory called include, as numpy/_core/include/numpy/*.h."""
    found = [(name, below) for name in (member.name for member in wheel.members) if (below := _below_include(name))]
    if not found:
        raise BuildFailure(f"{wheel.path.name} has no C headers", next="Take it out of the recipe's headers_of.")
    for name, below in found:
        target = include / below
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(wheel.read(name))


def _below_include(name: str) -> PurePosixPath | None:
    parts = PurePosixPath(name).parts
    if "include" not in parts[:-1] or not name.endswith((".h", ".hpp")):
        return None
    return PurePosixPath(*parts[parts.index("include") + 1 :])
