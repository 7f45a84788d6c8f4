"""The request `verify`: runs checks in a release's own interpreter, and keeps the record of a good result."""

from __future__ import annotations

import json
import os

from builder.checks import child
from builder.checks.importing import RELEASE
from ot2deploy.agent import SCHEMA, fields, programs, statefile
from ot2deploy.agent import layout as layouts
from ot2deploy.agent import manifest as manifests
from ot2deploy.agent.clock import now
from ot2deploy.agent.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ot2deploy.agent.fields import Request
    from ot2deploy.agent.layout import Layout

    Check = dict[str, Any]
    Progress = Callable[[str, int, int], None]

# Beyond the checks' own limits: starting the interpreter on a busy robot.
SPARE = 60.0
DEPTHS = ("quick", "deep", "live")


def verify(layout: Layout, archive: str, request: Request, progress: Progress) -> dict[str, Any]:
    """Runs checks (those given, else those of the release's manifest) and returns their results.

    A good result becomes the release's verified.json, a bad one removes what verified.json claimed: nobody shall
    trust it again.
    """
    environment, digest = fields.environment(request), fields.digest(request)
    depth, fingerprint = fields.choice(request, "depth", DEPTHS), fields.text(request, "fingerprint")
    release = layout.release(environment, digest)
    if not layouts.is_complete(release) or not layouts.interpreter_works(release):
        raise not_installed(layout, environment, digest)
    manifest = statefile.read(os.path.join(release, layouts.MANIFEST)) or {}
    if request.get("checks") is None:
        checks = manifest.get("checks", {}).get(depth, [])
    else:
        checks = fields.items(request, "checks")
    ask: dict[str, Any] = {"checks": checks}
    if depth == "live" and manifest.get("shared"):
        ask.update(_robots_own(layout, release))
    results = _run(layout, release, archive, fields.variables(manifest), ask, progress)
    ok = all(result["ok"] for result in results)
    record = {
        "checks": manifests.digest_of(checks), "at": now(), "fingerprint": fingerprint,
        "results": results if ok else None,
    }  # fmt: skip
    _store(os.path.join(release, layouts.VERIFIED), digest, record, depth)
    return {"ok": ok, "results": results}


def not_installed(layout: Layout, environment: str, digest: str) -> Refusal:
    """The refusal for a release that is not there, is not complete, or whose interpreter is gone."""
    release = layout.release(environment, digest)
    if layouts.is_complete(release):
        what = "release %s of %s belongs to a Python that this robot no longer has" % (digest[:12], environment)
        why = "The robot's software was updated since."
    else:
        what = "release %s of %s is not on this robot" % (digest[:12], environment)
        why = "It was never installed, was not installed to its end, or has been removed."
    return Refusal("not-installed", what, why=why, next="Push what %s was made from." % environment)


def _robots_own(layout: Layout, release: str) -> dict[str, Any]:
    """The runner's settings for checks in the interpreter of protocols and Jupyter, as the robot itself starts it; what
    they import has to be the release's all the same."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    env.update({RELEASE: release})
    return {"python": layout.root + "/usr/bin/python3", "env": env}


def _run(
    layout: Layout, release: str, archive: str, variables: dict[str, str], ask: dict[str, Any], progress: Progress
) -> list[dict[str, Any]]:
    """The runner's results; it runs as a program of the release, out of the agent's own archive."""
    checks: list[Check] = ask["checks"]
    if not checks:
        return []
    lines: list[dict[str, Any]] = []
    rest = bytearray()

    def on_output(piece: bytes) -> None:
        rest.extend(piece)
        while b"\n" in rest:
            line, _, left = bytes(rest).partition(b"\n")
            rest[:] = left
            message = _message(line)
            if "begins" in message:
                progress(str(message.get("name")), int(message["begins"]), len(checks))
            lines.append(message)

    limit = SPARE + sum(float(check.get("timeout") or 120) + 2 for check in checks)
    ended = child.run(
        [layouts.interpreter(release), "-I", archive, "checks"],
        env=programs.environment(release, layout.tmp, variables, os.environ),
        cwd=layout.tmp,
        timeout=limit,
        leash=json.dumps(ask).encode() + b"\n",
        on_output=on_output,
    )
    for message in reversed(lines):
        if "results" in message:
            results: list[dict[str, Any]] = message["results"]
            return results
    raise Refusal(
        "checks-failed-to-run", "the checks of the release could not be run (status %d)" % ended.status,
        why="The release's interpreter did not start, or ended before it had an answer.",
        details=ended.output.splitlines()[-20:],
    )  # fmt: skip


def _message(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line.decode("utf-8"))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _store(path: str, digest: str, record: dict[str, Any], depth: str) -> None:
    known = statefile.read(path) or {"schema": SCHEMA, "digest": digest, "checks": None, "deep": None, "live": None}
    good = record["results"] is not None
    if depth != "quick":
        known[depth] = record if good else None
        if depth == "live" and good:
            known.pop("undecided", None)
    elif good:
        known.update(record)
    else:
        statefile.remove(path)
        return
    statefile.write(path, known)
