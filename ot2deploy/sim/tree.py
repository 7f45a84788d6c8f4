"""The robot's root file system: an unpacked Debian tree made into a simulated OT-2's.

Nothing of the tree is executed, so its architecture does not matter. Standard library only, and a program too
(`tree.py robot TREE DATA PYTHON`, `tree.py layer TREE FILE`): it runs on the host or in a Debian container.
"""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
from pathlib import Path

SITE = "usr/lib/python3.11/site-packages"
# Where downloaded packages are unpacked by mmdebstrap's hook (image.HOOK), for single programs to be taken out of them.
SPARE = "ot2sim-spare"
BOOT_SCRIPTS = "opentrons-run-boot-scripts.service"
LINKS = {
    "etc/dropbear": "/var/lib/dropbear",  # the robot binds these into /var; here they are links
    "root": "/var/home",
    "data": "/var/data",
    "etc/mtab": "../proc/self/mounts",
    "etc/systemd/system/default.target": "opentrons.target",
    "etc/systemd/system/multi-user.target.wants/dropbear.service": "../dropbear.service",
    "etc/systemd/system/sysinit.target.wants/ot2sim-var.service": "../ot2sim-var.service",
    f"etc/systemd/system/opentrons.target.wants/{BOOT_SCRIPTS}": f"../{BOOT_SCRIPTS}",
    "usr/bin/sh": "busybox",
    "usr/bin/pip": "pip3",
    "usr/lib/ot2sim/init": "../../bin/busybox",
    **{f"usr/sbin/{action}": "../lib/ot2sim/power" for action in ("reboot", "poweroff", "halt")},
}
DROPPED = (
    "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/perl", "usr/lib/udev/hwdb.d",
    "var/lib/apt", "var/cache/apt", "etc/apt", "usr/lib/python3.11/EXTERNALLY-MANAGED", f"{SITE}/bin", SPARE,
)  # fmt: skip
ACCOUNTS = {
    "etc/passwd": ("messagebus:x:100:102::/nonexistent:/usr/sbin/nologin",),
    "etc/group": ("messagebus:x:102:", "systemd-journal:x:103:"),
}


def make_robot(root: Path, data: Path, python: Path) -> None:
    """Makes the tree a robot's, from the data files beside this module and a directory with pip and setuptools."""
    take_programs(root, rows(data / "programs.txt"))
    add_accounts(root)
    add_python(root, python)
    shutil.copytree(data / "robot", root, dirs_exist_ok=True, symlinks=True)
    make_executable(root, data / "robot")
    for path in DROPPED:
        remove(root / path)
    link_applets(root, [row[0] for row in rows(data / "applets.txt")])
    for path, target in LINKS.items():
        link(root / path, target)
    for (unit,) in rows(data / "masked-units.txt"):
        link(root / "etc/systemd/system" / unit, "/dev/null")
    (root / "etc/hostname").write_text("ot2sim\n")
    (root / "etc/machine-id").write_text("")
    (root / "srv").mkdir(exist_ok=True)


def rows(path: Path) -> list[list[str]]:
    """The words of each line of a data file; comments and empty lines are left out."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]


def take_programs(root: Path, programs: list[list[str]]) -> None:
    """Moves single programs out of the packages that are unpacked beside the system."""
    for package, path in programs:
        shutil.move(root / SPARE / package / path, root / "usr/bin" / Path(path).name)


def add_accounts(root: Path) -> None:
    """Writes passwd and group from Debian's masters; root's shell is BusyBox, and no password opens it."""
    for path, added in ACCOUNTS.items():
        master = root / "usr/share/base-passwd" / f"{Path(path).name}.master"
        lines = [*master.read_text().splitlines(), *added]
        if path == "etc/passwd":
            lines = ["root:*:0:0:root:/root:/bin/sh" if line.startswith("root:") else line for line in lines]
        (root / path).write_text("\n".join(lines) + "\n")


def add_python(root: Path, python: Path) -> None:
    """Gives the system's Python the robot's pip and the upstream layout, site-packages instead of dist-packages."""
    shutil.copytree(python, root / SITE, dirs_exist_ok=True)
    sysconfig = root / "usr/lib/python3.11/sysconfig.py"
    text = sysconfig.read_text(encoding="utf-8")
    for debian, upstream in (
        ("os.environ.get('DEB_PYTHON_INSTALL_LAYOUT', 'posix_local')", "'posix_prefix'"),
        ("prefix_scheme = 'posix_local'", "prefix_scheme = 'posix_prefix'"),
    ):
        if debian not in text:
            raise SystemExit(f"Debian's sysconfig.py no longer says {debian}; tree.py needs a look at it")
        text = text.replace(debian, upstream)
    sysconfig.write_text(text, encoding="utf-8")


def make_executable(root: Path, overlay: Path) -> None:
    """Gives mode 755 to the overlay's scripts: a wheel does not keep modes, so the first line decides."""
    for path in overlay.rglob("*"):
        if path.is_file():
            script = path.read_bytes().startswith(b"#!")
            (root / path.relative_to(overlay)).chmod(0o755 if script else 0o644)


def link_applets(root: Path, applets: list[str]) -> None:
    """Links the BusyBox applets that the robot's configuration has; a program that is there already wins."""
    for applet in applets:
        if not any(os.path.lexists(root / place / applet) for place in ("usr/bin", "usr/sbin")):
            link(root / "usr/bin" / applet, "busybox")


def link(path: Path, target: str) -> None:
    """Makes `path` a symbolic link, whatever it was."""
    remove(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def remove(path: Path) -> None:
    """Removes a file or a whole directory; nothing is fine too."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_layer(root: Path, target: Path) -> None:
    """Writes the tree as a tar: sorted, times at 0, numeric owners, without the contents of /dev."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for directory, names, files in os.walk(root):
            at = Path(directory)
            if at == root / "dev":
                names.clear()
                continue
            names.sort()
            for name in sorted([*files, *names]):
                archive.add(at / name, (at / name).relative_to(root).as_posix(), recursive=False, filter=plain)


def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A tar member without what differs from build to build."""
    member.mtime = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    steps = {"robot": make_robot, "layer": write_layer}
    steps[sys.argv[1]](*map(Path, sys.argv[2:]))  # type: ignore[operator]
