"""What simulated ARM robots need of the host: packages and the kernel's binfmt entry for ARM programs."""

from __future__ import annotations

import json
import os
import platform
import shutil
from pathlib import Path

from builder import files, places
from builder.errors import ToolFailure
from builder.events import Event, Report
from builder.run import environment, run
from ot2deploy.sim.failures import EmulationFailure, SimFailure

BINFMT = Path("/proc/sys/fs/binfmt_misc")
ENTRY = BINFMT / "qemu-arm"
CONF = Path("/usr/lib/binfmt.d/qemu-arm.conf")  # from qemu-user-static; its flags OPF make it work in containers
# Package -> a file that shows it is there.
PACKAGES = {
    "mmdebstrap": Path("/usr/bin/mmdebstrap"),
    "debian-archive-keyring": Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    "qemu-user-static": Path("/usr/bin/qemu-arm-static"),
}
FOR_IMAGE = ("mmdebstrap", "debian-archive-keyring")
FOR_ARM = ("qemu-user-static",)
INSTALL_TIMEOUT = 600.0


def is_root() -> bool:
    """Whether we may install packages and register binfmt entries."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def is_debian(release: Path = Path("/etc/os-release")) -> bool:
    """Whether the host is a Debian or one of its children (Ubuntu among them)."""
    try:
        facts = platform.freedesktop_os_release() if release == Path("/etc/os-release") else _parsed(release)
    except OSError:
        return False
    return "debian" in (facts.get("ID", ""), *facts.get("ID_LIKE", "").split())


def missing(packages: tuple[str, ...]) -> tuple[str, ...]:
    """Those of our packages that are not installed."""
    return tuple(package for package in packages if not PACKAGES[package].exists())


def install(packages: tuple[str, ...], report: Report) -> None:
    """Installs what is missing of the given packages, each named first. Raises SimFailure where we may not."""
    wanted = missing(packages)
    if not wanted:
        return
    command = f"apt-get install --no-install-recommends {' '.join(wanted)}"
    if not (is_root() and is_debian()):
        raise SimFailure(
            f"the host lacks {', '.join(wanted)}",
            why="They are installed by themselves only for root on Debian and Ubuntu.",
            next=f"On Debian and Ubuntu, as root: {command}",
        )
    for package in wanted:
        report(
            Event(subject="host", stage="packages", message=f"installing the system package {package}", level="info")
        )
    quiet = environment({"DEBIAN_FRONTEND": "noninteractive"})
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
    try:
        run([*apt, "update"], timeout=INSTALL_TIMEOUT, env=quiet)
        run([*apt, "install", "-y", "--no-install-recommends", *wanted], timeout=INSTALL_TIMEOUT, env=quiet)
    except ToolFailure as error:
        raise SimFailure(
            f"could not install {', '.join(wanted)}", details=error.details, next=f"Run as root: {command}"
        ) from error


def emulation_registered() -> bool:
    """Whether the kernel hands ARM programs to qemu, also in containers (flag F)."""
    try:
        lines = ENTRY.read_text().splitlines()
    except OSError:
        return False
    flags = next((line.split()[1] for line in lines if line.startswith("flags:") and len(line.split()) > 1), "")
    return "enabled" in lines and "F" in flags


def register_emulation(report: Report) -> None:
    """Makes the kernel hand ARM programs to qemu. What we change is recorded, for `unregister_emulation` to undo."""
    with files.locked(_record().with_suffix(".lock")):
        if emulation_registered():
            return
        install(FOR_ARM, report)
        if emulation_registered():  # where systemd is PID 1, installing the package registers it
            return
        if not is_root():
            raise EmulationFailure(
                "the kernel does not run ARM programs (no binfmt entry qemu-arm)",
                next="On Debian and Ubuntu, as root: systemctl restart systemd-binfmt",
            )
        mounted = not (BINFMT / "register").exists()
        try:
            if mounted:
                run(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT], timeout=20)
            (BINFMT / "register").write_text(CONF.read_text())
        except (OSError, ToolFailure) as error:
            raise EmulationFailure(f"cannot register ARM emulation with the kernel: {error}") from error
        files.write_json(_record(), {"schema": 1, "boot": _boot(), "mounted": mounted})
        report(Event(subject="host", stage="emulation", message="registered qemu-arm with the kernel", level="info"))


def unregister_emulation() -> bool:
    """Takes back what `register_emulation` did since the last boot of the host; says whether there was anything."""
    with files.locked(_record().with_suffix(".lock")):
        try:
            record = json.loads(_record().read_text())
        except (OSError, ValueError):
            return False
        _record().unlink()
        if record["boot"] != _boot() or not ENTRY.exists():
            return False
        ENTRY.write_text("-1")
        if record["mounted"] and shutil.which("umount"):
            run(["umount", BINFMT], timeout=20, check=False)
        return True


def remove_lock() -> None:
    """Removes the lock file beside the record; for the very end of a purge."""
    _record().with_suffix(".lock").unlink(missing_ok=True)


def _record() -> Path:
    return places.cache_root() / "sim" / "binfmt.json"


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _parsed(release: Path) -> dict[str, str]:
    pairs = (line.partition("=") for line in release.read_text().splitlines() if "=" in line)
    return {name: value.strip("\"'") for name, _, value in pairs}
