"""Which request is answered by whom. Paths, bodies and status codes follow Opentrons' servers on the robot (7.x)."""

from __future__ import annotations

import re
from collections.abc import Callable

from ot2deploy.sim.api import keys, protocols, robot, runs
from ot2deploy.sim.api.parts import API_VERSION, Answer, Api, Request


def answer(api: Api, request: Request) -> Answer:
    """The answer to a request; robot-server's paths need the Opentrons-Version header, update-server's do not."""
    for method, pattern, versioned, handler in ROUTES:
        found = re.fullmatch(pattern, request.path)
        if found and method == request.method:
            refused = check_version(request.version) if versioned else None
            return refused or handler(api, request, *found.groups())
    known = any(re.fullmatch(pattern, request.path) for _, pattern, _, _ in ROUTES)
    return Answer(status=405 if known else 404, body={"detail": "Method Not Allowed" if known else "Not Found"})


def check_version(version: str | None) -> Answer | None:
    """What robot-server answers to a missing or too old Opentrons-Version header; None when it is good."""
    if version is None or not (version == "*" or version.isdigit()):
        missing = version is None
        source = {"header": "opentrons-version"}
        detail = "field required" if missing else "value is not a valid integer"
        error = {"id": "InvalidRequest", "title": "Invalid Request", "detail": detail, "source": source}
        return Answer(status=422, body={"errors": [{**error, "errorCode": "4000"}]})
    if version != "*" and int(version) < API_VERSION:
        title = "Requested HTTP API version no longer supported"
        return Answer(status=400, body={"errors": [{"id": "OutdatedAPIVersion", "title": title, "detail": version}]})
    return None


ROUTES: tuple[tuple[str, str, bool, Callable[..., Answer]], ...] = (
    ("GET", "/health", True, robot.health),
    ("GET", "/server/update/health", False, robot.update_health),
    ("GET", "/runs", True, runs.runs),
    ("GET", "/runs/([^/]+)", True, runs.one_run),
    ("GET", "/maintenance_runs/current_run", True, runs.maintenance_run),
    ("GET", "/protocols", True, protocols.listed),
    ("POST", "/protocols", True, protocols.upload),
    ("DELETE", "/protocols/([^/]+)", True, protocols.remove),
    ("GET", "/protocols/([^/]+)/analyses", True, protocols.analyses),
    ("POST", "/identify", True, robot.identify),
    ("GET", "/robot/lights", True, robot.get_lights),
    ("POST", "/robot/lights", True, robot.set_lights),
    ("POST", "/server/restart", False, robot.restart),
    ("GET", "/server/ssh_keys", False, keys.keys),
    ("POST", "/server/ssh_keys", False, keys.keys),
    ("DELETE", "/server/ssh_keys", False, keys.keys),
    ("DELETE", "/server/ssh_keys/([0-9a-f]+)", False, keys.keys),
)
