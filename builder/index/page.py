"""A project's page in an index, as JSON (PEP 691, 700) and as HTML (PEP 503, 592, 629, 658). Pure.

Of PEP 658's attributes only the names of PEP 714 are written: pip 22.3.1, the robots' own, fails on the older one in
JSON and for the one in HTML downloads every wheel twice.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from packaging.utils import parse_wheel_filename

API, WITHOUT_SIZES = "1.1", "1.0"  # PEP 700 wants every file's size
JSON_TYPE = "application/vnd.pypi.simple.v1+json"
HTML_TYPE = "application/vnd.pypi.simple.v1+html"
OWN_KEY = "_own"  # PEP 691 leaves keys with an underscore to the index

Link = Callable[["File"], str]


@dataclass(frozen=True, kw_only=True)
class File:
    """A wheel on a page.

    `size` in bytes, `metadata` the sha256 of its METADATA, `uploaded` an RFC 3339 time, `yanked` the reason why nobody
    should install it any more ("" for none given, None where it is good), `own` whether it is the lab's own project's.
    On pages of a tree all of them are known; a mirror's upstream may not say `size` (0), `metadata` or `uploaded` ("").
    """

    filename: str
    sha256: str
    size: int
    metadata: str
    uploaded: str
    requires_python: str = ""
    yanked: str | None = None
    own: bool = True

    @property
    def version(self) -> str:
        """The version in its name."""
        return str(parse_wheel_filename(self.filename)[1])


@dataclass(frozen=True, kw_only=True)
class Page:
    """A project's wheels in a branch; `name` is normalised (PEP 503)."""

    name: str
    files: tuple[File, ...] = ()

    @property
    def own(self) -> bool:
        """Whether the project is the lab's own: one file that is suffices, so that nobody elsewhere can offer it."""
        return any(file.own for file in self.files)

    def file(self, filename: str) -> File | None:
        """A file by its name, or None."""
        return next((file for file in self.files if file.filename == filename), None)

    def with_files(self, files: Iterable[File]) -> Page:
        """The page with files in the place of those of the same names, all in order of version and name."""
        merged = {file.filename: file for file in (*self.files, *files)}
        return Page(name=self.name, files=tuple(sorted(merged.values(), key=_order)))

    def without(self, filenames: Iterable[str]) -> Page:
        """The page without some files."""
        gone = set(filenames)
        return Page(name=self.name, files=tuple(file for file in self.files if file.filename not in gone))


def to_json(page: Page, link: Link) -> bytes:
    """The page as PEP 691 and 700 have it."""
    files = [_file(file, link) for file in page.files]
    versions = list(dict.fromkeys(file.version for file in page.files))
    api = API if all(file.size for file in page.files) else WITHOUT_SIZES
    return _dump({"meta": {"api-version": api}, "name": page.name, "versions": versions, "files": files})


def from_json(data: bytes) -> Page:
    """The page that `to_json` wrote. Raises ValueError for anything else."""
    try:
        read = json.loads(data)
        return Page(name=read["name"], files=tuple(_read(entry) for entry in read["files"]))
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"not a page of an index: {type(error).__name__}") from error


def to_html(page: Page, link: Link) -> bytes:
    """The page as old and new installers read it."""
    return _html(f"Links for {page.name}", [_anchor(file, link) for file in page.files])


def root_json(names: Iterable[str]) -> bytes:
    """The list of projects as PEP 691 has it."""
    return _dump({"meta": {"api-version": API}, "projects": [{"name": name} for name in sorted(names)]})


def root_html(names: Iterable[str]) -> bytes:
    """The list of projects as PEP 503 has it."""
    return _html("Simple index", [f'<a href="{name}/">{name}</a>' for name in sorted(names)])


def _file(file: File, link: Link) -> dict[str, Any]:
    return {
        "filename": file.filename,
        "url": link(file),
        "hashes": {"sha256": file.sha256},
        **({"size": file.size} if file.size else {}),
        **({"upload-time": file.uploaded} if file.uploaded else {}),
        "requires-python": file.requires_python or None,
        "core-metadata": {"sha256": file.metadata} if file.metadata else False,
        "yanked": False if file.yanked is None else file.yanked or True,
        OWN_KEY: file.own,
    }


def _read(entry: dict[str, Any]) -> File:
    yanked = entry.get("yanked", False)
    return File(
        filename=str(entry["filename"]),
        sha256=str(entry["hashes"]["sha256"]),
        size=int(entry["size"]),
        metadata=str(entry["core-metadata"]["sha256"]),
        uploaded=str(entry["upload-time"]),
        requires_python=entry["requires-python"] or "",
        yanked=None if yanked is False else "" if yanked is True else str(yanked),
        own=bool(entry[OWN_KEY]),
    )


def _anchor(file: File, link: Link) -> str:
    attributes = {
        "href": f"{link(file)}#sha256={file.sha256}",
        "data-requires-python": file.requires_python or None,
        "data-core-metadata": f"sha256={file.metadata}" if file.metadata else None,
        "data-yanked": file.yanked,
    }
    written = " ".join(f'{name}="{html.escape(text)}"' for name, text in attributes.items() if text is not None)
    return f"<a {written}>{html.escape(file.filename)}</a>"


def _html(title: str, anchors: Iterable[str]) -> bytes:
    head = f'<meta name="pypi:repository-version" content="{API}"><title>{html.escape(title)}</title>'
    lines = ["<!DOCTYPE html>", f'<html><head><meta charset="utf-8">{head}</head>', "<body>"]
    return "\n".join([*lines, *(f"{one}<br>" for one in anchors), "</body></html>", ""]).encode()


def _order(file: File) -> tuple[Any, ...]:
    _, version, build, _ = parse_wheel_filename(file.filename)
    return version, build, file.filename


def _dump(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"
