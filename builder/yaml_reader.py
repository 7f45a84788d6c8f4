"""Files of keys and values that people write: read with line numbers, every problem at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from builder.errors import ConfigFailure

T = TypeVar("T")


class Reader:
    """One pass over a file: values out, problems collected."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[tuple[int, str]] = []

    def problem(self, line: int, key: str, text: str) -> None:
        """Notes a problem of a key; reading goes on."""
        self.problems.append((line, f"{self.path}:{line}: {key + ': ' if key else ''}{text}"))

    def finish(self) -> None:
        """Raises ConfigFailure with every problem as file:line, if there is any."""
        if self.problems:
            count = len(self.problems)
            raise ConfigFailure(
                f"{self.path} has {count} problem{'s' if count > 1 else ''}",
                details=tuple(text for _, text in sorted(self.problems)),
            )

    def document(self, *, first: str, may_be_empty: bool = False) -> Any:
        """The file's keys and values, or None where there are none; `first` is the key that one begins with.

        Raises ConfigFailure where it cannot be read.
        """
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
        if data is None and may_be_empty:
            return None
        if not isinstance(data, dict):
            self.problem(1, "", f"must hold keys and values, beginning with `{first}:`")
            return None
        return data

    def known(self, data: Any, keys: tuple[str, ...], where: str) -> None:
        """Notes every key that is none of `keys`, with the one that may be meant."""
        for key in data:
            if key not in keys:
                close = get_close_matches(str(key), keys, 1)
                hint = f"; did you mean {close[0]}?" if close else f"; known keys: {', '.join(keys)}"
                self.problem(line_of(data, key), f"{where}{key}", f"unknown key{hint}")

    def mapping(self, data: Any, key: str, keys: tuple[str, ...] = ()) -> Any:
        """The keys and values below a key, empty where it is not there."""
        value = data.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.problem(line_of(data, key), key, f"must hold keys and values{': ' + ', '.join(keys) if keys else ''}")
            return {}
        if keys:
            self.known(value, keys, f"{key}.")
        return value

    def items(self, data: Any, key: str, where: str) -> Iterator[tuple[int, str, Any]]:
        """The items of the list below a key: line, where[number], item."""
        value: Any = data.get(key)
        if value is None:
            return
        if not isinstance(value, list):
            self.problem(line_of(data, key), where, "must be a list")
            return
        lines: Any = getattr(value, "lc")  # noqa: B009  # ruamel's lists know where their items stand
        for number, item in enumerate(value):
            yield lines.item(number)[0] + 1, f"{where}[{number}]", item

    def each(self, data: Any, key: str, parse: Callable[[int, str, Any], T | None]) -> Iterator[T]:
        """The items of a list as `parse` makes them of line, where and item; it notes problems and gives None then."""
        for line, where, item in self.items(data, key, key):
            parsed = parse(line, where, item)
            if parsed is not None:
                yield parsed

    def scalar(self, data: Any, key: str, kind: type[T], default: T) -> T:
        """The single value of a key."""
        value = data.get(key, default)
        if not isinstance(value, kind):
            self.problem(line_of(data, key), key, f"must be {'true or false' if kind is bool else 'text'}")
            return default
        return value

    def schema(self, data: Any, known: int) -> None:
        """Notes a `schema` that is not the one we know; a file may leave it out."""
        value = data.get("schema", known)
        if value != known:
            newer = isinstance(value, int) and value > known
            hint = "it was written for a newer ot2deploy" if newer else f"must be {known}"
            self.problem(line_of(data, "schema"), "schema", hint)


def line_of(data: Any, key: str) -> int:
    """The line of a key in what ruamel read, 1 where it does not know."""
    try:
        return int(data.lc.key(key)[0]) + 1
    except (KeyError, AttributeError, TypeError):
        return 1
