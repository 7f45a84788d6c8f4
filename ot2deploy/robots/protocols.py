"""Has a robot analyse a protocol of ours, as the Opentrons App does it with a person's."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ot2deploy.errors import ApiFailure
from ot2deploy.inventory import Robot
from ot2deploy.robots import api

LIMIT = 300.0  # seconds; on a robot an analysis takes some, and what it imports may take minutes the first time
PAUSE = 0.5


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What an analysis gave: the protocol's comments, and its errors, in their order."""

    comments: tuple[str, ...]
    errors: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form with one file (RFC 7578)."""

    boundary: str
    content: bytes

    @classmethod
    def of_protocol(cls, source: str) -> Form:
        """The form that POST /protocols takes."""
        boundary = secrets.token_hex(16)
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="ot2deploy_verify.py"\r\n'
        kind = "Content-Type: text/x-python\r\n\r\n"
        return cls(boundary=boundary, content=f"{head}{kind}{source}\r\n--{boundary}--\r\n".encode())

    @property
    def content_type(self) -> str:
        """What the request's header says."""
        return f"multipart/form-data; boundary={self.boundary}"

    def __len__(self) -> int:
        return len(self.content)

    def __iter__(self) -> Iterator[bytes]:
        yield self.content


def analyse(robot: Robot, source: str, *, limit: float = LIMIT, pause: float = PAUSE) -> Analysis:
    """Uploads a protocol, waits for its analysis, and removes it again, whatever became of it. Raises ApiFailure.

    A robot keeps the analysis of a file that it has seen: who wants a new one puts something new into the source.
    """
    form = Form.of_protocol(source)
    try:
        made = api.post(robot, "/protocols", form, form.content_type)
        identity = str(made["data"]["id"])
    except (LookupError, TypeError) as error:
        raise _strange(robot) from error
    try:
        return _completed(robot, identity, limit, pause)
    finally:
        with contextlib.suppress(ApiFailure):  # it stays in the App's list of the robot; the analysis is what counts
            api.delete(robot, f"/protocols/{identity}")


def _completed(robot: Robot, identity: str, limit: float, pause: float) -> Analysis:
    deadline = time.monotonic() + limit
    while True:
        answer = api.get(robot, f"/protocols/{identity}/analyses")
        try:
            last = answer["data"][-1]
            if last["status"] == "completed":
                return Analysis(
                    comments=tuple(
                        str(command["params"]["message"])
                        for command in last["commands"]
                        if command["commandType"] == "comment"
                    ),
                    errors=tuple(str(error["detail"]) for error in last["errors"]),
                )
        except (LookupError, TypeError) as error:
            raise _strange(robot) from error
        if time.monotonic() > deadline:
            raise ApiFailure(
                f"it did not finish the analysis of a protocol within {limit:g} s",
                subject=robot.name,
                why="The robot server is busy, or an import in it takes very long.",
                next="Look at the robot in the Opentrons App, and try again.",
            )
        time.sleep(pause)


def _strange(robot: Robot) -> ApiFailure:
    return ApiFailure(
        "its HTTP API tells of protocols in another form than we know",
        subject=robot.name,
        why="Known is that of robot software 7.2 to 8.x.",
        next="Check by hand: let the Opentrons App analyse a protocol that imports the package.",
    )
