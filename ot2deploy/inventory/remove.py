"""Takes a robot out of an inventory file: its own lines and nothing else, so that comments and order stay."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from builder.errors import UsageFailure
from ot2deploy.errors import NoSuchRobot
from ot2deploy.inventory import load
from ot2deploy.inventory.edit import rewrite
from ot2deploy.inventory.file import close, compose

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

Span = tuple[int, int]


def remove_robot(path: Path, name: str) -> None:
    """Removes a robot's entry, and its name from the lists of groups. Nothing is done on the robot.

    Raises NoSuchRobot, and UsageFailure where other robots are reached through it.
    """
    known = load(path).robots
    if name not in known:
        raise NoSuchRobot(
            f"no robot is named `{name}`{close(name, known)}", next="Robots: " + (", ".join(known) or "none")
        )
    through = [robot.name for robot in known.values() if robot.via == name]
    if through:
        raise UsageFailure(
            f"{', '.join(through)} cannot be reached without it",
            subject=name,
            why=f"The inventory says `via: {name}` there.",
            next="Change `via` of these robots first.",
        )
    rewrite(path, lambda text: without(path, text, name))


def without(path: Path, text: str, name: str) -> str:
    """The text of an inventory without a robot."""
    for start, end in sorted(_spans(compose(path, text), text, name), reverse=True):
        text = text[:start] + text[end:]
    return text


def _spans(root: Node | None, text: str, name: str) -> Iterator[Span]:
    """What is to be cut out: offsets of first and after last letter."""
    for key, value in _pairs(root):
        if key.value == "robots":
            yield from _cuts(text, value, _pairs(value), name)
        elif key.value == "groups":
            for _, group in _pairs(value):
                for title, listed in _pairs(group):
                    if title.value == "robots" and isinstance(listed.value, list):
                        yield from _cuts(text, listed, [(item, item) for item in listed.value], name)


def _pairs(node: Node | None) -> Sequence[tuple[Node, Node]]:
    from ruamel.yaml.nodes import MappingNode

    return node.value if isinstance(node, MappingNode) else ()


def _cuts(text: str, parent: Node, items: Sequence[tuple[Node, Node]], name: str) -> Iterator[Span]:
    """The members of that name: whole lines in block style, with one comma between braces."""
    spans = [(key.start_mark.index, _end_of(text, key, value)) for key, value in items]
    for at, (key, _) in enumerate(items):
        if key.value != name:
            continue
        start, end = spans[at]
        if not getattr(parent, "flow_style", False):
            yield _whole_lines(text, start, end)
        elif at + 1 < len(spans):
            yield start, spans[at + 1][0]
        else:
            yield (spans[at - 1][1] if at else start), end


def _end_of(text: str, key: Node, value: Node) -> int:
    """Where a member ends: with its value, or with the colon where that is left out."""
    end = _end(key)
    if value is not key:
        end = max(end, _end(value, after=end))
        if end == _end(key) and (colon := re.compile(r"\s*:").match(text, end)):
            end = colon.end()
    return end


def _end(node: Node, *, after: int = 0) -> int:
    """Where a node's text ends. A block's own end mark is where the next thing begins, past all comments.

    An alias is the node that it stands for, which lies before it (`after`): that one is not the alias's own text.
    """
    from ruamel.yaml.nodes import CollectionNode

    if node.start_mark.index < after:
        return after
    if not isinstance(node, CollectionNode) or node.flow_style:
        return int(node.end_mark.index)
    inside = [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
    return max((_end(part, after=node.start_mark.index) for part in inside), default=int(node.start_mark.index))


def _whole_lines(text: str, start: int, end: int) -> Span:
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", len(text[:end].rstrip("\n")))
    return first, len(text) if last < 0 else last + 1
