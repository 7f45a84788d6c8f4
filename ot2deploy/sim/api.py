"""The robot's HTTP API, as much of it as a deployer asks: health, runs, lights, restart, SSH keys.

Standard library only. Paths, bodies and status codes follow Opentrons' robot-server and update-server (7.x).
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

API_VERSION = 2
ENDED = ("stopped", "failed", "succeeded")
ALLOWED_KEYS = re.compile(r"ssh-rsa$|ecdsa")  # the real one rejects ed25519, too


class Machine(Protocol):
    """The robot behind the API: what an answer says of it, and what a request does to it."""

    def facts(self) -> Mapping[str, Any]:
        """name, serial, api_version, system_version, `runs` (oldest first) and `maintenance` (a run or None)."""

    def restart(self) -> None:
        """Begins a restart and returns at once."""

    def read_keys(self) -> str | None:
        """The text of authorized_keys, or None where keys cannot be managed."""

    def write_keys(self, text: str) -> None:
        """Replaces authorized_keys."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request, read."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    version: str | None
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
    """One robot's API. Lights and boot id live as long as the server."""

    machine: Machine
    lights: bool = False
    boot_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def answer(self, request: Request) -> Answer:
        """The answer to a request; robot-server's paths need the Opentrons-Version header, update-server's do not."""
        for method, pattern, versioned, handler in ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                refused = check_version(request.version) if versioned else None
                return refused or handler(self, request, *found.groups())
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


def runs(api: Api, request: Request) -> Answer:
    """GET /runs?pageLength=N: the newest N, oldest first."""
    every = list(api.machine.facts()["runs"])
    given = request.query.get("pageLength", [""])[0]
    shown = every[-int(given) :] if given.isdigit() and int(given) else every
    current = next((run for run in every if run["current"]), None)
    links = {"current": {"href": f"/runs/{current['id']}"}} if current else {}
    meta = {"cursor": len(every) - len(shown), "totalLength": len(every)}
    return Answer(status=200, body={"data": shown, "meta": meta, "links": links})


def one_run(api: Api, request: Request, identity: str) -> Answer:
    """GET /runs/{id}."""
    for run in api.machine.facts()["runs"]:
        if run["id"] == identity:
            return Answer(status=200, body={"data": run})
    return failure(404, "RunNotFound", "Run Not Found", f"Run {identity} was not found.")


def maintenance_run(api: Api, request: Request) -> Answer:
    """GET /maintenance_runs/current_run; 404 means that there is none."""
    run = api.machine.facts()["maintenance"]
    if run is None:
        return failure(404, "NoCurrentRunFound", "No Current Run Found", "No maintenance run is current.")
    return Answer(status=200, body={"data": run})


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
    api.boot_id = str(uuid.uuid4())
    api.lights = False
    api.machine.restart()
    return Answer(status=200, body={"message": "Restarting in 1s"})


def keys(api: Api, request: Request, digest: str | None = None) -> Answer:
    """GET, POST and DELETE /server/ssh_keys[/MD5]: as by cable; over a network the real one answers 403."""
    text = api.machine.read_keys()
    if text is None:
        message = f"The endpoint {request.path} can only be used from link-local connections."
        return Answer(status=403, body={"error": "bad-interface", "message": message})
    there = {hashlib.md5(line.encode()).hexdigest(): line for line in text.splitlines() if line.strip()}
    if request.method == "GET":
        return Answer(status=200, body={"public_keys": [{"key_md5": md5, "key": key} for md5, key in there.items()]})
    if request.method == "POST":
        return add_key(api, there, request.json().get("key"))
    if digest and digest not in there:
        return Answer(status=404, body={"error": "invalid-key-hash", "message": f"No such key md5 {digest}"})
    kept = [line for md5, line in there.items() if digest and md5 != digest]
    api.machine.write_keys("".join(f"{line}\n" for line in kept))
    message = f"{f'Key {digest} deleted' if digest else 'Keys cleared'}. Restart robot to take effect"
    return Answer(status=200, body={"message": message, "restart_url": "/server/restart"})


def add_key(api: Api, there: Mapping[str, str], key: Any) -> Answer:
    """Accepts one ssh-rsa or ecdsa key."""
    if not isinstance(key, str):
        return Answer(status=400, body={"error": "no-key", "message": 'No "key" element in body'})
    words = key.split()
    problem = "Key is empty" if not words else "Key has a newline" if "\n" in key[:-1] else ""
    if words and not ALLOWED_KEYS.match(words[0]):
        problem = f"Key starts with invalid algorithm {words[0]}"
    if problem:
        return Answer(status=400, body={"error": "bad-key", "message": problem})
    line = key.removesuffix("\n")
    digest = hashlib.md5(line.encode()).hexdigest()
    if digest not in there:
        api.machine.write_keys("".join(f"{text}\n" for text in (*there.values(), line)))
    return Answer(status=201, body={"message": f"Added key {digest}", "key_md5": digest})


def failure(status: int, identity: str, title: str, detail: str) -> Answer:
    """An error as robot-server words it."""
    return Answer(status=status, body={"errors": [{"id": identity, "title": title, "detail": detail}]})


ROUTES: tuple[tuple[str, str, bool, Callable[..., Answer]], ...] = (
    ("GET", "/health", True, health),
    ("GET", "/server/update/health", False, update_health),
    ("GET", "/runs", True, runs),
    ("GET", "/runs/([^/]+)", True, one_run),
    ("GET", "/maintenance_runs/current_run", True, maintenance_run),
    ("POST", "/identify", True, identify),
    ("GET", "/robot/lights", True, get_lights),
    ("POST", "/robot/lights", True, set_lights),
    ("POST", "/server/restart", False, restart),
    ("GET", "/server/ssh_keys", False, keys),
    ("POST", "/server/ssh_keys", False, keys),
    ("DELETE", "/server/ssh_keys", False, keys),
    ("DELETE", "/server/ssh_keys/([0-9a-f]+)", False, keys),
)


class Server(ThreadingHTTPServer):
    """One robot's API on a port of 127.0.0.1; port 0 takes a free one."""

    daemon_threads = True

    def __init__(self, api: Api, port: int = 0) -> None:
        self.api = api
        super().__init__(("127.0.0.1", port), Handler)


class Handler(BaseHTTPRequestHandler):
    """Moves requests to the Api and its answers back."""

    protocol_version = "HTTP/1.1"
    server: Server

    def handle_any(self) -> None:
        """Answers one request."""
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        request = Request(
            method=self.command,
            path=parts.path,
            query=parse_qs(parts.query),
            version=self.headers.get("Opentrons-Version"),
            body=self.rfile.read(length) if length else b"",
        )
        answer = self.server.api.answer(request)
        body = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Opentrons-Version", str(API_VERSION))
        self.send_header("Opentrons-Min-Version", str(API_VERSION))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the log is for what goes wrong."""
