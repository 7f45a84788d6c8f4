"""What uv is told of indexes: the text of a uv.toml for one call, and the logins beside it. Pure.

Of all the ways to name an index only a uv.toml can exempt it from an as-of date. What the lab itself keeps is meant to
be used whenever it was uploaded; the date is for what others upload. A uv.toml can be read by others while uv runs, so
logins are no part of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from builder.environment import Index
from builder.errors import UsageFailure
from builder.fetch import login_of, without_login

OLDEST = "0.11.6"  # the first uv that reads `exclude-newer` of an index; older ones pass it over without a word
NAMED = re.compile(r"([\w.-]+)=(?=[a-z]+://)")
# Any age will do, and what was uploaded a minute ago counts, whatever a web server says of its pages.
LAB = ("exclude-newer = false", 'cache-control = { api = "max-age=0" }')
LISTS = ("UV_INDEX", "UV_EXTRA_INDEX_URL")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The text of a uv.toml, and variables for the child that reads it."""

    text: str
    variables: Mapping[str, str]


def settings(indexes: Sequence[Index], outer: Mapping[str, str]) -> Settings:
    """The settings for the project's `indexes`, which come before those that the variables in `outer` name.

    Raises UsageFailure where a variable keeps uv from reading them.
    """
    if indexes and "UV_CONFIG_FILE" in outer:
        raise UsageFailure(
            "UV_CONFIG_FILE is set, and the project names indexes",
            why="uv reads the one file that it names and nothing else: it would not know the project's indexes.",
            next="Put its settings into uv's own file (~/.config/uv/uv.toml), and: unset UV_CONFIG_FILE",
        )
    tables: dict[str, str] = {}
    variables: dict[str, str] = {}
    for index, lab in [*((one, True) for one in indexes), *((one, False) for one in _of_variables(outer))]:
        name = _unused(index.name, tables)
        tables[name] = _table(name, without_login(index.url), lab=lab)
        variables |= _login(name, index.url)
    return Settings(text="\n".join([f'required-version = ">={OLDEST}"', *tables.values()]), variables=variables)


def _of_variables(outer: Mapping[str, str]) -> Iterable[Index]:
    """The user's own indexes. Those of UV_INDEX may have names, by which uv finds their logins."""
    words = [word for variable in LISTS for word in outer.get(variable, "").split()]
    for number, word in enumerate(words, 1):
        named = NAMED.match(word)
        yield Index(name=named[1] if named else f"user-{number}", url=word[named.end() :] if named else word)


def _table(name: str, url: str, *, lab: bool) -> str:
    # JSON's strings are TOML's, too
    lines = ["[[index]]", f"name = {json.dumps(name)}", f"url = {json.dumps(url, ensure_ascii=False)}"]
    return "\n".join([*lines, *(LAB if lab else ()), ""])


def _unused(name: str, taken: Iterable[str]) -> str:
    """The name as uv accepts it, and so that no other index has the same variables for its login."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._") or "index"
    variables = {_variable(other) for other in taken}
    numbered = (f"{safe}-{number}" for number in range(2, len(variables) + 3))
    return next(one for one in (safe, *numbered) if _variable(one) not in variables)


def _variable(name: str) -> str:
    return "UV_INDEX_" + re.sub(r"[^A-Z0-9]", "_", name.upper())


def _login(name: str, url: str) -> dict[str, str]:
    user, password = login_of(url) or ("", "")
    found = {"USERNAME": user, "PASSWORD": password}
    return {f"{_variable(name)}_{key}": value for key, value in found.items() if value}
