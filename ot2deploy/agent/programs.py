"""The variables with which programs of a release run: its own programs first, no inherited settings of Python."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment(release: str, tmp: str, variables: Mapping[str, str], inherited: Mapping[str, str]) -> dict[str, str]:
    """The variables for a program of a release; `variables` (the environment's own) win over all but PATH's head.

    TMPDIR is given because /tmp on an OT-2 is a small tmpfs.
    """
    kept = {name: value for name, value in inherited.items() if not name.startswith(("PYTHON", "PIP_"))}
    kept.setdefault("LANG", "C.UTF-8")
    kept.update(VIRTUAL_ENV=release, TMPDIR=tmp)
    kept.update(variables)
    kept["PATH"] = os.path.join(release, "bin") + ":" + (kept.get("PATH") or PATH)
    return kept


def for_installing(tmp: str) -> dict[str, str]:
    """The variables for pip: no configuration file, no home, and nothing of the robot's own settings."""
    return {"PATH": PATH, "LANG": "C.UTF-8", "PIP_CONFIG_FILE": os.devnull, "HOME": tmp, "TMPDIR": tmp}
