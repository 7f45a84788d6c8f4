"""Robots out of an Ansible inventory in YAML (docs.ansible.com, "Building Ansible inventories")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from builder.yaml_reader import Reader
from ot2deploy.inventory.csv_file import value_of
from ot2deploy.inventory.edit import Entry
from ot2deploy.inventory.file import close, compose
from ot2deploy.inventory.settings import NAME, SETTINGS

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

# Ansible's connection variables, today's names and those of before 2.0. All others are for Ansible alone.
VARIABLES = {
    "ansible_host": "address",
    "ansible_ssh_host": "address",
    "ansible_port": "port",
    "ansible_ssh_port": "port",
    "ansible_user": "user",
    "ansible_ssh_user": "user",
    "ansible_ssh_private_key_file": "identity_file",
    "ansible_private_key_file": "identity_file",
}
PARTS = ("hosts", "children", "vars")
EVERYBODY = ("all", "ungrouped")


@dataclass(kw_only=True)
class Group:
    """A group as all places of the file together say it; names in their order."""

    settings: dict[str, str | int] = field(default_factory=dict)
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)


@dataclass(kw_only=True)
class Found:
    """What was read so far."""

    problems: Reader
    groups: dict[str, Group] = field(default_factory=dict)
    hosts: dict[str, dict[str, str | int]] = field(default_factory=dict)
    ignored: set[str] = field(default_factory=set)


def read_ansible(path: Path, text: str) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """The hosts with their connection variables merged as Ansible does, and all groups that each is in; and notes.

    Variables of groups are written to each host, as its own settings. Raises ConfigFailure with every problem.
    """
    found = Found(problems=Reader(path))
    root = compose(path, text)
    for name, node in _members(found, root, "an inventory") if root is not None else ():
        _group(found, name, node, ())
    if not found.hosts and not found.problems.problems:
        found.problems.problem(1, "", "there are no hosts in it")
    found.problems.finish()
    depths = {name: _depth(found, name, ()) for name in found.groups}
    found.problems.finish()
    entries = tuple(_entry(found, host, depths) for host in found.hosts)
    names = ", ".join(sorted(found.ignored))
    return entries, (f"not taken over, for they are Ansible's own: {names}",) if names else ()


def _group(found: Found, name: str, node: Node, way: tuple[Node, ...]) -> None:
    if any(node is outer for outer in way):
        _problem(found, node, f"group `{name}` stands inside itself")
        return
    group = found.groups.setdefault(name, Group())
    if name not in EVERYBODY and not NAME.fullmatch(name):
        _problem(found, node, f"group {name!r}: only letters, digits and . _ - are allowed")
    for part, value in _members(found, node, f"group `{name}`"):
        if part == "vars":
            group.settings.update(_settings(found, value, f"vars of group `{name}`"))
        elif part == "hosts":
            for host, variables in _members(found, value, f"hosts of group `{name}`"):
                _host(found, host, variables)
                group.hosts[host] = None
        elif part == "children":
            for child, inner in _members(found, value, f"children of group `{name}`"):
                group.children[child] = None
                _group(found, child, inner, (*way, node))
        else:
            _problem(found, value, f"`{part}` is no part of group `{name}`{close(part, PARTS)}")


def _host(found: Found, host: str, variables: Node) -> None:
    if "[" in host:
        _problem(found, variables, f"host `{host}` is a range; ansible-inventory --list --yaml writes the names out")
    elif not NAME.fullmatch(host):
        _problem(found, variables, f"host {host!r}: only letters, digits and . _ - are allowed")
    found.hosts.setdefault(host, {}).update(_settings(found, variables, f"host `{host}`"))


def _settings(found: Found, node: Node, where: str) -> dict[str, str | int]:
    """The connection settings among variables."""
    from ruamel.yaml.nodes import ScalarNode

    settings: dict[str, str | int] = {}
    for variable, value in _members(found, node, where):
        setting = VARIABLES.get(variable)
        if setting is None:
            found.ignored.add(variable)
        elif not isinstance(value, ScalarNode) or "{{" in value.value or str(value.tag).startswith("!"):
            _problem(found, value, f"{variable} of {where} is no plain value; write what it stands for")
        else:
            try:
                settings[setting] = _beside(found.problems.path, setting, value_of(setting, str(value.value)))
            except ValueError as error:
                _problem(found, value, f"{variable} of {where} {error}")
    return settings


def _beside(path: Path, setting: str, value: str | int) -> str | int:
    """A relative key file lies beside Ansible's inventory, not beside ours."""
    if setting != "identity_file" or str(value).startswith("~"):
        return value
    return str(path.absolute().parent / str(value))


def _entry(found: Found, host: str, depths: Mapping[str, int]) -> Entry:
    inside = [name for name in found.groups if _holds(found, name, host)]
    merged: dict[str, str | int] = {}
    for name in sorted(inside, key=lambda name: (depths[name], name)):
        merged.update(found.groups[name].settings)
    merged.update(found.hosts[host])
    groups = tuple(name for name in inside if name not in EVERYBODY)
    return Entry(name=host, settings={key: merged[key] for key in SETTINGS if key in merged}, groups=groups)


def _holds(found: Found, name: str, host: str) -> bool:
    group = found.groups[name]
    return name == "all" or host in group.hosts or any(_holds(found, child, host) for child in group.children)


def _depth(found: Found, name: str, way: tuple[str, ...]) -> int:
    """How far a group is from `all`, on the longest way."""
    if name in way:
        found.problems.problem(1, "", "groups contain each other: " + " > ".join((*reversed(way), name)))
        return 0
    if name == "all":
        return 0
    outer = [other for other, group in found.groups.items() if name in group.children]
    return 1 + max((_depth(found, other, (*way, name)) for other in outer), default=0)


def _members(found: Found, node: Node, where: str) -> Iterator[tuple[str, Node]]:
    """The keys and values of a mapping; nothing of an empty one."""
    from ruamel.yaml.nodes import MappingNode

    if str(node.tag).endswith(":null"):
        return
    if not isinstance(node, MappingNode):
        _problem(found, node, f"{where} must be a mapping of names to values")
        return
    for key, value in node.value:
        if str(key.tag).endswith(":merge"):
            _problem(found, key, f"{where} has a merge key; ansible-inventory --list --yaml writes such things out")
        else:
            yield str(key.value), value


def _problem(found: Found, node: Node, text: str) -> None:
    found.problems.problem(int(node.start_mark.line) + 1, "", text)
