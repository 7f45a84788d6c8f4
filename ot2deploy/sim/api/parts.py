"""What the routes of the robot's HTTP API share: the robot behind it, a request, an answer."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

API_VERSION = 2


class Machine(Protocol):
    """The robot behind the API: what an answer says of it, and what a request does to it."""

    def facts(self) -> Mapping[str, Any]:
        """name, serial, api_version, system_version, `runs` (oldest first) and `maintenance` (a run or None)."""

    def restart(self) -> None:
        """Restarts it, and returns when it is up again."""

    def read_keys(self) -> str | None:
        """The text of authorized_keys, or None where keys cannot be managed."""

    def write_keys(self, text: str) -> None:
        """Replaces authorized_keys."""

    def run_python(self, program: str, argument: str) -> str:
        """What a program prints in the robot's own interpreter; `argument` is its sys.argv[1]."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request, read."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    version: str | None
    content_type: str
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; {} when it is none."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Status and JSON body."""

    status: int
    body: Any


@dataclass(kw_only=True)
class Api:
    """One robot's API. Lights, protocols and boot id live as long as the server; while it is `down` nothing answers."""

    machine: Machine
    lights: bool = False
    down: bool = False
    boot_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    protocols: dict[str, dict[str, Any]] = field(default_factory=dict)

    def begin_restart(self) -> threading.Thread:
        """Restarts the robot, and itself with it: it answers again, with another boot id, when the robot is up."""
        self.down = True
        thread = threading.Thread(target=self._restart, daemon=True)
        thread.start()
        return thread

    def _restart(self) -> None:
        try:
            self.machine.restart()
        finally:
            self.boot_id, self.lights = str(uuid.uuid4()), False
            self.down = False


def failure(status: int, identity: str, title: str, detail: str) -> Answer:
    """An error as robot-server words it."""
    return Answer(status=status, body={"errors": [{"id": identity, "title": title, "detail": detail}]})
