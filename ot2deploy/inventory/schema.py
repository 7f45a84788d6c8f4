"""The JSON Schema of inventories, for editors: made from the table of settings that the reader itself uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ot2deploy.inventory.file import SCHEMA
from ot2deploy.inventory.settings import NAME, SETTINGS

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """What an inventory may hold. The reader says more: names that are unknown, keys that are cut off."""
    return {
        "$schema": DIALECT,
        "title": "ot2deploy inventory",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "schema": {"const": SCHEMA, "description": "the version of this format"},
            "defaults": _mapping(_settings(), "what holds for every robot, unless its group or entry says otherwise"),
            "groups": _named(
                {
                    "robots": _names("its robots"),
                    "groups": _names("groups inside it"),
                    "vars": _mapping(_settings(), "what holds for its robots"),
                },
                "groups of robots, by name",
            ),
            "robots": _named({**_settings(), "groups": _names("groups that it is in")}, "the robots, by name"),
        },
    }


def _settings() -> dict[str, Any]:
    return {
        name: {
            "description": one.help,
            **({"default": one.default} if one.default else {}),
            "anyOf": [one.schema, {"type": "null"}],
        }
        for name, one in SETTINGS.items()
    }


def _mapping(properties: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {
        "description": description,
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": properties,
    }


def _named(properties: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {
        "description": description,
        "type": ["object", "null"],
        "propertyNames": {"pattern": f"^{NAME.pattern}$"},
        "additionalProperties": _mapping(properties, f"one of {description}"),
    }


def _names(description: str) -> dict[str, Any]:
    return {"description": description, "type": ["array", "null"], "items": {"type": "string"}}
