"""`environment.yaml`: read with line numbers, every problem at once."""

from __future__ import annotations

import datetime
import re
from functools import partial
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement

from builder.environment import NAME, TIMEOUTS, Check, Environment, parsed
from builder.fetch import login_of
from builder.index_entries import index_of
from builder.yaml_reader import Reader, line_of

FILE = "environment.yaml"
KEYS = (
    "requirements", "constraints", "as_of", "python", "indexes", "checks", "variables", "system_packages",
    "install_method",
)  # fmt: skip
METHODS = ("pip", "tree")
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


class _Reader(Reader):
    """One pass over an environment's file."""

    def environment(self, name: str) -> Environment:
        data = self.document(first="requirements")
        if not data:
            return Environment(name=name)
        self.known(data, KEYS, "")
        requirements, local = self._requirements(data)
        checks = self.mapping(data, "checks", ("quick", "deep", "live"))
        return Environment(
            name=name,
            requirements=requirements,
            local=local,
            constraints=tuple(self.each(data, "constraints", self._requirement)),
            as_of=self._date(data),
            indexes=tuple(self.each(data, "indexes", partial(index_of, self))),
            python=self._python(data),
            quick=self._checks(checks, "quick"),
            deep=self._checks(checks, "deep"),
            live=self._checks(checks, "live"),
            variables=self._variables(data),
            system_packages=self.scalar(data, "system_packages", bool, False),
            install_method=self._method(data),
            path=self.path,
        )

    def _requirements(self, data: Any) -> tuple[tuple[str, ...], tuple[Path, ...]]:
        named: list[str] = []
        local: list[Path] = []
        if not data.get("requirements"):
            self.problem(line_of(data, "requirements"), "requirements", "at least one is needed")
        for line, where, item in self.items(data, "requirements", "requirements"):
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
            requirement = parsed(item if isinstance(item, str) else "")
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
                self.problem(line_of(data, "as_of"), "as_of", str(error))
                return None
        if type(value) is not datetime.date:
            self.problem(line_of(data, "as_of"), "as_of", "must be a date such as 2025-04-20")
            return None
        return str(value.isoformat())

    def _python(self, data: Any) -> str:
        value = data.get("python", Environment(name="x").python)
        if not isinstance(value, str) or not re.fullmatch(r"3\.\d{1,2}", value):
            hint = " (in quotes: YAML reads 3.10 as 3.1)" if isinstance(value, float) else ""
            self.problem(line_of(data, "python"), "python", f'must be a version such as "3.10"{hint}')
            return "3.10"
        return str(value)

    def _variables(self, data: Any) -> dict[str, str]:
        found = {}
        given = self.mapping(data, "variables")
        for key, value in given.items():
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(key)) or not isinstance(value, str):
                self.problem(line_of(given, key), f"variables.{key}", "must be NAME: text (numbers and true in quotes)")
                continue
            found[str(key)] = str(value)
        return found

    def _method(self, data: Any) -> str | None:
        value = data.get("install_method")
        if value is not None and value not in METHODS:
            self.problem(line_of(data, "install_method"), "install_method", f"must be one of {', '.join(METHODS)}")
            return None
        return None if value is None else str(value)

    def _checks(self, data: Any, depth: str) -> tuple[Check, ...] | None:
        if data.get(depth) is None:
            return None
        checks = [self._check(*item) for item in self.items(data, depth, f"checks.{depth}")]
        return tuple(check for check in checks if check)

    def _check(self, line: int, where: str, item: Any) -> Check | None:
        kinds = [kind for kind in TIMEOUTS if isinstance(item, dict) and kind in item]
        if len(kinds) != 1:
            self.problem(line, where, "a check is one of `import: module`, `run: [program, argument]`, `program: file`")
            return None
        (kind,) = kinds
        before = len(self.problems)
        self.known(item, (kind, "name", "timeout", *(("expect",) if kind == "run" else ())), f"{where}.")
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
