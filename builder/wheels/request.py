"""The text of a request for packages that cannot be had: what is wanted, for what, and what was tried. Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from builder.wheels.outlook import Outlook


def text(packages: Sequence[Outlook], asked: str, facts: Mapping[str, str]) -> str:
    """An issue for a package index or a recipe's author. `asked` is the command; `facts` describe the machine."""
    names = ", ".join(f"{one.name} {one.version}".strip() for one in packages)
    profiles = ", ".join(dict.fromkeys(one.profile for one in packages))
    lines = [f"# Package request: {names} for {profiles}", ""]
    for one in packages:
        lines += [
            f"## {one.name} {one.version}".rstrip(),
            "",
            f"- Profile: {one.profile}",
            f"- State: {one.state}",
            *([f"- Wanted by: {' -> '.join(one.chain)}"] if one.chain else []),
            f"- What was tried: {one.reason}",
            *([f"- Nearest thing that works: {one.instead}"] if one.instead else []),
            "",
        ]
    lines += ["## Environment", "", *(f"- {name}: {value}" for name, value in facts.items()), ""]
    return "\n".join([*lines, "Found by:", "", f"    {asked}", ""])
