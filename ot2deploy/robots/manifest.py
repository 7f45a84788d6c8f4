"""The manifest of a release that is on a robot: what it is made of, and its checks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ot2deploy.errors import CommandFailure
from ot2deploy.inventory import Robot
from ot2deploy.transport import Session, command


def read_manifest(session: Session, robot: Robot, environment: str, digest: str) -> Mapping[str, Any]:
    """The manifest of a release. Raises CommandFailure where it cannot be read."""
    path = f"{robot.base_path}/envs/{environment}/releases/{digest}/manifest.json"
    printed = session.run(command("cat", path)).stdout
    try:
        value = json.loads(printed)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise CommandFailure(
            f"the manifest of release {digest[:12]} of {environment} cannot be read",
            subject=robot.name,
            why=f"{path} is damaged.",
            next=f"Push what {environment} was made from.",
        )
    return value
