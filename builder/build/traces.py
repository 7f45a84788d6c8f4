"""Traces of the place where a build ran: text gets fixed names instead, machine code must hold none."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

from builder.build.request import BuildRequest
from builder.errors import BuildFailure
from builder.places import cache_root

OBJECT = re.compile(r"\.so(\.[0-9]+)*$")


class LeakedPaths(BuildFailure):
    """Machine code names the directory in which it was built: other bytes each time, which tell of this machine."""

    code = "build-leaked-paths"


class Traces:
    """What is changed in the members of one wheel, and which of them cannot be helped."""

    def __init__(self, request: BuildRequest, work: Path) -> None:
        self._request = request
        self._places = {str(work).encode(): b"/build", str(cache_root()).encode(): b"/cache"}
        self._leaks: list[str] = []

    def change(self, name: str, data: bytes) -> bytes:
        """A member without the paths that a build wrote into text; machine code that has some is noted."""
        if b"\0" not in data:
            for place, word in self._places.items():
                data = data.replace(place, word)
        elif OBJECT.search(name) and any(place in data for place in self._places):
            self._leaks.append(name)
        return data

    def require_none(self, path: Path) -> None:
        """Removes the wheel at `path` and raises LeakedPaths for what was noted and the recipe does not let stay."""
        allowed = self._request.recipe.build_paths if self._request.recipe else ()
        leaks = [name for name in self._leaks if not any(fnmatch.fnmatch(name, glob) for glob in allowed)]
        if leaks:
            path.unlink()
            raise LeakedPaths(
                "the path of its build stands in its machine code",
                subject=f"{self._request.name} {self._request.version}",
                why="A source file was compiled by its absolute name, or a tool wrote where it was.",
                next="Let a patch or a flag of its recipe take the path away, or name the files in `build_paths`.",
                details=tuple(leaks),
            )
