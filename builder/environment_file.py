"""`environment.yaml`: read with line numbers, every problem at once."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement

from builder.environment import NAME, TIMEOUTS, Check, Environment, Index
from builder.errors import ConfigFailure
from builder.fetch import login_of

FILE = "environment.yaml"
KEYS = (
    "requirements", "constraints", "as_of", "python", "indexes", "checks", "variables", "system_packages",
    "install_method",
)  # fmt: skip
METHODS = ("pip", "tree")
T = TypeVar("T")
PINNED = re.compile(r"#(?:.*&)?sha256=[0-9a-f]{64}$")


def load(path: Path, *, name: str = "") -> Environment:
    """The environment in a file, named after its directory. Raises ConfigFailure with every problem as file:line."""
    name = name or path.parent.name
    reader = _Reader(path)
    if not NAME.fullmatch(name):
        reader.problem(1, "", f"the directory's name {name!r} cannot be an environment's; use a-z 0-9 . _ -")
    environment = reader.environment(name)
    reader.finish()
    return environment


class _Reader:
    """One pass over a file: values out, problems collected."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[tuple[int, str]] = []

    def problem(self, line: int, key: str, text: str) -> None:
        self.problems.append((line, f"{self.path}:{line}: {key + ': ' if key else ''}{text}"))

    def finish(self) -> None:
        if self.problems:
            count = len(self.problems)
            raise ConfigFailure(
                f"{self.path} has {count} problem{'s' if count > 1 else ''}",
                details=tuple(text for _, text in sorted(self.problems)),
            )

    def environment(self, name: str) -> Environment:
        data = self._document()
        if not data:
            return Environment(name=name)
        self._known(data, KEYS, "")
        requirements, local = self._requirements(data)
        checks = self._mapping(data, "checks", ("quick", "deep"))
        return Environment(
            name=name,
            requirements=requirements,
            local=local,
            constraints=tuple(self._list(data, "constraints", self._requirement)),
            as_of=self._date(data),
            indexes=tuple(self._list(data, "indexes", self._index)),
            python=self._python(data),
            quick=self._checks(checks, "quick"),
            deep=self._checks(checks, "deep"),
            variables=self._variables(data),
            system_packages=self._scalar(data, "system_packages", bool, False),
            install_method=self._method(data),
            path=self.path,
        )

    def _document(self) -> Any:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        try:
            data = YAML(typ="rt").load(self.path.read_text(encoding="utf-8"))
        except MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            self.problem(line, "", f"not YAML: {(error.problem or str(error)).splitlines()[0]}")
            return None
        except (YAMLError, UnicodeDecodeError) as error:
            self.problem(1, "", f"not YAML: {error}")
            return None
        except OSError as error:
            raise ConfigFailure(f"cannot read {self.path}: {error.strerror}") from error
        if not isinstance(data, dict):
            self.problem(1, "", "must hold keys and values, beginning with `requirements:`")
            return None
        return data

    def _known(self, data: Any, keys: tuple[str, ...], where: str) -> None:
        for key in data:
            if key not in keys:
                close = get_close_matches(str(key), keys, 1)
                hint = f"; did you mean {close[0]}?" if close else f"; known keys: {', '.join(keys)}"
                self.problem(_line(data, key), f"{where}{key}", f"unknown key{hint}")

    def _mapping(self, data: Any, key: str, keys: tuple[str, ...] = ()) -> Any:
        value = data.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.problem(_line(data, key), key, f"must hold keys and values{': ' + ', '.join(keys) if keys else ''}")
            return {}
        if keys:
            self._known(value, keys, f"{key}.")
        return value

    def _items(self, data: Any, key: str, where: str) -> Iterator[tuple[int, str, Any]]:
        value: Any = data.get(key)
        if value is None:
            return
        if not isinstance(value, list):
            self.problem(_line(data, key), where, "must be a list")
            return
        lines: Any = getattr(value, "lc")  # noqa: B009  # ruamel's lists know where their items stand
        for number, item in enumerate(value):
            yield lines.item(number)[0] + 1, f"{where}[{number}]", item

    def _list(self, data: Any, key: str, parse: Callable[[int, str, Any], T | None]) -> Iterator[T]:
        for line, where, item in self._items(data, key, key):
            parsed = parse(line, where, item)
            if parsed is not None:
                yield parsed

    def _scalar(self, data: Any, key: str, kind: type[T], default: T) -> T:
        value = data.get(key, default)
        if not isinstance(value, kind):
            self.problem(_line(data, key), key, f"must be {'true or false' if kind is bool else 'text'}")
            return default
        return value

    def _requirements(self, data: Any) -> tuple[tuple[str, ...], tuple[Path, ...]]:
        named: list[str] = []
        local: list[Path] = []
        if not data.get("requirements"):
            self.problem(_line(data, "requirements"), "requirements", "at least one is needed")
        for line, where, item in self._items(data, "requirements", "requirements"):
            if isinstance(item, str) and item.startswith(("./", "../", "/")):
                path = (self.path.parent / item).resolve()
                if not path.exists():
                    self.problem(line, where, f"{item} does not exist beside this file")
                local.append(path)
            elif parsed := self._requirement(line, where, item):
                named.append(parsed)
        return tuple(named), tuple(local)

    def _requirement(self, line: int, where: str, item: Any) -> str | None:
        try:
            requirement = Requirement(item if isinstance(item, str) else "")
        except InvalidRequirement as error:
            self.problem(line, where, f"{item!r} is not a requirement: {str(error).splitlines()[0]}")
            return None
        if requirement.url and not PINNED.search(requirement.url):
            self.problem(line, where, f"{requirement.name}: a URL needs #sha256=<64 hexadecimal digits> at its end")
            return None
        if requirement.url and login_of(requirement.url):
            hint = "put them into ~/.netrc: a lock and a release keep the URL"
            self.problem(line, where, f"{requirement.name}: a URL must not hold a user name or password; {hint}")
            return None
        return str(requirement)

    def _date(self, data: Any) -> str | None:
        value = data.get("as_of")
        if value is None:
            return None
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            try:
                value = datetime.date.fromisoformat(value)
            except ValueError as error:
                self.problem(_line(data, "as_of"), "as_of", str(error))
                return None
        if type(value) is not datetime.date:
            self.problem(_line(data, "as_of"), "as_of", "must be a date such as 2025-04-20")
            return None
        return str(value.isoformat())

    def _python(self, data: Any) -> str:
        value = data.get("python", Environment(name="x").python)
        if not isinstance(value, str) or not re.fullmatch(r"3\.\d{1,2}", value):
            hint = " (in quotes: YAML reads 3.10 as 3.1)" if isinstance(value, float) else ""
            self.problem(_line(data, "python"), "python", f'must be a version such as "3.10"{hint}')
            return "3.10"
        return str(value)

    def _index(self, line: int, where: str, item: Any) -> Index | None:
        if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in ("name", "url")):
            self.problem(line, where, "an index is {name: ..., url: ...}")
            return None
        self._known(item, ("name", "url"), f"{where}.")
        url = item["url"]
        if urlsplit(url).scheme not in ("http", "https", "file"):
            path = (self.path.parent / url).resolve()
            if "://" in url or not path.is_dir():
                self.problem(line, where, f"{url} is neither an http(s) or file URL nor a directory")
                return None
            url = path.as_uri()
        return Index(name=item["name"], url=url)

    def _variables(self, data: Any) -> dict[str, str]:
        found = {}
        given = self._mapping(data, "variables")
        for key, value in given.items():
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(key)) or not isinstance(value, str):
                self.problem(_line(given, key), f"variables.{key}", "must be NAME: text (numbers and true in quotes)")
                continue
            found[str(key)] = str(value)
        return found

    def _method(self, data: Any) -> str | None:
        value = data.get("install_method")
        if value is not None and value not in METHODS:
            self.problem(_line(data, "install_method"), "install_method", f"must be one of {', '.join(METHODS)}")
            return None
        return None if value is None else str(value)

    def _checks(self, data: Any, depth: str) -> tuple[Check, ...] | None:
        if data.get(depth) is None:
            return None
        checks = [self._check(*item) for item in self._items(data, depth, f"checks.{depth}")]
        return tuple(check for check in checks if check)

    def _check(self, line: int, where: str, item: Any) -> Check | None:
        kinds = [kind for kind in TIMEOUTS if isinstance(item, dict) and kind in item]
        if len(kinds) != 1:
            self.problem(line, where, "a check is one of `import: module`, `run: [program, argument]`, `program: file`")
            return None
        (kind,) = kinds
        before = len(self.problems)
        self._known(item, (kind, "name", "timeout", *(("expect",) if kind == "run" else ())), f"{where}.")
        timeout = item.get("timeout", TIMEOUTS[kind])
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout <= 0:
            self.problem(line, f"{where}.timeout", "must be a number of seconds")
        fields = {"import": self._import, "run": self._run, "program": self._program}[kind](line, where, item)
        if len(self.problems) > before:
            return None
        return Check(kind=kind, timeout=float(timeout), **{**fields, "name": str(item.get("name") or fields["name"])})

    def _import(self, line: int, where: str, item: Any) -> dict[str, Any]:
        module = item["import"]
        if not isinstance(module, str) or not all(part.isidentifier() for part in module.split(".")):
            self.problem(line, where, f"{module!r} is not a module name")
        return {"name": f"import {module}", "module": module}

    def _run(self, line: int, where: str, item: Any) -> dict[str, Any]:
        argv, expect = item["run"], item.get("expect")
        if not isinstance(argv, list) or not argv or not all(isinstance(word, str) for word in argv):
            self.problem(line, where, "write the command as a list of texts: run: [prefect, version]")
            return {"name": ""}
        try:
            re.compile(expect or "")
        except (re.error, TypeError) as error:
            self.problem(line, f"{where}.expect", f"not a regular expression: {error}")
        words = tuple(str(word) for word in argv)
        return {"name": " ".join(words), "argv": words, "expect": None if expect is None else str(expect)}

    def _program(self, line: int, where: str, item: Any) -> dict[str, Any]:
        path = self.path.parent / str(item["program"])
        try:
            source = path.read_text(encoding="utf-8")
            compile(source, str(path), "exec")
        except (OSError, ValueError) as error:  # ValueError: no text, or a zero byte in it
            self.problem(line, where, f"cannot read {item['program']} beside this file: {error}")
        except SyntaxError as error:
            self.problem(line, where, f"{item['program']} is not Python: {error}")
        else:
            return {"name": path.stem, "source": source}
        return {"name": path.stem}


def _line(data: Any, key: str) -> int:
    try:
        return int(data.lc.key(key)[0]) + 1
    except (KeyError, AttributeError, TypeError):
        return 1
