"""Adds robots to an inventory file, or changes their settings, and keeps everything else as the user wrote it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from builder import files, places
from builder.errors import ConfigFailure
from ot2deploy.inventory import load
from ot2deploy.inventory.comments import kept_below
from ot2deploy.inventory.settings import NAME, SETTINGS

Did = Literal["added", "changed", "no change", "left alone"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What is to stand in the inventory about one robot: its own settings, and groups that it is in."""

    name: str
    settings: Mapping[str, str | int]
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Change:
    """What an edit does with an entry."""

    entry: Entry
    did: Did


def set_settings(path: Path, robot: str, settings: Mapping[str, str | int]) -> bool:
    """Sets settings of a robot, comments and order kept, whole or not at all. Returns whether the file changed.

    Safe for several processes at once. Raises ConfigFailure for a robot or value that does not fit, and then the
    file is as it was.
    """
    check(Entry(name=robot, settings=settings))

    def change(robots: Any) -> None:
        if _key(robots, robot) not in robots:
            raise ConfigFailure(f"{path} has no robot named {robot}", subject=robot)
        _set(robots, Entry(name=robot, settings=settings))

    return _edit(path, change)


def set_setting(path: Path, robot: str, setting: str, value: str | int) -> bool:
    """Sets one setting of a robot; see `set_settings`."""
    return set_settings(path, robot, {setting: value})


def set_host_key(path: Path, robot: str, line: str) -> bool:
    """Pins a robot's host key, given as "type base64". Returns whether the file changed."""
    return set_setting(path, robot, "host_key", " ".join(line.split()[:2]))


def add_robot(path: Path, entry: Entry) -> bool:
    """Adds a robot. Returns whether the file changed: the same robot again is no change.

    Raises ConfigFailure for a name or setting that does not fit, and for a name that another robot has.
    """
    check(entry)

    def change(robots: Any) -> None:
        key = _key(robots, entry.name)
        if key in robots and not _says(robots[key], entry):
            raise ConfigFailure(
                f"{path.name} has another robot of this name",
                subject=entry.name,
                next=f"Look at it: ot2deploy robot show {entry.name}   or choose another name.",
            )
        _set(robots, entry)

    return _edit(path, change)


def merge_robots(
    path: Path, entries: Sequence[Entry], *, update: bool = False, dry_run: bool = False
) -> tuple[Change, ...]:
    """Adds the robots that the file has not, all or none of them; says what became of each.

    Robots that it has are left alone, unless `update`: then they get the settings and groups as well. With `dry_run`
    everything is looked at and nothing is written. Raises ConfigFailure for what does not fit.
    """
    done: list[Change] = []
    for entry in entries:
        check(entry)

    def change(robots: Any) -> None:
        for entry in entries:
            did = _merged(robots, entry, update=update)
            if did in ("added", "changed"):
                _set(robots, entry)
            done.append(Change(entry=entry, did=did))

    _edit(path, change, dry_run=dry_run)
    return tuple(done)


def check(entry: Entry) -> None:
    """Raises ConfigFailure for a name, setting or group that cannot stand in an inventory."""
    for name in (entry.name, *entry.groups):
        if not NAME.fullmatch(name):
            kind = "robot" if name == entry.name else "group"
            raise ConfigFailure(f"{name!r} is no {kind} name", why="Only letters, digits and . _ - are allowed.")
    for setting, value in entry.settings.items():
        try:
            SETTINGS[setting].check(value)
        except ValueError as error:
            raise ConfigFailure(f"{setting} {error}", subject=entry.name) from error


def rewrite(path: Path, edited: Callable[[str], str], *, dry_run: bool = False) -> bool:
    """Replaces an inventory's text by what `edited` makes of it. Returns whether it is another one.

    Whole or not at all: a text that is no inventory is not written. Raises ConfigFailure, and what `edited` raises.
    """
    turn = places.cache_root() / "locks" / files.sha256_bytes(str(path.absolute()).encode())[:16]
    try:
        with files.locked(turn):
            load(path)  # says with its line what is wrong with the file, before anything is changed
            old = path.read_text(encoding="utf-8")
            new = edited(old)
            if new != old:
                _prove(path, new)
            if new != old and not dry_run:
                files.write_bytes(path, new.encode(), mode=path.stat().st_mode & 0o777)
    except OSError as error:
        raise ConfigFailure(
            f"the inventory {path} cannot be changed: {error.strerror or error}",
            why="A changed file is written beside it and renamed, so that it is whole at any instant.",
            next="Make the file and its directory writable, or edit it by hand.",
        ) from error
    return new != old


def _prove(path: Path, text: str) -> None:
    try:
        load(path, text)
    except ConfigFailure as failure:
        raise ConfigFailure(
            "this would break the inventory; it is as it was",
            subject=path.name,
            details=failure.details,
            why="The lines are those that it would have.",
        ) from failure


def _edit(path: Path, change: Callable[[Any], None], *, dry_run: bool = False) -> bool:
    """Applies a change to the mapping of robots."""
    return rewrite(path, lambda text: _edited(text, change), dry_run=dry_run)


def _merged(robots: Any, entry: Entry, *, update: bool) -> Did:
    key = _key(robots, entry.name)
    if key not in robots:
        return "added"
    if _says(robots[key], entry):
        return "no change"
    return "changed" if update else "left alone"


def _key(robots: Any, name: str) -> Any:
    """What ruamel takes a name of the file for: 12 is a number to it."""
    return next((key for key in robots if str(key) == name), name)


def _says(written: Any, entry: Entry) -> bool:
    """Whether an entry of the file says all that another one does."""
    written = written or {}
    return dict(written).items() >= entry.settings.items() and set(entry.groups) <= set(written.get("groups") or ())


def _set(robots: Any, entry: Entry) -> None:
    """Writes an entry into the mapping of robots; what stands there already stays, and so does its place."""
    key = _key(robots, entry.name)
    if key in robots:
        _grow(_own(robots, key), entry)
        return
    with kept_below(robots, margin_only=True):
        _grow(_own(robots, key), entry)


def _own(robots: Any, key: Any) -> Any:
    """A robot's mapping, made where there is none; one that it shares with another by an alias is copied first."""
    from ruamel.yaml.comments import CommentedMap

    written = robots.get(key)
    if written is None:
        robots[key] = CommentedMap()
    elif any(other is written for name, other in robots.items() if name != key):
        robots[key] = CommentedMap(written)
    return robots[key]


def _grow(written: Any, entry: Entry) -> None:
    from ruamel.yaml.comments import CommentedSeq

    with kept_below(written):
        for setting, value in entry.settings.items():
            if written.get(setting) != value:
                written[setting] = value
        if entry.groups and not written.get("groups"):
            written["groups"] = CommentedSeq()
            written["groups"].fa.set_flow_style()
        for group in entry.groups:
            if group not in written["groups"]:
                written["groups"].append(group)


def _edited(text: str, change: Callable[[Any], None]) -> str:
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.width = 4096  # a host key stays on its line
    _indent_as(yaml, text)
    document = yaml.load(text)
    if not document.get("robots"):
        document["robots"] = yaml.map()  # what `init` writes is `robots: {}`, which would stay on one line
    before = _plain(document["robots"])
    change(document["robots"])
    if _plain(document["robots"]) == before:
        return text
    out = StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _plain(robots: Any) -> dict[str, Any]:
    """The mapping of robots as values that a later edit of it does not change."""
    return {
        name: {key: [*value] if isinstance(value, list) else value for key, value in (entry or {}).items()}
        for name, entry in robots.items()
    }


def _indent_as(yaml: object, text: str) -> None:
    """Keeps the file's own style of indenting lists: `- x` under its key, or two further in."""
    lines = text.splitlines()
    for above, line in pairwise(lines):
        if line.lstrip().startswith("- ") and above.rstrip().endswith(":"):
            offset = (len(line) - len(line.lstrip())) - (len(above) - len(above.lstrip()))
            yaml.indent(mapping=2, sequence=2 + offset, offset=offset)  # type: ignore[attr-defined]
            return
