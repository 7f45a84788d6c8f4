"""Packages that a machine has of its own: a resolution around them, and why it cannot be had.

What protocols import stands beside the packages of the robot's own software, which come first. So the resolver is told
that of these names there is this one version and no other, by an index of wheels without contents.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import quote

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from builder.environment import Index
from builder.errors import BuildFailure
from builder.files import sha256_file
from builder.resolving import PAGE
from builder.uv import Question
from builder.wheel.writer import Entry, write_wheel

INDEX = "the-robots-own"
NAME = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?"
WANTED = rf"{NAME}(?:\[[^\]]*\])?(?:\{{[^}}]*\}})?[<>=!~][^\s]*"
ASKS = re.compile(rf"(?:you|({NAME})\S*) (?:depends? on|require) (?:one of: )?((?:{WANTED} ?)+)")
PART = re.compile(rf"({NAME})(?:\[[^\]]*\])?(?:\{{[^}}]*\}})?([<>=!~][^\s]*)")


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """A package that is there in a version that does not do. `by` asks for `wanted` ("pydantic>=2"), "" is the user."""

    name: str
    version: str
    wanted: str
    by: str = ""

    def __str__(self) -> str:
        asked = f"{self.by} needs {self.wanted}" if self.by else f"{self.wanted} was asked for"
        return f"{asked}; the robot's own {self.name} {self.version} wins"


class ProvidedConflict(BuildFailure):
    """No set of packages fits beside those that are there. `conflicts` say which of them are in the way of whom."""

    code = "provided"

    def __init__(self, conflicts: Sequence[Conflict], details: Sequence[str] = ()) -> None:
        self.conflicts = tuple(conflicts)
        super().__init__(
            "; ".join(map(str, conflicts)),
            why="Protocols get the packages of the robot's own software first; nothing can be put in their place.",
            next="Ask for a version that is content with them, or push it without --shared for programs of its own.",
            details=tuple(details),
        )


class Compiler(Protocol):
    """What resolving needs of uv."""

    def compile_lock(self, question: Question, out: Path) -> dict[str, list[str]]:
        """Writes a pylock file and returns who asks for each package."""


class Named(Protocol):
    """Anything with a project's name and version."""

    @property
    def name(self) -> str:
        """The project."""

    @property
    def version(self) -> str:
        """Its version."""


T = TypeVar("T", bound=Named)


def compile_beside(uv: Compiler, question: Question, provided: Mapping[str, str], out: Path) -> dict[str, list[str]]:
    """`compile_lock` where the packages of `provided` (names and versions) are there already.

    Raises ProvidedConflict with everything that they are in the way of: uv stops at the first one, so it is asked again
    as if a version were there that does.
    """
    if not provided:
        return uv.compile_lock(question, out)
    there = {name: [version] for name, version in provided.items()}
    found: list[Conflict] = []
    while True:
        try:
            parents = _compile(uv, question, there, out)
        except BuildFailure as failure:
            new = [one for one in conflicts_in(failure.details, provided) if one not in found]
            if not new and not found:
                raise
            found += new
            for one in new:
                there[one.name] += _enough(one.wanted.split(" or ")[0].removeprefix(one.name))
            if new:
                continue
        else:
            if not found:
                return parents
        raise ProvidedConflict(sorted(found, key=str))


def left_out(packages: Iterable[T], provided: Mapping[str, str]) -> tuple[tuple[T, ...], dict[str, str]]:
    """The packages that have to be brought, and names and versions of those that are there.

    Raises ProvidedConflict where another version was locked than is there: for a file, which no index can replace.
    """
    listed = tuple(packages)
    there = {one.name: provided[one.name] for one in listed if one.name in provided}
    wrong = [
        Conflict(name=one.name, version=there[one.name], wanted=f"{one.name}=={one.version}")
        for one in listed
        if one.name in there and Version(one.version) != Version(there[one.name])
    ]
    if wrong:
        raise ProvidedConflict(wrong)
    return tuple(one for one in listed if one.name not in there), there


def conflicts_in(explanation: Iterable[str], provided: Mapping[str, str]) -> tuple[Conflict, ...]:
    """What of uv's explanation is about provided packages, the last word on each of who asks. Pure."""
    text = " ".join(" ".join(explanation).split())
    last: dict[str, Conflict] = {}
    for asks in ASKS.finditer(text):
        by = canonicalize_name(asks[1]) if asks[1] else ""
        wanted = [(canonicalize_name(part[1]), part[2].rstrip(",.;")) for part in PART.finditer(asks[2])]
        name = wanted[0][0]
        version = provided.get(name)
        if version and not any(_holds(specifier, version) for _, specifier in wanted):
            words = " or ".join(f"{name}{specifier}" for _, specifier in wanted)
            last[by or f"={name}"] = Conflict(name=name, version=version, wanted=words, by=by)
    return tuple(last.values())


def _holds(specifier: str, version: str) -> bool:
    try:
        return SpecifierSet(specifier).contains(version, prereleases=True)
    except InvalidSpecifier:  # not what it was taken for
        return True


def _enough(specifier: str) -> list[str]:
    """A version that fits a specifier, among those that it names and the next ones."""
    texts = [_normal(one.version.removesuffix(".*")) for one in SpecifierSet(specifier)]
    named = [Version(text) for text in texts if text]
    tried = [str(version) for one in named for version in (one, f"{one}.1", one.major + 1, f"{one}.post1")]
    return [version for version in tried if _holds(specifier, version)][:1]


def _compile(uv: Compiler, question: Question, there: Mapping[str, Sequence[str]], out: Path) -> dict[str, list[str]]:
    with tempfile.TemporaryDirectory(prefix="ot2deploy-provided-") as work:
        index = _index(Path(work), there)
        beside = replace(question, indexes=(index, *question.indexes), first_index=True)
        return uv.compile_lock(beside, out)


def _index(where: Path, there: Mapping[str, Sequence[str]]) -> Index:
    """A static index in which each of the packages has these versions, of which only the name is known."""
    _page(where, [(f"{name}/", name) for name in sorted(there)])
    for name, versions in there.items():
        (where / name).mkdir()
        wheels = [_stub(where / name, name, version) for version in dict.fromkeys(map(_normal, versions)) if version]
        _page(where / name, [(f"{quote(path.name)}#sha256={sha256_file(path)}", path.name) for path in wheels])
    return Index(name=INDEX, url=where.as_uri())


def _page(where: Path, links: Iterable[tuple[str, str]]) -> None:
    (where / PAGE).write_text("".join(f'<a href="{url}">{text}</a>\n' for url, text in links), encoding="utf-8")


def _normal(version: str) -> str:
    """A version as wheels write it; "" for one that nobody can ask for."""
    try:
        return str(Version(version))
    except InvalidVersion:
        return ""


def _stub(where: Path, name: str, version: str) -> Path:
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    texts = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: ot2deploy\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    entries = [Entry(name=f"{info}/{part}", data=text.encode()) for part, text in texts.items()]
    return write_wheel(where / f"{module}-{version}-py3-none-any.whl", info, entries)
