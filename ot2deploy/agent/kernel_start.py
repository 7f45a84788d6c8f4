"""Starts a notebook's kernel in an environment's current release. Jupyter runs it from the kernel's directory:

    python3 -I start.py ENVIRONMENT_DIRECTORY -f CONNECTION_FILE

`current` is resolved once, so that a running notebook keeps its release, whatever is pushed meanwhile.
"""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main(environment: str, arguments: list[str]) -> NoReturn:
    """Becomes the kernel. Ends with a sentence in Jupyter's log where there is no release to start it in."""
    release = os.path.realpath(os.path.join(environment, "current"))
    python = os.path.join(release, "bin", "python3")
    name = os.path.basename(environment)
    if not os.access(python, os.X_OK):
        sys.exit("ot2deploy: %s has no release for this robot's Python; push it again" % name)
    variables = {name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    try:
        with open(os.path.join(release, "manifest.json"), encoding="utf-8") as file:
            variables.update(json.load(file).get("variables") or {})
    except (OSError, ValueError) as error:
        sys.exit("ot2deploy: the release of %s is damaged: %s" % (name, error))
    variables["VIRTUAL_ENV"] = release
    variables["PATH"] = os.path.join(release, "bin") + ":" + variables.get("PATH", os.defpath)
    os.execve(python, [python, "-m", "ipykernel_launcher", *arguments], variables)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
