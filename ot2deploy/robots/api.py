"""The robot's HTTP API: who it is, blinking its lights, and the requests of which other modules make more.

Requests go to the robot itself, never through a proxy. It has no login, so nothing that it says is proof: whoever acts
on a robot does so over SSH, where its host key is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from builder.errors import NetworkFailure
from builder.fetch import Body, Fetcher
from ot2deploy.errors import AnotherRobot, ApiFailure, CableNeeded
from ot2deploy.inventory import Robot
from ot2deploy.transport import wording

MOST = 1 << 20  # bytes; what a robot says of itself is less than one KiB
VERSION = {"Opentrons-Version": "*"}  # robot-server answers 422 without it


@dataclass(frozen=True, kw_only=True)
class About:
    """What a robot says of itself, and where it did."""

    address: str
    http_port: int
    name: str
    serial: str
    software: str

    def as_dict(self) -> dict[str, Any]:
        """The robot as JSON."""
        return dict(self.__dict__)


class Empty:
    """The body of a POST that says everything in its URL."""

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Any:
        return iter(())


class Json:
    """The body of a POST that is a JSON value."""

    def __init__(self, value: object) -> None:
        self._data = json.dumps(value).encode()

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[bytes]:
        return iter((self._data,))


def about(address: str, port: int) -> About:
    """Asks update-server, which also answers while robot-server is down. Raises ApiFailure."""
    where = _where(address, port)
    try:
        answer = _fetcher().ask(f"http://{where}/server/update/health", most=MOST, headers=VERSION)
    except NetworkFailure as failure:
        reason = f"answers {failure.status}" if failure.status else "does not answer"
        raise ApiFailure(f"the HTTP API at {where} {reason}") from failure
    try:
        said: Mapping[str, Any] = json.loads(answer.body)
        return About(
            address=address,
            http_port=port,
            name=str(said["name"]),
            serial=str(said["serialNumber"]),
            software=str(said.get("apiServerVersion", "")),
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ApiFailure(f"what answers at {where} is no robot") from error


def same(robot: Robot, serial: str) -> About:
    """Who answers at a robot's HTTP port, if it is the robot that said `serial` over SSH ("" where it said none).

    Raises ApiFailure, AnotherRobot.
    """
    _url(robot, "/")
    try:
        found = about(robot.address, robot.http_port)
    except ApiFailure:
        raise _refused(robot, "/server/update/health", None) from None
    if serial and found.serial != serial:
        raise AnotherRobot(
            f"its HTTP API is that of another robot, with serial {found.serial}",
            subject=robot.name,
            why=f"Over SSH {robot.address} has serial {serial}. Nothing was asked of the other one.",
            next="Look at address and http_port in the inventory.",
        )
    return found


def get(robot: Robot, path: str) -> Mapping[str, Any]:
    """What a robot's API answers to a GET. Raises ApiFailure, also for any status that is no success."""
    try:
        answer = _fetcher().ask(_url(robot, path), most=MOST, headers=VERSION)
    except NetworkFailure as failure:
        raise _refused(robot, path, failure.status) from failure
    return _json(robot, path, answer.body)


def post(robot: Robot, path: str, body: Body | None = None, content_type: str = "") -> Mapping[str, Any]:
    """What a robot's API answers to a POST. Raises ApiFailure, also for any status that is no success."""
    headers = {**VERSION, "Content-Type": content_type} if content_type else VERSION
    try:
        said = _fetcher().post(_url(robot, path), body or Empty(), headers=headers, login=None)
    except NetworkFailure as failure:
        raise _refused(robot, path, None) from failure
    if not 200 <= said.status < 300:
        raise _refused(robot, path, said.status, _reason(said.body))
    return _json(robot, path, said.body)


def delete(robot: Robot, path: str) -> None:
    """Deletes something of a robot's API; what is gone already is fine. Raises ApiFailure."""
    try:
        said = _fetcher().delete(_url(robot, path), headers=VERSION)
    except NetworkFailure as failure:
        raise _refused(robot, path, None) from failure
    if not 200 <= said.status < 300 and said.status != 404:
        raise _refused(robot, path, said.status, _reason(said.body))


def hand_key(robot: Robot, line: str) -> None:
    """Lets a public key in, given as "type base64 comment"; one that is there already is fine.

    Raises CableNeeded where the robot was asked over the network, ApiFailure.
    """
    try:
        said = _fetcher().post(
            _url(robot, "/server/ssh_keys"),
            Json({"key": line}),
            headers={**VERSION, "Content-Type": "application/json"},
            login=None,
        )
    except NetworkFailure as failure:
        raise _refused(robot, "/server/ssh_keys", None) from failure
    if said.status == 403:
        raise CableNeeded(
            "it takes no SSH key over the network",
            subject=robot.name,
            why="Robots take keys over a USB cable only (HTTP 403: link-local addresses), so that not everybody in "
            "the network can let themselves in.",
            next="Plug it into this computer by USB and run the same again; over the network a computer that has a key "
            "on it can let yours in: ot2deploy robot enroll --key FILE.pub",
        )
    if not 200 <= said.status < 300:
        raise _refused(robot, "/server/ssh_keys", said.status, _reason(said.body))


def identify(robot: Robot, seconds: int) -> About:
    """Lets a robot blink its lights, if it is the one that the inventory means. Raises ApiFailure, AnotherRobot."""
    _url(robot, "/identify")  # raises for one that is reached through another computer
    try:
        found = about(robot.address, robot.http_port)
        if robot.serial and found.serial != robot.serial:
            raise wording.another_robot(robot, found.serial)
        where = _where(robot.address, robot.http_port)
        said = _fetcher().post(f"http://{where}/identify?seconds={seconds}", Empty(), headers=VERSION, login=None)
    except NetworkFailure as failure:
        raise ApiFailure("its HTTP API stopped answering", subject=robot.name) from failure
    except ApiFailure as failure:
        failure.subject = robot.name
        failure.why = "It is off or starting, its address changed, or http_port in the inventory is another one."
        failure.next = wording.find(robot)
        raise
    if said.status != 200:
        raise ApiFailure(
            f"it does not blink: its HTTP API answers {said.status}",
            subject=robot.name,
            why="The robot server may still be starting.",
        )
    return found


def _url(robot: Robot, path: str) -> str:
    if robot.via:
        raise ApiFailure(
            f"it is reached through {robot.via}, and its HTTP API not at all",
            subject=robot.name,
            next="Run this on a computer in the robot's own network.",
        )
    return f"http://{_where(robot.address, robot.http_port)}{path}"


def _refused(robot: Robot, path: str, status: int | None, said: str = "") -> ApiFailure:
    where = _where(robot.address, robot.http_port)
    if status is None:
        return ApiFailure(
            f"its HTTP API at {where} does not answer",
            subject=robot.name,
            why="It is off or starting, its address changed, or http_port in the inventory is another one.",
            next=wording.find(robot),
        )
    login = " It wants a login, which ot2deploy does not have." if status in (401, 403) else ""
    failure = ApiFailure(
        f"its HTTP API answers {status} to {path.partition('?')[0]}",
        subject=robot.name,
        why=f"{f'It says: {said}. ' if said else ''}The robot server may still be starting, or is of a version that "
        f"has no such request.{login}",
        next=f"Look whether the Opentrons App can use the robot at {where}, then try again.",
    )
    failure.status = status
    return failure


def _reason(body: bytes) -> str:
    """The sentence in which a robot says what was wrong; "" where there is none."""
    try:
        said = json.loads(body)
        text = str(said["errors"][0]["detail"] if "errors" in said else said["message"])
    except (ValueError, LookupError, TypeError):
        return ""
    return " ".join(text[:300].split()).rstrip(".")


def _json(robot: Robot, path: str, body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ApiFailure(
            f"its HTTP API answers {path.partition('?')[0]} not as a robot does",
            subject=robot.name,
            next="Look at address and http_port in the inventory.",
        )
    return value


def _where(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@cache
def _fetcher() -> Fetcher:
    return Fetcher(patient=False, direct=True)
