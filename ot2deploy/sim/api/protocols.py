"""The routes about protocols: uploading, analysing, removing, as robot-server 7.x has them.

An analysis really runs the file in the robot's own interpreter, so that what it imports is there or not. What it may do
else is little: `opentrons` is the stand-in of `protocol_stub.py`, and there are no instruments and no labware.
"""

from __future__ import annotations

import base64
import email.message
import email.parser
import email.policy
import hashlib
import json
import threading
import uuid
from pathlib import Path
from typing import Any

from ot2deploy.sim.api.parts import Answer, Api, Request, failure

STUB = Path(__file__).with_name("protocol_stub.py")
MOST = 64 << 10  # bytes of a protocol: it reaches the robot as one argument of a program


def upload(api: Api, request: Request) -> Answer:
    """POST /protocols: the same file again is the same protocol, and is not analysed again."""
    source = _file(request)
    if source is None:
        return failure(422, "InvalidRequest", "Invalid Request", "field required: files")
    if len(source) > MOST:
        return failure(422, "ProtocolFilesInvalid", "Protocol File(s) Invalid", "too large for a simulated robot")
    digest = hashlib.sha256(source).hexdigest()
    for known in api.protocols.values():
        if known["digest"] == digest:
            return Answer(status=200, body={"data": _told(known)})
    analysis: dict[str, Any] = {"id": str(uuid.uuid4()), "status": "pending"}
    made: dict[str, Any] = {"id": str(uuid.uuid4()), "digest": digest, "analysis": analysis}
    api.protocols[made["id"]] = made
    threading.Thread(target=_analyse, args=(api, source, analysis), daemon=True).start()
    return Answer(status=201, body={"data": _told(made)})


def analyses(api: Api, request: Request, identity: str) -> Answer:
    """GET /protocols/{id}/analyses."""
    known = api.protocols.get(identity)
    return Answer(status=200, body={"data": [dict(known["analysis"])]}) if known else _unknown(identity)


def listed(api: Api, request: Request) -> Answer:
    """GET /protocols."""
    return Answer(status=200, body={"data": [_told(one) for one in api.protocols.values()]})


def remove(api: Api, request: Request, identity: str) -> Answer:
    """DELETE /protocols/{id}."""
    return Answer(status=200, body={}) if api.protocols.pop(identity, None) else _unknown(identity)


def _unknown(identity: str) -> Answer:
    return failure(404, "ProtocolNotFound", "Protocol Not Found", f"Protocol {identity} was not found.")


def _told(known: dict[str, Any]) -> dict[str, Any]:
    analysis = known["analysis"]
    summary = {"id": analysis["id"], "status": analysis["status"]}
    return {"id": known["id"], "protocolType": "python", "robotType": "OT-2 Standard", "analysisSummaries": [summary]}


def _file(request: Request) -> bytes | None:
    """The bytes of the form's field `files`, or None."""
    head = f"Content-Type: {request.content_type}\r\n\r\n".encode()
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + request.body)
    for part in form.iter_parts() if isinstance(form, email.message.EmailMessage) and form.is_multipart() else ():
        payload = part.get_payload(decode=True)
        if part.get_param("name", header="content-disposition") == "files" and isinstance(payload, bytes):
            return payload
    return None


def _analyse(api: Api, source: bytes, analysis: dict[str, Any]) -> None:
    printed = api.machine.run_python(STUB.read_text(encoding="utf-8"), base64.b64encode(source).decode())
    try:
        found = json.loads(printed.splitlines()[-1])
    except (ValueError, IndexError):
        found = {"commands": [], "errors": [{"errorType": "UnexpectedProtocolError", "detail": printed[-500:]}]}
    analysis.update(found, result="not-ok" if found["errors"] else "ok")
    analysis["status"] = "completed"  # last: who polls must not see half of it
