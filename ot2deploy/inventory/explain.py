"""Where each setting of a robot comes from: every line that says it, the one that counts last."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ot2deploy.inventory import Robot, layers_of
from ot2deploy.inventory.file import read
from ot2deploy.inventory.settings import SETTINGS


@dataclass(frozen=True, kw_only=True)
class Said:
    """One value of a setting, from `origin`, in `line` of the inventory (None: built in). Only one `counts`."""

    setting: str
    value: str | int
    origin: str
    line: int | None
    counts: bool

    def as_dict(self) -> dict[str, Any]:
        """The value as JSON."""
        return dict(self.__dict__)


def explain(robot: Robot) -> tuple[Said, ...]:
    """All that is said of a robot that the inventory names, in the order of the settings."""
    if robot.file is None:
        raise ValueError(f"{robot.name} stands in no inventory")
    layers = layers_of(read(robot.file))[robot.name]
    found: list[Said] = []
    for setting, declared in SETTINGS.items():
        said: list[tuple[Any, str, int | None]] = []
        if declared.default:
            said.append((declared.default, "built in", None))
        said += [
            (layer.section.settings[setting], layer.origin, layer.section.lines[setting])
            for layer in layers
            if setting in layer.section.settings
        ]
        if setting == "address" and not said:
            said.append((robot.address, "its name", None))
        found += [
            Said(
                setting=setting,
                value=str(value) if isinstance(value, Path) else value,
                origin=origin,
                line=line,
                counts=at + 1 == len(said),
            )
            for at, (value, origin, line) in enumerate(said)
        ]
    return tuple(found)
