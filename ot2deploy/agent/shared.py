"""The shared environment's links: what protocols and Jupyter import, in the robot's directory of user packages.

Each of its names there is a link through the environment's `current`, so that one rename switches them all. A link
leads to something or is about to: those of a release are made before it is switched to, those that lead nowhere are
removed after that, or when the next session begins. Files that are not ours are never touched.
"""

from __future__ import annotations

import os
import sys

from ot2deploy.agent import layout as layouts
from ot2deploy.agent import manifest, release, statefile
from ot2deploy.agent.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ot2deploy.agent.layout import Layout

NAME = manifest.SHARED
USER_PACKAGES = "/var/user-packages"
CACHE = "__pycache__"
MODULES = (".py", ".pyc", ".so")


def directory(layout: Layout) -> str:
    """The directory of user packages that the running interpreter looks into."""
    return os.path.join(_libraries(layout), "python%d.%d" % sys.version_info[:2], "site-packages")


def prepare(layout: Layout, digest: str) -> None:
    """Makes the links that a release needs, before it becomes current. Refuses with `foreign-files` where something
    that is not ours has one of their names."""
    wanted, where = _wanted(layout, digest), directory(layout)
    there = foreign(layout, where, wanted)
    if there:
        names = sorted({stem(os.path.basename(path)) for path in there})
        raise Refusal(
            "foreign-files", "%s: installed by hand on this robot, and in the way" % ", ".join(names),
            why="Files that are not ours are never replaced. Nothing was switched.",
            next="Take them away (on the robot: pip uninstall %s), then push again." % " ".join(names),
            details=there,
        )  # fmt: skip
    _link(layout, where, wanted)


def converge(layout: Layout) -> None:
    """Makes the links what `current` says: none that leads nowhere, and none missing but where a foreign file is."""
    for path in _ours(layout):
        if not os.path.exists(path):
            _unlink(path)
    digest = layouts.current_digest(layout, NAME)
    if digest is None:
        clear(layout)
    elif os.path.isdir(release.site_packages(layout.release(NAME, digest))):
        wanted, where = _wanted(layout, digest), directory(layout)
        taken = {stem(os.path.basename(path)) for path in foreign(layout, where, wanted)}
        _link(layout, where, [name for name in wanted if stem(os.path.basename(name)) not in taken])


def clear(layout: Layout) -> None:
    """Removes all our links, and the directories made for them that are empty: as before the first shared push."""
    for path in _ours(layout):
        _unlink(path)
    for made in sorted(_made(layout), reverse=True):
        try:
            os.rmdir(layout.root + made)
        except OSError:  # it is gone, or somebody else's files are in it
            pass
    for path in (statefile.part(layout.shared), layout.shared):
        statefile.remove(path)


def is_used(layout: Layout) -> bool:
    """Whether there is, or was, a shared environment: whether links are to be looked at."""
    return os.path.isdir(layout.environment(NAME)) or os.path.isfile(layout.shared)


def foreign(layout: Layout, where: str, wanted: list[str]) -> list[str]:
    """What is in the way of links: files of the same names, or that are imported by them, and are not ours."""
    stems = {stem(name) for name in wanted if os.path.dirname(name) != CACHE}
    paths = [os.path.join(where, entry) for entry in release.listed(where) if stem(entry) in stems]
    return [path for path in paths if not _is_ours(layout, path)]


def stem(entry: str) -> str:
    """The name by which an entry of a site-packages directory is imported; of anything else its own name."""
    return entry.split(".")[0] if entry.endswith(MODULES) else entry


def _wanted(layout: Layout, digest: str) -> list[str]:
    """The names that a release gives, relative to a site-packages directory: everything in it but .pth files, which
    are not read there, and the compiled files of its modules, so that no interpreter writes its own beside them."""
    site = release.site_packages(layout.release(NAME, digest))
    names = [name for name in release.listed(site) if name != CACHE and not name.endswith(".pth")]
    return names + [os.path.join(CACHE, name) for name in release.listed(os.path.join(site, CACHE))]


def _link(layout: Layout, where: str, wanted: list[str]) -> None:
    source = release.site_packages(layout.current(NAME))
    changed = set()
    for name in wanted:
        path = os.path.join(where, name)
        if os.path.lexists(path):  # ours; or what was compiled of a module that is gone, which nobody reads
            continue
        _make_directory(layout, os.path.dirname(path))
        os.symlink(os.path.join(source, name), path)
        changed.add(os.path.dirname(path))
    for path in sorted(changed):
        statefile.sync_directory(path)


def _make_directory(layout: Layout, path: str) -> None:
    """Makes a directory and those above it, each noted before it is made: `clear` will take them away."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    if not missing:
        return
    known = _made(layout) | {made[len(layout.root) :] for made in missing}
    statefile.write(layout.shared, {"schema": 1, "directories": sorted(known)})
    for made in reversed(missing):
        os.mkdir(made)
        statefile.sync_directory(os.path.dirname(made))


def _made(layout: Layout) -> set[str]:
    """The directories that were made for links, without the root. What else the file may say is not ours to remove."""
    named = (statefile.read(layout.shared) or {}).get("directories")
    names = [name for name in named if isinstance(name, str)] if isinstance(named, list) else []
    return {
        name for name in names if name.startswith(USER_PACKAGES) and os.path.normpath(name) == name
        and (name == USER_PACKAGES or name[len(USER_PACKAGES)] == "/")
    }  # fmt: skip


def _ours(layout: Layout) -> Iterator[str]:
    """All links of ours, also those for a Python that the robot had before."""
    for version in release.listed(_libraries(layout)):
        site = os.path.join(_libraries(layout), version, "site-packages")
        for where in (os.path.join(site, CACHE), site):
            for entry in release.listed(where):
                path = os.path.join(where, entry)
                if _is_ours(layout, path):
                    yield path


def _is_ours(layout: Layout, path: str) -> bool:
    return os.path.islink(path) and os.readlink(path).startswith(layout.current(NAME) + "/")


def _unlink(path: str) -> None:
    """Removes a link and, of a module, what interpreters with other settings compiled for it."""
    where, entry = os.path.split(path)
    statefile.remove(path)
    if entry.endswith(".py"):
        cache = os.path.join(where, CACHE)
        for name in release.listed(cache):
            if name.split(".")[0] == stem(entry) and name.endswith(".pyc"):
                statefile.remove(os.path.join(cache, name))


def _libraries(layout: Layout) -> str:
    return os.path.join(layout.root + USER_PACKAGES, "usr", "lib")
