"""Indexes as people name them: {name, url} in a file, or URLs in a variable of the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from builder.environment import PROFILE, Index
from builder.errors import UsageFailure
from builder.fetch import public, split
from builder.yaml_reader import Reader

VARIABLE = "OT2DEPLOY_INDEX"


def index_of(reader: Reader, line: int, where: str, item: Any) -> Index | None:
    """An item of a file's `indexes`; its problems are noted in the reader."""
    if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in ("name", "url")):
        reader.problem(line, where, "an index is {name: ..., url: ...}")
        return None
    reader.known(item, ("name", "url"), f"{where}.")
    try:
        return Index(name=item["name"], url=address(item["url"], reader.path.parent), said=f"{reader.path}:{line}")
    except ValueError as error:
        reader.problem(line, where, str(error))
        return None


def of_variable(outer: Mapping[str, str]) -> tuple[Index, ...]:
    """The indexes that OT2DEPLOY_INDEX names, with spaces between them: "env", "env-2" ... Raises UsageFailure."""
    found, wrong = [], []
    for number, text in enumerate(outer.get(VARIABLE, "").split(), 1):
        try:
            url = address(text, Path.cwd())
        except ValueError as error:
            wrong.append(str(error))
            continue
        found.append(Index(name="env" if number == 1 else f"env-{number}", url=url, said=VARIABLE))
    if wrong:
        raise UsageFailure(
            f"{VARIABLE} names what is no index", details=tuple(wrong), next=f"Set it to a URL, or: unset {VARIABLE}"
        )
    return tuple(found)


def address(text: str, base: Path) -> str:
    """The URL that a text means; a directory is relative to `base`. Raises ValueError with what is wrong."""
    try:
        scheme = split(text).scheme
    except UsageFailure as failure:
        raise ValueError(failure.what) from None
    _placeholders(text)
    if scheme in ("http", "https", "file"):
        return text
    path = (base / text).resolve()
    if "://" in text or not Path(str(path).partition(PROFILE)[0]).is_dir():
        raise ValueError(f"{public(text)} is neither an http(s) or file URL nor a directory")
    return path.as_uri().replace(quote(PROFILE), PROFILE)


def _placeholders(text: str) -> None:
    """Raises ValueError for braces that are no {profile}, or stand where it can mean nothing."""
    braces = re.findall(r"\{[^{}]*\}?|\}", text.rpartition("@")[2])
    if wrong := [one for one in braces if one != PROFILE]:
        raise ValueError(f"{public(text)}: {wrong[0]} is no placeholder; there is one, {PROFILE}")
    if braces and PROFILE not in urlsplit(text).path.split("/"):
        raise ValueError(f"{public(text)}: {PROFILE} must be a whole part of the path, as in URL/{PROFILE}/simple")
