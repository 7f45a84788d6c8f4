"""The manifest of a release that is on a robot: what it is made of, and its checks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from ot2deploy.agent_host.shapes import rows, text
from ot2deploy.errors import CommandFailure
from ot2deploy.inventory import Robot
from ot2deploy.transport import Session, command

WHEELS, CHECKS, IMPORTS = rows(name=text, version=text), rows(kind=text), rows(module=text)


def read_manifest(session: Session, robot: Robot, environment: str, digest: str) -> Mapping[str, Any]:
    """The manifest of a release. Raises CommandFailure where it cannot be read."""
    path = f"{robot.base_path}/envs/{environment}/releases/{digest}/manifest.json"
    printed = session.run(command("cat", path)).stdout
    try:
        value = json.loads(printed)
    except (ValueError, RecursionError):
        value = None
    if not _is_manifest(value):
        raise CommandFailure(
            f"the manifest of release {digest[:12]} of {environment} cannot be read",
            subject=robot.name,
            why=f"{path} is damaged.",
            next=f"Push what {environment} was made from.",
        )
    return cast("Mapping[str, Any]", value)


def _is_manifest(value: Any) -> bool:
    """Whether it has what is read of one."""
    if not isinstance(value, dict) or not isinstance(value.get("checks"), dict):
        return False
    parts = [part or [] for part in value["checks"].values()]
    return WHEELS(value.get("wheels")) and all(
        CHECKS(part) and IMPORTS([check for check in part if check["kind"] == "import"]) for part in parts
    )
