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
        _forget_compiled(path)
        if not os.path.exists(path):
            statefile.remove(path)
    digest = layouts.current_digest(layout, NAME)
    if digest is None:
        clear(layout)
    elif os.path.isdir(release.site_packages(layout.release(NAME, digest))):
        wanted, where = _wanted(layout, digest), directory(layout)
        taken = {stem(os.path.basename(path)) for path in foreign(layout, where, wanted)}
        _link(layout, where, [name for name in wanted if stem(name) not in taken])


def clear(layout: Layout) -> None:
    """Removes all our links, and the directories made for them that are empty: as before the first shared push."""
    for path in _ours(layout):
        _forget_compiled(path)
        statefile.remove(path)
    for made in sorted(_made(layout), reverse=True):
        try:
            os.rmdir(layout.root + made)
        except OSError:  # it is gone, or somebody else's files are in it
            pass
    for path in (statefile.part(layout.shared), layout.shared):
        statefile.remove(path)


def foreign(layout: Layout, where: str, wanted: list[str]) -> list[str]:
    """What is in the way of links: files of the same names, or that are imported by them, and are not ours."""
    stems = {stem(name) for name in wanted}
    paths = [os.path.join(where, entry) for entry in release.listed(where) if stem(entry) in stems]
    return [path for path in paths if not _is_ours(layout, path)]


def stem(entry: str) -> str:
    """The name by which an entry of a site-packages directory is imported; of anything else its own name."""
    return entry.split(".")[0] if entry.endswith(MODULES) else entry


def _wanted(layout: Layout, digest: str) -> list[str]:
    """The names that a release gives: all in its site-packages but .pth files, which nobody reads elsewhere."""
    site = release.site_packages(layout.release(NAME, digest))
    return [name for name in release.listed(site) if name != CACHE and not name.endswith(".pth")]


def _link(layout: Layout, where: str, wanted: list[str]) -> None:
    source = release.site_packages(layout.current(NAME))
    missing = [name for name in wanted if not os.path.lexists(os.path.join(where, name))]
    if missing:
        _make_directory(layout, where)
        for name in missing:
            os.symlink(os.path.join(source, name), os.path.join(where, name))
        statefile.sync_directory(where)


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
        for entry in release.listed(site):
            path = os.path.join(site, entry)
            if _is_ours(layout, path):
                yield path


def _is_ours(layout: Layout, path: str) -> bool:
    return os.path.islink(path) and os.readlink(path).startswith(layout.current(NAME) + "/")


def _forget_compiled(link: str) -> None:
    """Removes what an interpreter compiled of a linked module: it goes by times and sizes, and those of two releases
    can be the same where a clock is wrong."""
    where, entry = os.path.split(link)
    cache = os.path.join(where, CACHE)
    for name in release.listed(cache) if entry.endswith(".py") else ():
        if name.split(".")[0] == stem(entry) and name.endswith(".pyc"):
            statefile.remove(os.path.join(cache, name))
            if not os.listdir(cache):
                os.rmdir(cache)


def _libraries(layout: Layout) -> str:
    return os.path.join(layout.root + USER_PACKAGES, "usr", "lib")
