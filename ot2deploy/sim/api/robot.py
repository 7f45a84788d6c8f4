"""The routes about the robot itself: health, lights, restart."""

from __future__ import annotations

from ot2deploy.sim.api.parts import Answer, Api, Request, failure


def health(api: Api, request: Request) -> Answer:
    """GET /health."""
    facts = api.machine.facts()
    return Answer(
        status=200,
        body={
            "name": facts["name"],
            "robot_model": "OT-2 Standard",
            "api_version": facts["api_version"],
            "fw_version": "v1.1.0-25e5cea",
            "board_revision": "2.1",
            "logs": ["/logs/serial.log", "/logs/api.log", "/logs/server.log"],
            "system_version": facts["system_version"],
            "maximum_protocol_api_version": [2, 18],
            "minimum_protocol_api_version": [2, 0],
            "robot_serial": facts["serial"],
            "links": {"apiLog": "/logs/api.log", "serialLog": "/logs/serial.log", "apiSpec": "/openapi.json"},
        },
    )


def update_health(api: Api, request: Request) -> Answer:
    """GET /server/update/health, which works while robot-server is down."""
    facts = api.machine.facts()
    return Answer(
        status=200,
        body={
            "name": facts["name"],
            "robotModel": "OT-2 Standard",
            "serialNumber": facts["serial"],
            "bootId": api.boot_id,
            "updateServerVersion": facts["api_version"],
            "apiServerVersion": facts["api_version"],
            "smoothieVersion": "v1.1.0-25e5cea",
            "systemVersion": facts["system_version"],
            "capabilities": {"systemUpdate": "/server/update/begin", "restart": "/server/restart"},
        },
    )


def identify(api: Api, request: Request) -> Answer:
    """POST /identify?seconds=N."""
    if not request.query.get("seconds", [""])[0].isdigit():
        return failure(422, "InvalidRequest", "Invalid Request", "field required: seconds")
    return Answer(status=200, body={"message": "identifying"})


def get_lights(api: Api, request: Request) -> Answer:
    """GET /robot/lights."""
    return Answer(status=200, body={"on": api.lights})


def set_lights(api: Api, request: Request) -> Answer:
    """POST /robot/lights {"on": BOOL}."""
    wanted = request.json().get("on")
    if not isinstance(wanted, bool):
        return failure(422, "InvalidRequest", "Invalid Request", "field required: on")
    api.lights = wanted
    return Answer(status=200, body={"on": wanted})


def restart(api: Api, request: Request) -> Answer:
    """POST /server/restart: the whole robot restarts."""
    api.begin_restart()
    return Answer(status=200, body={"message": "Restarting in 1s"})
