"""Runs one PEP 517 hook of the source tree in the working directory: python hook.py REQUEST ANSWER (both JSON files).

A script for the host interpreter of the target's minor version: standard library only, imports nothing of ours.
REQUEST is {"backend": "module:object", "backend_path": [...], "hook": NAME, "optional": bool, "arguments": [...]};
an optional hook that the back end does not have answers null.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any


def load_backend(name: str, paths: list[str]) -> Any:
    """The back end object named "module" or "module:attribute.attribute" (PEP 517)."""
    sys.path[:0] = [str(Path(path).absolute()) for path in paths]
    module, _, attribute = name.partition(":")
    backend: Any = importlib.import_module(module)
    for part in filter(None, attribute.split(".")):
        backend = getattr(backend, part)
    return backend


def main(request_path: str, answer_path: str) -> None:
    """Calls the hook and writes what it returned."""
    request = json.loads(Path(request_path).read_text(encoding="utf-8"))
    # A script's own directory comes first on sys.path; ours must not shadow what the back end imports.
    if sys.path and Path(sys.path[0]).absolute() == Path(__file__).absolute().parent:
        del sys.path[0]
    backend = load_backend(request["backend"], request["backend_path"])
    hook = getattr(backend, request["hook"], None)
    if hook is None and not request["optional"]:
        sys.exit(f"back end {request['backend']} has no hook {request['hook']}")
    answer = hook(*request["arguments"]) if hook else None
    Path(answer_path).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
