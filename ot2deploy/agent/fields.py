"""A request's fields, read with their types and forms. What passes here may become a path."""

from __future__ import annotations

import os
import re

from ot2deploy.agent.refusal import bad_request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Request = Mapping[str, Any]

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
DIGEST = re.compile(r"[0-9a-f]{64}")
FILENAME = {
    "wheels": re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!]*-[A-Za-z0-9._+!-]{1,200}\.whl"),
    "packs": re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!-]{0,240}\.tar(\.gz)?"),
}
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LARGEST = 1 << 40


def text(request: Request, field: str, default: str | None = None, limit: int = 1000) -> str:
    """A string of at most `limit` characters without control characters."""
    value = request.get(field, default)
    if not isinstance(value, str) or len(value) > limit or any(ord(one) < 32 for one in value) or not is_word(value):
        raise bad_request("field %s is not a text" % field)
    return value


def flag(request: Request, field: str) -> bool:
    """A boolean, false when it is left out."""
    value = request.get(field, False)
    if not isinstance(value, bool):
        raise bad_request("field %s is not true or false" % field)
    return value


def number(request: Request, field: str) -> int:
    """A count of bytes or things."""
    value = request.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST:
        raise bad_request("field %s is not a number in range" % field)
    return value


def choice(request: Request, field: str, words: Sequence[str]) -> str:
    """One of some words; the first when it is left out."""
    value = request.get(field, words[0])
    if not isinstance(value, str) or value not in words:
        raise bad_request("field %s is none of %s" % (field, ", ".join(words)))
    return value


def environment(request: Request) -> str:
    """An environment's name: `[a-z0-9][a-z0-9._-]*`."""
    return _matching(request, "environment", NAME)


def digest(request: Request, field: str = "digest") -> str:
    """A sha256 in lower-case hexadecimal."""
    return _matching(request, field, DIGEST)


def kind(request: Request) -> str:
    """`wheels` or `packs`."""
    value = request.get("kind")
    if not isinstance(value, str) or value not in FILENAME:
        raise bad_request("field kind is neither wheels nor packs")
    return value


def filename(request: Request, blob_kind: str) -> str:
    """A blob's file name, which cannot leave its directory."""
    return _matching(request, "filename", FILENAME[blob_kind])


def items(request: Request, field: str) -> list[dict[str, Any]]:
    """A list of objects."""
    value = request.get(field)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise bad_request("field %s is not a list of objects" % field)
    return value


def mapping(request: Request, field: str) -> dict[str, Any]:
    """An object."""
    value = request.get(field)
    if not isinstance(value, dict):
        raise bad_request("field %s is not an object" % field)
    return value


def variables(request: Request) -> dict[str, str]:
    """Environment variables, which may be left out."""
    value = request.get("variables") or {}
    if not isinstance(value, dict):
        raise bad_request("field variables is not an object")
    for name, content in value.items():
        if not VARIABLE.fullmatch(name) or not isinstance(content, str) or not is_word(content):
            raise bad_request("variables has an entry that is not NAME: text")
    return value


def directory(request: Request, field: str, default: str) -> str:
    """An absolute directory in normal form, or "" where the default is that."""
    value = request.get(field, default)
    if not isinstance(value, str) or not is_word(value) or len(value) > 2000:
        raise bad_request("field %s is not a path" % field)
    if value == "" and default == "":
        return value
    parts = value.split("/")
    if parts[0] != "" or len(parts) < 2 or any(part in ("", ".", "..") for part in parts[1:]):
        raise bad_request("field %s is not an absolute path in normal form" % field)
    return value


def is_word(value: str) -> bool:
    """Whether a string can be a path or a word of a command: JSON's may have half characters, and zero bytes."""
    try:
        return b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def _matching(request: Request, field: str, pattern: re.Pattern[str]) -> str:
    value = request.get(field)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise bad_request("field %s has an unsafe or missing value" % field)
    return value
