"""Reads an inventory's YAML into plain parts that know their line, and collects every problem on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from builder.errors import ConfigFailure
from ot2deploy.errors import NoInventory
from ot2deploy.inventory.settings import NAME, SETTINGS, Value

if TYPE_CHECKING:
    from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

SCHEMA = 1
TOP = ("schema", "defaults", "groups", "robots")
GROUP = ("robots", "groups", "vars")
EXAMPLE = f"""An inventory looks like this:
  schema: {SCHEMA}
  robots:
    otto:
      address: 192.168.1.20
Without the file, `ot2deploy init` writes one that explains itself."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A name that stands in a list, and its line."""

    name: str
    line: int


@dataclass(kw_only=True)
class Section:
    """A robot or group as the file has it."""

    line: int
    settings: dict[str, Value] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    robots: list[Member] = field(default_factory=list)
    groups: list[Member] = field(default_factory=list)


@dataclass(kw_only=True)
class Parts:
    """The file's three parts, and its problems so far as (line, text)."""

    path: Path
    defaults: Section = field(default_factory=lambda: Section(line=1))
    groups: dict[str, Section] = field(default_factory=dict)
    robots: dict[str, Section] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)
    next: str = "Settings of a robot: " + ", ".join(SETTINGS)

    def problem(self, line: int, text: str) -> None:
        """Notes a problem; reading goes on."""
        self.problems.append((line, text))

    def raise_problems(self) -> None:
        """Raises ConfigFailure with every problem as file:line, if there is any."""
        if not self.problems:
            return
        lines = tuple(f"{self.path}:{line}: {text}" for line, text in sorted(set(self.problems)))
        count = "a problem" if len(lines) == 1 else f"{len(lines)} problems"
        raise ConfigFailure(
            f"the inventory has {count}",
            subject=self.path.name,
            details=lines,
            next=self.next,
        )


def read(path: Path, text: str | None = None) -> Parts:
    """The parts of an inventory file; problems are collected, not raised. Raises NoInventory, ConfigFailure.

    `text` is what to take for its contents, where it is not written yet.
    """
    parts = Parts(path=path)
    root = compose(path, _contents(path) if text is None else text)
    if root is None or not _is_mapping(root):
        parts.problem(1, "it is no mapping of names to values" if root else "the file is empty")
        parts.next = EXAMPLE
        return parts
    for key, node in _items(parts, root, TOP, "the inventory"):
        if key == "schema":
            _schema(parts, node)
        elif key == "defaults":
            _settings(parts, node, parts.defaults, "defaults")
        elif key == "groups":
            for name, entry in _named(parts, node, "group"):
                parts.groups[name] = _group(parts, entry, name)
        elif key == "robots":
            for name, entry in _named(parts, node, "robot"):
                parts.robots[name] = _robot(parts, entry, name)
    return parts


def close(word: str, words: Iterable[str]) -> str:
    """A "did you mean" clause, or nothing."""
    found = get_close_matches(word, list(words), 1, 0.6)
    return f"; did you mean `{found[0]}`?" if found else ""


def _contents(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NoInventory(
            f"there is no inventory {path}",
            next="Run: ot2deploy init   (an inventory for your robots)\n"
            "or:  ot2deploy sim up --count 2   (two simulated robots in lab.yaml, then --robots lab.yaml)",
        ) from None
    except OSError as error:
        raise ConfigFailure(
            f"cannot read the inventory {path}: {error.strerror}", next="Name a file that you may read: --robots FILE"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigFailure(
            f"the inventory {path} is no text in UTF-8", why=f"At byte {error.start}: {error.reason}.", next=EXAMPLE
        ) from error


def compose(path: Path, text: str) -> Node | None:
    """The YAML nodes of a text, with their places in it; None where it is empty. Raises ConfigFailure."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        node: Node | None = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigFailure(
            "the inventory is no YAML",
            subject=path.name,
            details=(f"{at}: {error.problem or error.context}",),
            next="Look at that line and those above it: keys beside each other begin in the same column, after spaces.",
        ) from error
    except YAMLError as error:
        raise ConfigFailure(f"the inventory is no YAML: {error}", subject=path.name, next=EXAMPLE) from error
    if node is not None:
        _place_empty_values(node)
    return node


def _place_empty_values(root: Node) -> None:
    """Puts values that are left out behind their keys: ruamel has them where the next thing begins, lines later."""
    from ruamel.yaml.nodes import CollectionNode, MappingNode

    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or not isinstance(node, CollectionNode):
            continue
        seen.add(id(node))
        if not isinstance(node, MappingNode):
            waiting += node.value
            continue
        for key, value in node.value:
            if _is_null(value) and value.start_mark.index == value.end_mark.index:
                value.start_mark = value.end_mark = key.end_mark
            waiting.append(value)


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _items(parts: Parts, node: Node, allowed: Iterable[str], where: str) -> Iterator[tuple[str, Node]]:
    """The keys and values of a mapping; wrong kinds, unknown and repeated keys become problems."""
    from ruamel.yaml.nodes import MappingNode

    if _is_null(node):
        return
    if not isinstance(node, MappingNode):
        parts.problem(_line(node), f"{where} must be a mapping of names to values")
        return
    yield from _known(parts, node, tuple(allowed), where)


def _known(parts: Parts, node: MappingNode, allowed: tuple[str, ...], where: str) -> Iterator[tuple[str, Node]]:
    seen: dict[str, int] = {}
    for key_node, value in node.value:
        key, line = str(key_node.value), _line(key_node)
        if key in seen:
            parts.problem(line, f"`{key}` stands twice in {where}, first in line {seen[key]}")
        elif allowed and key not in allowed:
            parts.problem(line, f"unknown key `{key}` in {where}{close(key, allowed)}")
        else:
            yield key, value
        seen.setdefault(key, line)


def _named(parts: Parts, node: Node, kind: str) -> Iterator[tuple[str, Node]]:
    for name, entry in _items(parts, node, (), f"{kind}s"):
        if NAME.fullmatch(name):
            yield name, entry
        else:
            parts.problem(_line(entry), f"{kind} name {name!r}: only letters, digits and . _ - are allowed")


def _schema(parts: Parts, node: Node) -> None:
    value = _scalar(node)
    if isinstance(value, int) and value > SCHEMA:
        raise ConfigFailure(
            f"{parts.path}:{_line(node)}: this inventory was written for a newer ot2deploy", next="Upgrade ot2deploy."
        )
    if value != SCHEMA:
        parts.problem(_line(node), f"schema must be {SCHEMA}")


def _group(parts: Parts, node: Node, name: str) -> Section:
    section = Section(line=_line(node))
    where = f"group `{name}`"
    for key, value in _items(parts, node, GROUP, where):
        if key == "vars":
            _settings(parts, value, section, f"vars of {where}")
        else:
            (section.robots if key == "robots" else section.groups).extend(_names(parts, value, f"{key} of {where}"))
    return section


def _robot(parts: Parts, node: Node, name: str) -> Section:
    section = Section(line=_line(node))
    _settings(parts, node, section, f"robot `{name}`", with_groups=True)
    return section


def _settings(parts: Parts, node: Node, section: Section, where: str, *, with_groups: bool = False) -> None:
    for key, value in _items(parts, node, (*SETTINGS, "groups") if with_groups else SETTINGS, where):
        if key == "groups":
            section.groups.extend(_names(parts, value, f"groups of {where}"))
            continue
        if _is_null(value):
            continue
        scalar = _scalar(value) if SETTINGS[key].whole_number else _text(value)
        try:
            if scalar is None:
                raise ValueError("must be a single value")
            checked = SETTINGS[key].check(scalar)
            section.settings[key] = parts.path.parent / checked if isinstance(checked, Path) else checked
            section.lines[key] = _line(value)
        except ValueError as error:
            parts.problem(_line(value), f"{key} of {where} {error}")


def _names(parts: Parts, node: Node, where: str) -> list[Member]:
    from ruamel.yaml.nodes import ScalarNode, SequenceNode

    if _is_null(node):
        return []
    if not isinstance(node, SequenceNode) or not all(isinstance(item, ScalarNode) for item in node.value):
        parts.problem(_line(node), f"{where} must be a list of names")
        return []
    return [Member(name=str(item.value), line=_line(item)) for item in node.value]


def _scalar(node: Node) -> str | int | None:
    from ruamel.yaml.nodes import ScalarNode

    if not isinstance(node, ScalarNode):
        return None
    return _number(node) if str(node.tag).endswith(":int") else str(node.value)


def _text(node: Node) -> str | None:
    """What stands there, letter by letter: a serial number 0012 is not 12."""
    from ruamel.yaml.nodes import ScalarNode

    return str(node.value) if isinstance(node, ScalarNode) else None


def _number(node: ScalarNode) -> str | int:
    try:
        return int(node.value)
    except ValueError:
        return str(node.value)


def _is_mapping(node: Node) -> bool:
    from ruamel.yaml.nodes import MappingNode

    return isinstance(node, MappingNode)


def _is_null(node: Node) -> bool:
    return str(node.tag).endswith(":null")
