"""One import check, run as a program in the release's interpreter: `importing.py MODULE ANSWER_FILE`.

It answers with where the module was found and whether that is the release's own. In another interpreter, that of the
robot's protocols, the variable OT2DEPLOY_RELEASE names the release. Standard library only.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import sysconfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

RELEASE = "OT2DEPLOY_RELEASE"


def main(name: str, answer: str) -> None:
    """Imports a module and writes {"file", "version", "why"} as JSON; an exception of the import is printed."""
    try:
        module = importlib.import_module(name)
    except Exception as error:
        print_own(error)
        sys.exit(1)
    found = places(module)
    sites = site_directories()
    inside = [path for path in found if is_inside(path, os.environ.get(RELEASE) or sys.prefix)]
    owner = next(filter(None, (owner_of(path, sites) for path in inside)), None)
    result = {"file": (inside or found or [""])[0], "version": version(module, owner), "why": ""}
    if not inside:
        result["why"] = "found at %s, outside the release; the release %s" % (
            found[0] if found else "no file (it is built into the interpreter)",
            expected(name, sites),
        )
    elif owner is None:
        result["why"] = "%s stands in no RECORD of the release: no installed wheel brought it" % inside[0]
    with open(answer, "w", encoding="utf-8") as file:
        json.dump(result, file)


def print_own(error: Exception) -> None:
    """Prints an exception of an import as Python does, beginning behind this program's and importlib's lines."""
    import traceback

    shown = error.__traceback__
    while shown is not None and shown.tb_frame.f_code.co_filename in (main.__code__.co_filename, importlib.__file__):
        shown = shown.tb_next
    while shown is not None and shown.tb_frame.f_code.co_filename.startswith("<frozen importlib"):
        shown = shown.tb_next
    traceback.print_exception(type(error), error, shown)


def places(module: ModuleType) -> list[str]:
    """The module's file, or the directories of a namespace package."""
    file = getattr(module, "__file__", None)
    if file:
        return [os.path.abspath(file)]
    return [os.path.abspath(path) for path in getattr(module, "__path__", ())]


def site_directories() -> list[str]:
    """The release's own site-packages directories, without duplicates."""
    release = os.environ.get(RELEASE)
    if release:
        paths = [os.path.join(release, "lib", "python%d.%d" % sys.version_info[:2], "site-packages")]
    else:
        paths = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return list(dict.fromkeys(os.path.realpath(path) for path in paths if path))


def is_inside(path: str, directory: str) -> bool:
    """Whether a path, links resolved, lies below a directory."""
    return os.path.realpath(path).startswith(os.path.realpath(directory).rstrip(os.sep) + os.sep)


def owner_of(path: str, sites: list[str]) -> str | None:
    """The .dist-info directory whose RECORD names the file (or a file below the directory), or None."""
    for site in sites:
        relative = os.path.relpath(os.path.realpath(path), site).replace(os.sep, "/")
        # A row is `path,hash,size`, the path in quotes when it holds a comma.
        needle = relative + ("/" if os.path.isdir(path) else ",")
        quoted = '"' + relative + ("/" if os.path.isdir(path) else '"')
        for name in sorted(os.listdir(site)) if os.path.isdir(site) else ():
            record = os.path.join(site, name, "RECORD")
            if name.endswith(".dist-info") and os.path.isfile(record):
                with open(record, encoding="utf-8", newline="") as file:
                    if any(row.startswith((needle, quoted)) for row in file):
                        return os.path.join(site, name)
    return None


def version(module: ModuleType, owner: str | None) -> str:
    """The version of the distribution that owns the module, else the module's own __version__, else ""."""
    if owner:
        with open(os.path.join(owner, "METADATA"), encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.lower().startswith("version:"):
                    return line.split(":", 1)[1].strip()
                if not line.strip():
                    break
    own = getattr(module, "__version__", "")
    return own if isinstance(own, str) else ""


def expected(name: str, sites: list[str]) -> str:
    """Where the release has the module, hidden by the other one, or where it would be."""
    parts = name.split(".")
    for site in sites:
        place = os.path.join(site, *parts)
        directory, stem = os.path.split(place)
        if os.path.isdir(directory):
            for entry in sorted(os.listdir(directory)):
                if entry == stem or (entry.split(".")[0] == stem and not entry.endswith(".pyi")):
                    return "has it at " + os.path.join(directory, entry)
    return "does not have it at " + os.path.join(sites[0], *parts)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
