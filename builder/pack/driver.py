"""Installs wheels with pip's own code, each into a tree of its own. Run by `builder.pack` in an interpreter of the
robots' minor, inside a directory that looks like a virtual environment; never imported.

Arguments: the pip wheel. Standard input: JSON, a list of {"name", "wheel", "root"}. Ends with status 1, and the wheel's
name on standard error, at the first wheel that pip does not take.

`pip install` itself would refuse wheels of another machine, and would have to be started once for each tree. What it
does with a wheel it has accepted is one function, `install_wheel`, and that is called here as pip calls it for a
wheel that was asked for by name: the pip is pinned by its sha256, so its internals are known. Choosing and checking
wheels is not pip's work here anyway: the lock and the audit have done it.
"""

import json
import os
import sys
from pathlib import Path

# What stands in the first line of scripts. Given to pip as the interpreter's name, so that script bytes and their
# RECORD rows are pip's own; the agent puts the real name in its place.
PYTHON = "@OT2DEPLOY_PYTHON@"


def main() -> int:
    """Installs all wheels of the request."""
    sys.path.insert(0, sys.argv[1])
    from pip._internal.locations import get_scheme  # type: ignore[import-not-found,unused-ignore]
    from pip._internal.models.scheme import SCHEME_KEYS, Scheme  # type: ignore[import-not-found,unused-ignore]
    from pip._internal.operations.install.wheel import install_wheel  # type: ignore[import-not-found,unused-ignore]

    os.umask(0o022)
    sys.executable = PYTHON
    for wanted in json.load(sys.stdin):
        host = get_scheme(wanted["name"], prefix=wanted["root"])
        # Some 64-bit hosts keep platlib in lib64; a release has lib alone.
        scheme = Scheme(**{**{key: getattr(host, key) for key in SCHEME_KEYS}, "platlib": host.purelib})
        try:
            install_wheel(
                wanted["name"],
                wanted["wheel"],
                scheme,
                req_description=wanted["name"],
                pycompile=False,
                warn_script_location=False,
                requested=True,
            )
        except Exception as error:
            print(f"{Path(wanted['wheel']).name}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
