"""Fills a release by one call of the robot's own pip, and byte-compiles it. Both run in the release's interpreter."""

from __future__ import annotations

import os
import re
import tempfile

from builder.checks import child
from builder.checks.facts import pip as find_pip
from ot2deploy.agent import layout, programs, release
from ot2deploy.agent.refusal import Refusal, disk_full

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ot2deploy.agent.layout import Layout

OPTIONS = (
    "install --no-index --no-deps --no-compile --ignore-installed --no-warn-script-location "
    "--disable-pip-version-check --no-cache-dir --no-input --no-color --progress-bar off"
).split()
TIMEOUT = 3600.0
# Ends with its parent: the agent holds the other end of standard input.
LEASH = """
import os, signal, sys, threading
def leash():
    while os.read(0, 4096): pass
    os.killpg(0, signal.SIGKILL)
threading.Thread(target=leash, daemon=True).start()
"""
# pip alone sees the directory it lives in, behind everything of the release.
PIP = (
    LEASH
    + """
import runpy
sys.path.append(sys.argv.pop(1))
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
)
# Unchecked: a robot's clock may run anywhere, and a timestamp that does not match recompiles at every start.
COMPILE = (
    LEASH
    + """
import compileall
from py_compile import PycInvalidationMode
compileall.compile_dir(sys.argv[1], maxlevels=100, quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
"""
)


def install(layout_: Layout, target: str, wheels: Sequence[str], tick: Callable[[str, str], None]) -> None:
    """Installs wheel files into the release `target`. Refuses with the end of pip's output when pip fails."""
    pip = find_pip()
    if pip is None:
        raise Refusal(
            "no-pip", "this robot's Python has no pip",
            why="The default way to install uses the robot's own pip.",
            next="Push with --install-method tree, which needs none.",
        )  # fmt: skip
    # -B: the directory that pip comes from belongs to the robot's system, where nothing of ours may appear.
    start = [layout.interpreter(target), "-I", "-B", "-c", PIP, os.path.abspath(pip["path"])]
    with tempfile.TemporaryDirectory(prefix="wheelhouse-", dir=layout_.tmp) as wheelhouse:
        for wheel in wheels:
            os.symlink(wheel, os.path.join(wheelhouse, os.path.basename(wheel)))
        argv = [*start, *OPTIONS, "--find-links", wheelhouse, *map(_requirement, wheels)]
        ended = _run(layout_, argv, lambda seconds: tick("install", "pip, %d s" % seconds))
    if ended.status != 0 or ended.limit:
        raise _failure(layout_, "pip %s" % pip["version"], ended)


def _requirement(wheel: str) -> str:
    """A wheel's project at its version. By name, not by file: pip would note down where the file was (PEP 610), and
    the release would list as `demo @ file:///...`."""
    name, version = os.path.basename(wheel).split("-")[:2]
    return name + "==" + version


def compile_release(layout_: Layout, target: str, tick: Callable[[str, str], None]) -> None:
    """Writes .pyc for all of a release. Files that are no valid Python (templates, old tests) are passed over."""
    argv = [layout.interpreter(target), "-I", "-c", COMPILE, release.site_packages(target)]
    tick("compile", "")
    ended = _run(layout_, argv, lambda seconds: tick("compile", "%d s" % seconds))
    if ended.status != 0 or ended.limit:
        raise _failure(layout_, "byte-compiling", ended)


def _run(layout_: Layout, argv: Sequence[str], tick: Callable[[float], None]) -> child.Ended:
    return child.run(
        argv, env=programs.for_installing(layout_.tmp), cwd=layout_.tmp, timeout=TIMEOUT, leash=b"", on_tick=tick
    )


def _failure(layout_: Layout, what: str, ended: child.Ended) -> Refusal:
    if re.search(r"No space left on device|Errno 28|Errno 122", ended.output):
        return disk_full(layout_.base)
    how = "did not end within %g s" % TIMEOUT if ended.limit else "failed with status %d" % ended.status
    return Refusal(
        "install-failed", "%s %s on the robot" % (what, how),
        why="What it wrote has been removed; the current release is untouched.",
        next="Its output above says what it did not like.",
        details=ended.output.splitlines()[-30:],
    )  # fmt: skip
