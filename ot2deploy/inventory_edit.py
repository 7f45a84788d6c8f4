"""Adds robots to an inventory file, or changes single settings, and keeps everything else as the user wrote it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

from builder import files, places
from builder.errors import ConfigFailure
from ot2deploy.inventory import load
from ot2deploy.inventory_settings import NAME, SETTINGS


def set_setting(path: Path, robot: str, setting: str, value: str | int) -> bool:
    """Sets one setting of a robot, comments and order kept, whole or not at all. Returns whether the file changed.

    Safe for several processes at once. Raises ConfigFailure for a robot or value that does not fit, and then the
    file is as it was.
    """
    _check(robot, {setting: value})

    def change(robots: Any) -> bool:
        if robot not in robots:
            raise ConfigFailure(f"{path} has no robot named {robot}", subject=robot)
        if robots[robot] is None:
            robots[robot] = {}
        if robots[robot].get(setting) == value:
            return False
        robots[robot][setting] = value
        return True

    return _edit(path, change)


def add_robot(path: Path, robot: str, settings: Mapping[str, str | int]) -> bool:
    """Adds a robot. Returns whether the file changed: the same robot again is no change.

    Raises ConfigFailure for a name or setting that does not fit, and for a name that another robot has.
    """
    if not NAME.fullmatch(robot):
        raise ConfigFailure(f"{robot!r} is no robot name", why="Only letters, digits and . _ - are allowed.")
    _check(robot, settings)

    def change(robots: Any) -> bool:
        if robot not in robots:
            robots[robot] = dict(settings)
            return True
        if dict(robots[robot] or {}).items() >= settings.items():
            return False
        raise ConfigFailure(
            f"{path.name} has another robot of this name",
            subject=robot,
            next=f"Look at it: ot2deploy robot show {robot}   or choose another name.",
        )

    return _edit(path, change)


def set_host_key(path: Path, robot: str, line: str) -> bool:
    """Pins a robot's host key, given as "type base64". Returns whether the file changed."""
    return set_setting(path, robot, "host_key", " ".join(line.split()[:2]))


def _check(robot: str, settings: Mapping[str, str | int]) -> None:
    for setting, value in settings.items():
        try:
            SETTINGS[setting].check(value)
        except ValueError as error:
            raise ConfigFailure(f"{setting} {error}", subject=robot) from error


def _edit(path: Path, change: Callable[[Any], bool]) -> bool:
    """Applies a change to the mapping of robots, whole or not at all; a file that would not load is not written."""
    turn = places.cache_root() / "locks" / files.sha256_bytes(str(path.absolute()).encode())[:16]
    try:
        with files.locked(turn):
            load(path)  # says with its line what is wrong with the file, before anything is changed
            old = path.read_text(encoding="utf-8")
            new = _edited(old, change)
            if new != old:
                files.write_bytes(path, new.encode(), mode=path.stat().st_mode & 0o777)
    except OSError as error:
        raise ConfigFailure(
            f"the inventory {path} cannot be changed: {error.strerror or error}",
            why="A changed file is written beside it and renamed, so that it is whole at any instant.",
            next="Make the file and its directory writable, or edit it by hand.",
        ) from error
    load(path)
    return new != old


def _edited(text: str, change: Callable[[Any], bool]) -> str:
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.width = 4096  # a host key stays on its line
    _indent_as(yaml, text)
    document = yaml.load(text)
    if not document.get("robots"):
        document["robots"] = yaml.map()  # what `init` writes is `robots: {}`, which would stay on one line
    if not change(document["robots"]):
        return text
    out = StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _indent_as(yaml: object, text: str) -> None:
    """Keeps the file's own style of indenting lists: `- x` under its key, or two further in."""
    lines = text.splitlines()
    for above, line in pairwise(lines):
        if line.lstrip().startswith("- ") and above.rstrip().endswith(":"):
            offset = (len(line) - len(line.lstrip())) - (len(above) - len(above.lstrip()))
            yaml.indent(mapping=2, sequence=2 + offset, offset=offset)  # type: ignore[attr-defined]
            return
