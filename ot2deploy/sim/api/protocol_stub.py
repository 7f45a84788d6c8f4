"""Runs a protocol on a simulated robot: a stand-in for `opentrons`, which these robots do not have.

A program for the robot's own interpreter: the protocol is its first argument, in base64. It prints one line of JSON.
`run` gets a context that keeps comments and nothing else.
"""

from __future__ import annotations

import base64
import json
import sys
import traceback
import types

commands: list[dict[str, object]] = []
errors: list[dict[str, object]] = []


class ProtocolContext:
    """Keeps what the protocol says."""

    def comment(self, msg: object) -> None:
        commands.append({"commandType": "comment", "params": {"message": str(msg)}, "status": "succeeded"})


def main(source: str) -> None:
    """Runs the protocol and prints what became of it."""
    package, interface = types.ModuleType("opentrons"), types.ModuleType("opentrons.protocol_api")
    vars(package)["protocol_api"] = interface
    vars(interface)["ProtocolContext"] = ProtocolContext
    sys.modules.update({"opentrons": package, "opentrons.protocol_api": interface})
    scope: dict[str, object] = {"__name__": "protocol"}
    try:
        exec(compile(source, "protocol.py", "exec"), scope)
        scope["run"](ProtocolContext())  # type: ignore[operator]
    except Exception as error:
        line = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "protocol.py"]
        where = " [line %s]" % line[-1] if line else ""
        detail = "%s%s: %s" % (type(error).__name__, where, error)
        errors.append({"errorType": "ExceptionInProtocolError", "errorCode": "4000", "detail": detail})
    print(json.dumps({"commands": commands, "errors": errors}))


if __name__ == "__main__":
    main(base64.b64decode(sys.argv[1]).decode())
