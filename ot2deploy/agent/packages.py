"""What Python packages a robot has, place by place. Standard library only; changes nothing.

It comes to the robot on standard input with one line after it that calls `main`, so that looking leaves nothing there.
"""

from __future__ import annotations

import glob
import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Row = dict[str, Any]

SCHEMA = 1
MOST = 1 << 20  # bytes of one file of metadata
KINDS = (".dist-info", ".egg-info", ".egg-link")
MODULES = (".py", ".pyc", ".so")
# Where pip of robots puts what somebody installs, for every Python that the robot ever had.
BY_HAND = "usr/lib/python*/site-packages usr/lib/python*/dist-packages usr/local/lib/python*/dist-packages".split()


def main(base: str, user: str, modules: bool = False) -> None:
    """Prints one line of JSON. `base` is our base directory, `user` that of packages installed by hand; with `modules`
    it has what can be imported, too."""
    links = base + "/envs/shared/current/"
    told = {
        "schema": SCHEMA,
        "python": "%d.%d" % sys.version_info[:2],
        "places": list(_places(user, links, modules)),
        "environments": list(_environments(base)),
    }
    if modules:
        site = os.path.join(user, "usr/lib/python%d.%d/site-packages" % sys.version_info[:2])
        names = sorted(os.listdir(site)) if os.path.isdir(site) else []
        told.update(
            builtin=sorted(sys.builtin_module_names),
            user_site={"path": site, "read": site in sys.path or site in _pth_lines()},
            linked=[name for name in names if _is_link(os.path.join(site, name), links)],
        )
    print(json.dumps(told))


def _places(user: str, links: str, modules: bool) -> Iterator[Row]:
    """The directories of the running interpreter in the order of sys.path, then those by hand that it ignores."""
    seen = set()
    ignored = [path for pattern in BY_HAND for path in sorted(glob.glob(os.path.join(glob.escape(user), pattern)))]
    for path in [*sys.path, *ignored]:
        real = os.path.realpath(path)
        if not os.path.isdir(path) or real in seen:
            continue
        seen.add(real)
        by_hand = (real + os.sep).startswith(os.path.realpath(user) + os.sep)
        entries = sorted(entry for entry in os.listdir(path) if not _is_link(os.path.join(path, entry), links))
        row = {
            "path": path,
            "by_hand": by_hand,
            "on_path": path in sys.path,
            "packages": list(_packages(path, entries)),
        }
        if by_hand:
            row["loose"] = _loose(path, entries)
        if modules:
            row["modules"] = dict(_modules(path, entries))
        yield row


def _environments(base: str) -> Iterator[Row]:
    """The current release of each of our environments."""
    for link in sorted(glob.glob(os.path.join(glob.escape(base), "envs", "*", "current"))):
        release = os.path.realpath(link)
        sites = glob.glob(os.path.join(glob.escape(release), "lib", "python*", "site-packages"))
        if sites:
            yield {
                "name": os.path.basename(os.path.dirname(link)),
                "digest": os.path.basename(release),
                "path": sites[0],
                "packages": list(_packages(sites[0], sorted(os.listdir(sites[0])))),
                "names": sorted(os.listdir(sites[0])),
                "manifest": _manifest(os.path.join(release, "manifest.json")),
            }


def _manifest(path: str) -> Row:
    """Of a release's manifest, what tells how to make it again."""
    try:
        value = json.loads(_text(path, 16 * MOST))
    except ValueError:
        value = {}
    wheels = value.get("wheels") or ()
    return {
        "as_of": value.get("as_of"),
        "system_packages": bool(value.get("system_packages")),
        "variables": sorted(value.get("variables") or ()),
        "local": sorted(str(wheel.get("name")) for wheel in wheels if wheel.get("how") == "local"),
        "requirements": value.get("requirements") or [],
        "constraints": value.get("constraints") or [],
        "brought": [
            {key: wheel.get(key) for key in ("name", "filename", "sha256", "size")}
            for wheel in wheels if wheel.get("how") == "local" and wheel.get("requested")
        ],
    }  # fmt: skip


def _packages(directory: str, entries: list[str]) -> Iterator[Row]:
    """Name, version and, where pip wrote it, the direct URL of what has metadata in a directory."""
    for entry in entries:
        stem, kind = os.path.splitext(entry)
        if kind not in KINDS:
            continue
        path = os.path.join(directory, entry)
        if kind == ".egg-link":
            target = _text(path).splitlines()
            source = {"url": target[0] if target else "", "dir_info": {"editable": True}}
            yield {"name": stem, "version": "", "source": source}
            continue
        name, _, version = stem.partition("-")
        fields = _headers(path, kind)
        row: Row = {"name": fields.get("name") or name, "version": fields.get("version") or version.split("-")[0]}
        row["source"] = _direct_url(os.path.join(path, "direct_url.json"))
        yield row


def _headers(path: str, kind: str) -> dict[str, str]:
    """The name and version that a METADATA or PKG-INFO begins with."""
    if os.path.isdir(path):
        path = os.path.join(path, "METADATA" if kind == ".dist-info" else "PKG-INFO")
    found: dict[str, str] = {}
    for line in _text(path).splitlines():
        field, colon, value = line.partition(":")
        if not colon:
            break
        if field.lower() in ("name", "version"):
            found.setdefault(field.lower(), value.strip())
    return found


def _direct_url(path: str) -> Row | None:
    try:
        value = json.loads(_text(path) or "null")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else None


def _loose(directory: str, entries: list[str]) -> list[str]:
    """The modules in a directory that belong to no package."""
    owned = set()
    for entry in entries:
        if entry.endswith(".dist-info"):
            rows = _text(os.path.join(directory, entry, "RECORD")).splitlines()
            owned |= {row.partition(",")[0].strip('"').split("/")[0] for row in rows}
        elif entry.endswith(".egg-info"):
            names = _text(os.path.join(directory, entry, "top_level.txt")).split()
            owned |= {name + ending for name in names for ending in ("", *MODULES)}
    return [entry for entry in entries if entry not in owned and _is_module(directory, entry)]


def _modules(directory: str, entries: list[str]) -> Iterator[tuple[str, list[str] | None]]:
    """What can be imported from a directory: names, and None for packages and modules; of a directory without an
    __init__, which shares its name with others, the names in it."""
    for entry in entries:
        path = os.path.join(directory, entry)
        if entry.endswith(MODULES):
            yield entry.split(".")[0], None
        elif entry.isidentifier() and entry != "__pycache__" and os.path.isdir(path):
            inside = os.listdir(path)
            regular = any(name.split(".")[0] == "__init__" and name.endswith(MODULES) for name in inside)
            yield entry, None if regular else sorted({name.split(".")[0] for name in inside})


def _pth_lines() -> set[str]:
    """The directories that .pth files add, also those that are not there yet, which `site` passes over."""
    found = set()
    for path in sys.path:
        for pth in glob.glob(os.path.join(glob.escape(path), "*.pth")):
            found |= {os.path.join(path, line.strip()) for line in _text(pth).splitlines()}
    return found


def _is_link(path: str, links: str) -> bool:
    """Whether that is a link of ours to something of the shared environment."""
    return os.path.islink(path) and os.readlink(path).startswith(links)


def _is_module(directory: str, entry: str) -> bool:
    path = os.path.join(directory, entry)
    if os.path.isdir(path):
        return (
            entry.isidentifier() and entry != "__pycache__" and any(name.endswith(MODULES) for name in os.listdir(path))
        )
    return entry.endswith(MODULES)


def _text(path: str, most: int = MOST) -> str:
    """A file's text, or "" where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(most).decode("utf-8", "replace")
    except OSError:
        return ""
