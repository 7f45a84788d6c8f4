"""Serves one robot's HTTP API on a port."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from ot2deploy.sim.api import routes
from ot2deploy.sim.api.parts import API_VERSION, Answer, Api, Request


class Server(ThreadingHTTPServer):
    """One robot's API on a port of 127.0.0.1; port 0 takes a free one."""

    daemon_threads = True

    def __init__(self, api: Api, port: int = 0) -> None:
        self.api = api
        super().__init__(("127.0.0.1", port), Handler)

    def answer(self, request: Request) -> Answer:
        """The answer to a request."""
        return routes.answer(self.api, request)


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
            content_type=self.headers.get("Content-Type", ""),
            body=self.rfile.read(length) if length else b"",
        )
        if self.server.api.down:  # like a robot that restarts: the connection ends, and that is all
            self.close_connection = True
            return
        answer = self.server.answer(request)
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
