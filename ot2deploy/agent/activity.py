"""What the robot is doing, seen from itself: its own HTTP API is asked, and an update session's files are looked for.

A request of the agent; also a script on the stdin of `python3 -I -`, so it imports nothing of ours.
"""

from __future__ import annotations

import http.client
import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

UPDATES = "/var/lib/otupdate/downloads"  # where update-server puts what it is sent
BOOT = "/proc/1"
TIMEOUT = 10.0  # seconds
MOST = 1 << 20  # bytes


def look(root: str, port: int, paths: Sequence[str]) -> dict[str, Any]:
    """`answers` are status and body of a GET of each path, [0, why] where nothing answers; `updating` names files."""
    return {"answers": [get(port, path) for path in paths], "updating": updating(root + UPDATES)}


def get(port: int, path: str) -> list[Any]:
    """Status and body of a GET."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.request("GET", path, headers={"Opentrons-Version": "*"})
        answer = connection.getresponse()
        return [answer.status, answer.read(MOST).decode("utf-8", "replace")]
    except (OSError, OverflowError, http.client.HTTPException) as error:
        return [0, str(error) or type(error).__name__]
    finally:
        connection.close()


def updating(directory: str) -> list[str]:
    """The files of an update session. Those older than this boot are none: a restart ends it, and may leave them."""
    try:
        booted = os.stat(BOOT).st_mtime
        names = sorted(os.listdir(directory))
        return [name for name in names if os.stat(os.path.join(directory, name)).st_mtime > booted]
    except OSError:
        return []


def main(root: str, port: int, paths: Sequence[str]) -> None:
    """Prints what `look` finds, as one line of JSON."""
    print(json.dumps(look(root, port, paths)))
