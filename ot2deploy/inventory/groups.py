"""Groups of an inventory: which robots are in them, inner groups included, and which group is outer to which."""

from __future__ import annotations

from collections.abc import Iterator

from ot2deploy.inventory.file import Parts, close


def members(parts: Parts) -> dict[str, set[str]]:
    """Every group's robots, those of its inner groups included; unknown names and circles become problems."""
    for robot in parts.robots.values():
        for member in robot.groups:
            if member.name not in parts.groups:
                parts.groups.setdefault(member.name, type(robot)(line=member.line))
    for clash in parts.groups.keys() & parts.robots.keys():
        parts.problem(parts.groups[clash].line, f"`{clash}` is a robot and a group; give one another name")
    for name, group in parts.groups.items():
        for member in group.robots:
            if member.name not in parts.robots:
                hint = close(member.name, parts.robots)
                parts.problem(member.line, f"group `{name}` names an unknown robot `{member.name}`{hint}")
        for member in group.groups:
            if member.name not in parts.groups:
                hint = close(member.name, parts.groups)
                parts.problem(member.line, f"group `{name}` names an unknown group `{member.name}`{hint}")
    return {name: set(_inside(parts, name, ())) for name in parts.groups}


def _inside(parts: Parts, group: str, way: tuple[str, ...]) -> Iterator[str]:
    if group in way:
        parts.problem(parts.groups[group].line, "groups contain each other: " + " > ".join((*way, group)))
        return
    section = parts.groups.get(group)
    if section is None:
        return
    yield from (member.name for member in section.robots)
    yield from (name for name, robot in parts.robots.items() if any(member.name == group for member in robot.groups))
    for member in section.groups:
        yield from _inside(parts, member.name, (*way, group))


def ranked(parts: Parts) -> list[str]:
    """The groups, outer before inner, else in the file's order."""
    inner = {name: {member.name for member in group.groups} for name, group in parts.groups.items()}
    found: list[str] = []
    waiting = list(inner)
    while waiting:
        free = [name for name in waiting if not any(name in inner[other] for other in waiting if other != name)]
        found += free or waiting
        waiting = [name for name in waiting if name not in found]
    return found
