"""The settings a robot can have: each declared once, with its default, its meaning and its check."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from ot2deploy.agent.retention import FEWEST, KEEP

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
NUMBERS = re.compile(r"[0-9]+(\.[0-9]+)+", re.ASCII)  # an address, and no name
REMOTE_PATH = re.compile(r"(/[A-Za-z0-9._-]+)+", re.ASCII)  # what may stand in a remote command line
METHODS = ("pip", "tree")
KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
Value = str | int | bool | Path
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting: `check` turns what the file says (text or whole number) into its value or raises ValueError.

    `default` None means that there is none; a robot's address then is its name. `schema` is what JSON Schema can say
    of it (draft 2020-12), for editors; `check` alone decides.
    """

    check: Callable[[str | int], Value]
    default: Value | None = None
    help: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string", "minLength": 1})

    @property
    def whole_number(self) -> bool:
        """Whether its value is a whole number; all others are text, whatever it looks like."""
        return bool(self.schema["type"] == "integer")


def _text(value: str | int) -> str:
    text = str(value)
    if not text or text != text.strip() or any(ord(char) < 32 for char in text):
        raise ValueError("must be text without line breaks or space around it")
    return text


def _host(value: str | int) -> str:
    text = _text(value)
    if " " in text or text.startswith("-"):
        raise ValueError("must be a host name, an address or an alias of ~/.ssh/config")
    return text


def _port(value: str | int) -> int:
    if not isinstance(value, int) or not 1 <= value <= 65535:
        raise ValueError("must be a number from 1 to 65535")
    return value


def _user(value: str | int) -> str:
    text = _text(value)
    if not NAME.fullmatch(text):
        raise ValueError("must be a user name")
    return text


def _file(value: str | int) -> Path:
    return Path(_text(value)).expanduser()


def _address(value: str | int) -> str:
    text = _host(value)
    if text.count(":") == 1 or "@" in text:
        raise ValueError("must be the address alone; `user:` and `port:` are settings of their own")
    if ":" in text or NUMBERS.fullmatch(text):
        try:
            ip_address(text)
        except ValueError as error:
            raise ValueError(f"is no IP address: {error}") from None
    return text


def _serial(value: str | int) -> str:
    text = _text(value)
    if not NAME.fullmatch(text):  # it becomes part of a remote command
        raise ValueError("must be a serial number: letters, digits and . _ - only")
    return text


def _remote_path(value: str | int) -> str:
    text = _text(value).rstrip("/")
    if not REMOTE_PATH.fullmatch(text) or {".", ".."} & set(text.split("/")):
        raise ValueError("must be an absolute path without .., of letters, digits and . _ / - only")
    return text


def _method(value: str | int) -> str:
    if value not in METHODS:
        raise ValueError(f"must be one of {', '.join(METHODS)}")
    return str(value)


def _keep(value: str | int) -> int:
    if not isinstance(value, int) or not FEWEST <= value <= 1000:
        raise ValueError(f"must be a number from {FEWEST} (the current release and the one before) to 1000")
    return value


def _flag(value: str | int) -> bool:
    if str(value).lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return str(value).lower() == "true"


def host_key(value: str | int) -> str:
    """A public host key as "type base64" without its comment. Raises ValueError."""
    words = str(value).split()
    if len(words) < 2 or words[0] not in KEY_TYPES:
        raise ValueError(f'must be a public key as in known_hosts, "type base64"; types: {", ".join(KEY_TYPES)}')
    try:
        blob = base64.b64decode(words[1], validate=True)
    except binascii.Error:
        blob = b""
    parts = _parts(blob)
    if len(parts) < 2 or parts[0] != words[0].encode():
        raise ValueError(f"is no complete {words[0]} key (copied only in part?)")
    return f"{words[0]} {words[1]}"


def _parts(blob: bytes) -> list[bytes]:
    """The strings that a public key consists of, each after its length (RFC 4253, 6.6); none where one is cut."""
    parts = []
    while blob:
        size = int.from_bytes(blob[:4], "big")
        part, blob = blob[4 : 4 + size], blob[4 + size :]
        if len(part) != size or not size:
            return []
        parts.append(part)
    return parts


def _like(pattern: re.Pattern[str]) -> dict[str, Any]:
    """JSON Schema of text that fits a pattern whole."""
    return {"type": "string", "pattern": f"^{pattern.pattern}$"}


SETTINGS: Mapping[str, Setting] = {
    "address": Setting(
        check=_address, help="host name, IP address or alias of ~/.ssh/config; default: the robot's name"
    ),
    "port": Setting(check=_port, default=22, help="SSH port", schema=PORT),
    "user": Setting(check=_user, default="root", help="SSH user", schema=_like(NAME)),
    "identity_file": Setting(check=_file, help="private key; default: ssh agent, ~/.ssh/config and ~/.ssh"),
    "host_key": Setting(
        check=host_key,
        help='the robot\'s public host key, "type base64"',
        schema={"type": "string", "pattern": f"^({'|'.join(KEY_TYPES)})\\s+[A-Za-z0-9+/=]+"},
    ),
    "serial": Setting(
        check=_serial,
        help="the robot's serial number; one that answers with another is refused",
        schema={**_like(NAME), "type": ["string", "integer"]},
    ),
    "profile": Setting(check=_text, help="ABI profile to expect; default: what the probe finds"),
    "via": Setting(check=_host, help="jump host: a robot of this file, user@host:port, or an alias of ~/.ssh/config"),
    "root": Setting(
        check=_remote_path,
        default="",
        help="what stands before system paths (simulated robots only)",
        schema=_like(REMOTE_PATH),
    ),
    "base": Setting(
        check=_remote_path,
        default="/var/ot2deploy",
        help="where releases live on the robot",
        schema=_like(REMOTE_PATH),
    ),
    "http_port": Setting(check=_port, default=31950, help="port of the robot's HTTP API", schema=PORT),
    "install_method": Setting(
        check=_method,
        help="pip or tree; default: the environment's choice, else pip",
        schema={"type": "string", "enum": list(METHODS)},
    ),
    "signers": Setting(
        check=_file, help="file of those whose signatures of bundles count: ssh-keygen's ALLOWED SIGNERS"
    ),
    "signed": Setting(
        check=_flag,
        help="true: only bundles that one of `signers` has signed are pushed to it",
        schema={"type": "boolean"},
    ),
    "keep_releases": Setting(
        check=_keep,
        default=KEEP,
        help="how many releases of each environment stay on the robot after a push",
        schema={"type": "integer", "minimum": FEWEST, "maximum": 1000},
    ),
}
