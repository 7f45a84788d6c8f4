"""The command `exec`: becomes a program of the current release, with all of its streams."""

from __future__ import annotations

import errno
import os
import signal
import sys

from ot2deploy.agent import fields, frames, programs, statefile
from ot2deploy.agent import layout as layouts
from ot2deploy.agent.refusal import Refusal, bad_request, from_os_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ot2deploy.agent.fields import Request
    from ot2deploy.agent.layout import Layout

NOT_FOUND, NOT_RUNNABLE = 127, 126  # as shells have it


def main() -> int:
    """Reads one request from standard input and execs; returns a status only when that is impossible."""
    try:
        return _execute(frames.read_one(0))
    except Refusal as refusal:
        for line in (refusal.what, refusal.why, refusal.next):
            if line:
                print("ot2deploy: " + line, file=sys.stderr)
        return NOT_FOUND


def _execute(request: Request) -> int:
    layout, environment = layouts.of_request(request), fields.environment(request)
    argv = request.get("argv")
    if not isinstance(argv, list) or not argv or not all(isinstance(one, str) and fields.is_word(one) for one in argv):
        raise bad_request("field argv is not a list of words")
    # Resolved once: the program keeps its release, whatever becomes current meanwhile.
    digest = layouts.current_digest(layout, environment)
    release = layout.release(environment, digest) if digest else ""
    if not digest or not layouts.is_complete(release):
        raise _not_installed(layout, environment, fields.text(request, "missing", "", limit=5000))
    manifest = statefile.read(os.path.join(release, layouts.MANIFEST)) or {}
    variables = dict(fields.variables(manifest), **fields.variables(request))
    try:
        os.makedirs(layout.programs_tmp, exist_ok=True)
    except OSError as error:
        raise from_os_error(error, layout.base) from error
    env = programs.environment(release, layout.programs_tmp, variables, os.environ)
    path = _find(argv[0], env["PATH"])
    if path is None:
        raise Refusal(
            "no-program", "%s: neither the release nor the robot has such a program" % argv[0],
            next="Programs of the release: " + " ".join(sorted(os.listdir(os.path.join(release, "bin")))[:40]),
        )  # fmt: skip
    for name in ("SIGPIPE", "SIGXFSZ"):  # Python ignores them; an ignored signal would stay ignored after exec
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.execve(path, argv, env)
    except OSError as error:
        reason = error.strerror
        if error.errno == errno.ENOENT:
            reason = "its interpreter is not there any more; push %s again" % environment
        print("ot2deploy: cannot run %s: %s" % (path, reason), file=sys.stderr)
        return NOT_RUNNABLE
    return 0


def _not_installed(layout: Layout, environment: str, then: str) -> Refusal:
    """The refusal that names what is there instead; `then` is the host's advice."""
    from difflib import get_close_matches

    there = layouts.installed(layout)
    meant = "".join(" Did you mean %s?" % name for name in get_close_matches(environment, there, 1))
    return Refusal(
        "not-installed", "environment %s is not installed on this robot" % environment,
        why="On the robot: %s.%s" % (", ".join(there) or "nothing", meant), next=then,
    )  # fmt: skip


def _find(program: str, path: str) -> str | None:
    if "/" in program:
        return program if os.path.exists(program) else None
    for directory in path.split(":"):
        candidate = os.path.join(directory, program)
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    return None
