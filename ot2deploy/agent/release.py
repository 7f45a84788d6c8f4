"""A release's directory: a virtual environment that the agent writes itself, at its final place."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig

from ot2deploy.agent import layout as layouts
from ot2deploy.agent import statefile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ot2deploy.agent.layout import Layout

SYSTEM_PACKAGES = "ot2deploy-system-packages.pth"


def system_interpreter() -> str:
    """The interpreter that runs the agent, by its versioned name: after a system update that link breaks, cleanly."""
    real = os.path.realpath(sys.executable)
    versioned = os.path.join(os.path.dirname(real), "python%d.%d" % sys.version_info[:2])
    return versioned if os.path.exists(versioned) else real


def site_packages(release: str) -> str:
    """A release's site-packages directory."""
    return os.path.join(release, "lib", "python%d.%d" % sys.version_info[:2], "site-packages")


def create(release: str, system_packages: bool) -> None:
    """Makes an empty virtual environment. `-m venv` would need ensurepip, write activation scripts and take seconds."""
    python = system_interpreter()
    site_directory = site_packages(release)
    os.makedirs(os.path.join(release, "bin"))
    os.makedirs(site_directory)
    platlibdir = getattr(sys, "platlibdir", "lib")
    if platlibdir != "lib":
        os.symlink("lib", os.path.join(release, platlibdir))
    os.symlink(python, os.path.join(release, "bin", "python%d.%d" % sys.version_info[:2]))
    for name in ("python3", "python"):
        os.symlink("python%d.%d" % sys.version_info[:2], os.path.join(release, "bin", name))
    lines = [
        "home = " + os.path.dirname(python),
        "include-system-site-packages = " + ("true" if system_packages else "false"),
        "version = %d.%d.%d" % sys.version_info[:3],
    ]
    with open(os.path.join(release, "pyvenv.cfg"), "w", encoding="utf-8") as file:
        file.write("".join(line + "\n" for line in lines))
    if system_packages:
        _show_system_packages(site_directory)


def _show_system_packages(site_directory: str) -> None:
    """Makes the robot's packages visible where its system interpreter is a virtual environment itself (a simulated
    robot): `include-system-site-packages` alone would show those of the interpreter below that."""
    if sys.prefix == sys.base_prefix:
        return
    with open(os.path.join(site_directory, SYSTEM_PACKAGES), "w", encoding="utf-8") as file:
        for entry in robot_sites():
            file.write("import site, sys; %r in sys.path or site.addsitedir(%r)\n" % (entry, entry))


def robot_sites() -> list[str]:
    """Directories on the running interpreter's sys.path outside the standard library."""
    standard = {os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    standard |= {os.path.join(path, "lib-dynload") for path in standard}
    return [entry for entry in sys.path if os.path.isdir(entry) and os.path.realpath(entry) not in standard]


def finish(release: str) -> None:
    """Marks a release as complete, last of all, after everything else in it is durable."""
    statefile.sync_tree(release)
    statefile.write(os.path.join(release, layouts.COMPLETE), {"schema": 1})


def remove(release: str) -> None:
    """Removes a release. Its mark goes first, so that a half-removed one never looks complete."""
    statefile.remove(os.path.join(release, layouts.COMPLETE))
    shutil.rmtree(release, ignore_errors=True)


def sweep(layout: Layout) -> list[str]:
    """Removes what interrupted runs left: incomplete releases, a link that was to become `current`, and everything in
    tmp but running programs' files.

    Returns the digests of the releases removed. What `current` names is never touched.
    """
    removed = []
    for environment in listed(layout.envs):
        current = layouts.current_digest(layout, environment)
        statefile.remove(layout.next_current(environment))
        for digest in listed(layout.releases(environment)):
            release = layout.release(environment, digest)
            if digest != current and not layouts.is_complete(release):
                remove(release)
                removed.append(digest)
    for name in listed(layout.tmp):
        path = os.path.join(layout.tmp, name)
        if path == layout.programs_tmp:
            continue
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            statefile.remove(path)
    return removed


def listed(path: str) -> list[str]:
    """The names in a directory, sorted; none where there is no directory."""
    try:
        return sorted(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return []
