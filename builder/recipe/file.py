"""`build.py`: executed in a namespace of its own, its calls recorded, every problem told with its line."""

from __future__ import annotations

import ast
import datetime
import inspect
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any, get_args
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement

from builder import profile
from builder.environment import Check
from builder.errors import ConfigFailure, Failure
from builder.package_build import Call, build_package, recording
from builder.source import Archive, DebianSource, GitSource, IndexSdist, LocalSource, Source
from builder.toolchain.sysroot import LIBRARIES

REQUIREMENTS = ("build_dependencies", "constraints", "requires", "headers_of")
LISTS = (*REQUIREMENTS, "setup_py_commands", "libraries", "cflags", "ldflags", "patches", "native", "build_paths")
TABLES = ("env", "config_settings")
ADDED = ("build_dependencies", "constraints", "libraries", "headers_of", "cflags", "ldflags", "patches", "checks")
FOR_PROFILES = (*ADDED, *TABLES)  # what `profiles` may add to: lists are appended, tables laid over
SHA256, COMMIT = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")
DEBIAN = re.compile(r"[a-z0-9][a-z0-9+.-]+"), re.compile(r"[0-9][A-Za-z0-9.+~:-]*")


def calls(file: Path) -> list[Call]:
    """The calls that a recipe makes, in order. Raises ConfigFailure with file and line of what goes wrong."""
    code = compile(_parse(file), str(file), "exec")
    with recording() as made:
        try:
            exec(code, {"__name__": "recipe", "__file__": str(file)})
        except (Exception, SystemExit) as error:
            lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
            said = error.what if isinstance(error, Failure) else f"{type(error).__name__}: {error}"
            raise ConfigFailure(
                f"{file}:{lines[-1] if lines else 1}: {said}",
                next=f"build_package takes: {', '.join(inspect.signature(build_package).parameters)}",
            ) from error
    return made


def values(call: Call, file: Path) -> dict[str, Any]:
    """What a call gave, as the fields of a Recipe. Raises ConfigFailure with every problem as file:line."""
    reader = _Reader(file=file, node=call_node(_parse(file), call.line))
    found = reader.values(call)
    if reader.problems:
        texts = tuple(text for _, text in sorted([*reader.problems, *reader.doubts]))
        if len(texts) == 1:
            raise ConfigFailure(texts[0])
        raise ConfigFailure(f"{file}: {len(texts)} things are wrong", details=texts)
    return found


def call_node(tree: ast.Module, line: int) -> ast.Call | None:
    """The call in a recipe's syntax tree that was made in a line: where its keywords stand."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.lineno == line]
    return found[0] if found else None


def _parse(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_text(encoding="utf-8"), str(file))
    except OSError as error:
        raise ConfigFailure(f"{file}: {error.strerror or error}") from error
    except (SyntaxError, ValueError) as error:
        raise ConfigFailure(f"{file}:{getattr(error, 'lineno', None) or 1}: {error}") from error


@dataclass(kw_only=True)
class _Reader:
    """One pass over a call: values out, problems collected with the line of the keyword or the item.

    `doubts` are no problems by themselves: the name of a profile may be another computer's own. Where there is a
    problem they are told with it, so that all is mended at once.
    """

    file: Path
    node: ast.Call | None
    problems: list[tuple[int, str]] = field(default_factory=list)
    doubts: list[tuple[int, str]] = field(default_factory=list)

    def values(self, call: Call) -> dict[str, Any]:
        given = dict(call.given)
        if not given:  # refuse_package
            return {}
        self._source(call.source)
        profiles = given.pop("profiles") or {}
        if not isinstance(profiles, Mapping) or not all(isinstance(table, Mapping) for table in profiles.values()):
            self._problem("profiles", f"must give each profile's name a table, not {profiles!r}")
            profiles = {}
        found = self._table(given)
        if found.get("build_paths") and not found.get("reason"):
            self._problem("build_paths", "build_paths needs a reason: it says why the path cannot be kept out")
        return {**found, "profiles": {name: self._of_profile(name, profiles[name]) for name in profiles}}

    def _of_profile(self, profile: str, given: Mapping[str, Any]) -> dict[str, Any]:
        if wrong := unknown_profile(str(profile)):
            line = _line(self.node, "profiles", profile)
            self.doubts.append((line, f"{self.file}:{line}: {wrong}"))
        for key in given:
            if key not in FOR_PROFILES:
                close = get_close_matches(str(key), FOR_PROFILES, 1)
                hint = f"did you mean {close[0]}?" if close else f"a profile takes: {', '.join(FOR_PROFILES)}"
                self._problem("profiles", f"{profile}: {key}: {hint}", item=key)
        return self._table({key: value for key, value in given.items() if key in FOR_PROFILES}, where="profiles")

    def _table(self, given: Mapping[str, Any], *, where: str = "") -> dict[str, Any]:
        readers: dict[str, Callable[[str, Any, str], Any]] = {
            **dict.fromkeys(LISTS, self._texts),
            **dict.fromkeys(TABLES, self._named),
            "as_of": self._date,
            "checks": self._checks,
            "revision": self._number,
            "reason": self._text,
        }
        return {key: readers[key](key, value, where or key) for key, value in given.items()}

    def _texts(self, name: str, value: Any, where: str) -> tuple[str, ...] | None:
        if name in ("native", "headers_of") and value is None:
            return None
        # A single text would be taken for a list of its letters.
        listed = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
        texts = tuple(value) if listed else ()
        if not (listed or value is None) or not all(isinstance(text, str) for text in texts):
            self._problem(where, f"{name} must be a list of texts, not {value!r}", item=name)
            return ()
        for text in texts:
            if name in REQUIREMENTS and not _is_requirement(text):
                self._problem(where, f"{name}: {text!r} is not a requirement", item=text)
            if name == "libraries" and text not in LIBRARIES:
                self._problem(where, f"there is no library {text}{_meant(text, sorted(LIBRARIES))}", item=text)
            if name == "patches" and not (_is_below(text) and (self.file.parent / text).is_file()):
                self._problem(where, f"patches: there is no file {text!r} beside the recipe", item=text)
        return texts

    def _named(self, name: str, value: Any, where: str) -> dict[str, str]:
        given = value or {}
        if not isinstance(given, Mapping) or not all(isinstance(text, str) for pair in given.items() for text in pair):
            self._problem(where, f"{name} must give each name a text, not {value!r}", item=name)
            return {}
        return dict(given)

    def _date(self, name: str, value: Any, where: str) -> str | None:
        try:
            return None if value is None else datetime.date.fromisoformat(value).isoformat()
        except (TypeError, ValueError):
            self._problem(where, f"{name}: {value!r} is not a date, YYYY-MM-DD")
            return None

    def _checks(self, name: str, value: Any, where: str) -> tuple[Check, ...]:
        found = []
        if not isinstance(value, list | tuple):
            self._problem(where, f"{name} must be a list of checks, not {value!r}")
            return ()
        for check in value:
            try:
                made = Check(**{**check, "timeout": float(check["timeout"]), "argv": tuple(check.get("argv", ()))})
                made.as_dict()
                found.append(made)
            except (TypeError, ValueError, KeyError, AttributeError) as error:
                self._problem(where, f"{name}: {check!r} is not a check: {error}")
        return tuple(found)

    def _number(self, name: str, value: Any, where: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self._problem(where, f"{name}: {value!r} is not a whole number")
            return 0
        return value

    def _text(self, name: str, value: Any, where: str) -> str:
        if not isinstance(value, str):
            self._problem(where, f"{name} must be a text, not {value!r}")
            return ""
        return " ".join(value.split())

    def _source(self, source: Any) -> None:
        if source is None:
            return
        if not isinstance(source, get_args(Source)):
            self._problem("source", f"source must be made by one of package_build's functions, not {source!r}")
            return
        for text in _wrong_in(source):
            self._problem("source", f"source: {text}")
        if isinstance(source, LocalSource) and not (
            _is_below(source.path) and (self.file.parent / source.path).is_dir()
        ):
            self._problem("source", f"source: there is no directory {source.path!r} beside the recipe")

    def _problem(self, keyword: str, text: str, *, item: str | None = None) -> None:
        line = _line(self.node, keyword, item)
        self.problems.append((line, f"{self.file}:{line}: {text}"))


def unknown_profile(name: str) -> str | None:
    """What to say of a profile that is not shipped, which may be meant; None where it is one."""
    known = profile.names()
    return None if name in known else f"there is no profile {name}{_meant(name, known)}"


def _meant(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, 1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"


def _wrong_in(source: Source) -> Iterator[str]:
    sha256 = getattr(source, "sha256", None)
    if sha256 is not None and not SHA256.fullmatch(str(sha256)):
        yield f"{sha256!r} is no sha256: 64 digits 0-9 a-f"
    if isinstance(source, GitSource) and urlsplit(source.url).scheme not in ("https", "http", "ssh", "git", "file"):
        yield f"{source.url!r} is no URL that git knows: https, ssh, git or file"
    if isinstance(source, GitSource) and not COMMIT.fullmatch(source.commit):
        yield f"{source.commit!r} is no commit: all 40 digits 0-9 a-f, because a branch or a tag may move"
    if isinstance(source, Archive):
        wrong = [url for url in source.urls if urlsplit(url).scheme not in ("http", "https", "file")]
        if wrong or not source.urls:
            yield f"{wrong[0]!r} is no http, https or file URL" if wrong else "an archive needs a URL"
        elif not source.filename:
            yield f"{source.urls[0]!r} names no file"
    if isinstance(source, DebianSource):
        for pattern, text in zip(DEBIAN, (source.package, source.version), strict=True):
            if not pattern.fullmatch(text):
                yield f"{text!r} cannot be of a Debian source package"
    if not isinstance(source, LocalSource | IndexSdist) and source.path is not None and not _is_below(source.path):
        yield f"path {source.path!r} must lie in the source's directory"


def _is_below(text: str) -> bool:
    path = PurePosixPath(text)
    return not path.is_absolute() and ".." not in path.parts


def _is_requirement(text: str) -> bool:
    try:
        Requirement(text)
    except InvalidRequirement:
        return False
    return True


def _line(node: ast.Call | None, keyword: str, item: str | None) -> int:
    """The line of a keyword's value, or of one item in it; that of the call where it is not written out."""
    if node is None:
        return 1
    names = list(inspect.signature(build_package).parameters)
    written: dict[str | None, ast.expr] = dict(zip(names, node.args, strict=False))
    written |= {word.arg: word.value for word in node.keywords}
    value = written.get(keyword)
    if value is None:
        return node.lineno
    texts = [one for one in ast.walk(value) if isinstance(one, ast.Constant) and item is not None and one.value == item]
    return texts[0].lineno if texts else value.lineno
