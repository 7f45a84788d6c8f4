"""`known-failures.yaml`: checks that are known to fail, each with its reason, so that only what is new counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from builder.counted import counted
from builder.errors import ConfigFailure
from builder.files import canonical_json

FILE = "known-failures.yaml"
KEYS = ("check", "reason", "profile")
EXAMPLE = "a list of entries such as: {check: import demo._speed, reason: needs a newer libfoo}"


@dataclass(frozen=True, kw_only=True)
class Known:
    """Checks whose name matches `check` (a glob) may fail, for `reason`; with `profile` on that one alone.

    `origin` is file:line.
    """

    check: str
    reason: str
    profile: str = ""
    origin: str = ""

    def covers(self, name: str, profiles: Iterable[str]) -> bool:
        """Whether a check that runs for a profile (by any of its names) is meant."""
        return fnmatchcase(name, self.check) and self.profile in ("", *profiles)


def load(path: Path) -> tuple[Known, ...]:
    """The entries of a file. Raises ConfigFailure with every problem as file:line."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigFailure(f"cannot read {path}: {error.strerror}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigFailure(f"{path} is not YAML", details=tuple(str(error).splitlines())) from error
    if data is None:
        return ()
    if not hasattr(data, "lc") or isinstance(data, dict):
        raise ConfigFailure(f"{path}:1: must be {EXAMPLE}")
    rows = [(data.lc.item(number)[0] + 1, row) for number, row in enumerate(data)]
    problems = [f"{path}:{line}: {text}" for line, row in rows for text in _problems(row)]
    if problems:
        raise ConfigFailure(f"{path} has {counted(len(problems), 'problem')}", details=tuple(problems))
    return tuple(Known(**row, origin=f"{path}:{line}") for line, row in rows)


def beside(directories: Iterable[Path]) -> tuple[Known, ...]:
    """The entries of all directories (of environments and recipes) that have such a file."""
    files = (directory / FILE for directory in dict.fromkeys(directories))
    return tuple(known for file in files if file.is_file() for known in load(file))


def snippet(failures: Sequence[tuple[str, str]], profile: str) -> str:
    """Entries, ready to be pasted, for checks that failed: (name, why)."""
    lines = [f"# {FILE}: keep an entry only when you know why its failure may stay, and say so as its reason"]
    for name, why in failures:
        lines += [f"- check: {_text(_literal(name))}", f"  reason: {_text(why)}", f"  profile: {profile}"]
    return "\n".join(lines) + "\n"


def _problems(row: Any) -> Iterable[str]:
    if not isinstance(row, dict):
        yield f"must be one of {EXAMPLE}"
        return
    for key in row:
        if key not in KEYS:
            yield f"{key}: unknown key; known keys: {', '.join(KEYS)}"
    for key in ("check", "reason"):
        if not isinstance(row.get(key), str) or not row[key].strip():
            yield f"{key}: must be there, and hold text"
    if not isinstance(row.get("profile", ""), str):
        yield "profile: must be a profile's name"


def _literal(name: str) -> str:
    """A glob that matches a name and nothing else."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _text(value: str) -> str:
    """A YAML scalar; JSON's strings are some."""
    return canonical_json(value).decode()
