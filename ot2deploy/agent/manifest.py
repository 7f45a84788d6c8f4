"""A manifest as it comes from the host: checked before anything is made from it."""

from __future__ import annotations

import hashlib
import json
import sys

from ot2deploy.agent import LAYOUT, SCHEMA, fields
from ot2deploy.agent.refusal import Refusal, bad_request

SHARED = "shared"  # the environment that protocols and Jupyter import from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Manifest = dict[str, Any]


def check(value: Manifest) -> Manifest:
    """Returns a manifest that is safe to install. Refuses one that is malformed, not what its digest says, or for
    another Python than this one."""
    if value.get("schema") != SCHEMA or value.get("layout") != LAYOUT:
        raise bad_request("the manifest has schema %r and layout %r" % (value.get("schema"), value.get("layout")))
    if (fields.environment(value) == SHARED) != fields.flag(value, "shared"):
        raise bad_request("the name %s is for the shared environment, and for nothing else" % SHARED)
    fields.flag(value, "system_packages")
    fields.variables(value)
    for wheel in fields.items(value, "wheels"):
        fields.filename(wheel, "wheels")
        fields.digest(wheel, "sha256")
    try:
        made = digest(value)
    except (UnicodeEncodeError, RecursionError) as error:  # half characters, which have no bytes
        raise bad_request("the manifest has something that no digest can be made of") from error
    if fields.digest(value) != made:
        raise bad_request("the manifest's digest is not that of its content")
    _check_python(value)
    return value


def digest(value: Manifest) -> str:
    """The digest of a release: over what decides which files it will have, and nothing else."""
    return digest_of(
        {
            "schema": value["schema"],
            "layout": value["layout"],
            "abi": value.get("abi"),
            "wheels": sorted([wheel["filename"], wheel["sha256"]] for wheel in value["wheels"]),
            "variables": value.get("variables") or {},
            "system_packages": value.get("system_packages", False),
        }
    )


def digest_of(value: Any) -> str:
    """sha256 of a value's canonical JSON; the same as builder.files.digest_of, which does not travel to robots."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _check_python(value: Manifest) -> None:
    profile = value.get("profile")
    wanted = profile.get("python") if isinstance(profile, dict) else None
    running = "%d.%d" % sys.version_info[:2]
    if wanted and wanted != running:
        raise Refusal(
            "wrong-python", "the bundle is for Python %s; this robot has %s" % (wanted, running),
            why="The robot's software was updated, or the bundle was made for another robot.",
            next="Push again, so that a bundle is made for this robot as it is now.",
        )  # fmt: skip
