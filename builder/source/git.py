"""Commits, by the git program: the tree of one as an archive, the one that is checked out. No hooks, no questions."""

from __future__ import annotations

import tempfile
from pathlib import Path

from builder.errors import NetworkFailure, ToolFailure
from builder.fetch import public
from builder.run import environment, run

TIMEOUT = 1800.0  # seconds for one call of git
QUIET = ("-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false", "-c", "tar.umask=0022")


def export(url: str, commit: str, out: Path) -> None:
    """Writes a commit's files to `out`, a tar of one directory whose times are the commit's: same commit, same bytes.

    What the repository's .gitattributes keep out of archives is not in it. Raises NetworkFailure, ToolFailure.
    """
    with tempfile.TemporaryDirectory(prefix="ot2-git-") as work:
        _git(Path(work), "init", "-q", "--bare")
        _fetch(Path(work), url, commit)
        _git(Path(work), "archive", "--format=tar", "--prefix=source/", f"--output={out}", commit)


def head(directory: Path) -> str:
    """The commit that is checked out in a directory. Raises ToolFailure where there is none."""
    return run(["git", "rev-parse", "HEAD"], cwd=directory, timeout=TIMEOUT).stdout.strip()


def _fetch(repository: Path, url: str, commit: str) -> None:
    """Fetches just the commit; all branches and tags where the server does not give single commits."""
    try:
        _git(repository, "fetch", "-q", "--depth=1", "--no-tags", "--no-recurse-submodules", "--", url, commit)
    except ToolFailure as first:
        try:
            _git(repository, "fetch", "-q", "--no-recurse-submodules", "--", url, "+refs/*:refs/*")
            _git(repository, "cat-file", "-e", f"{commit}^{{commit}}")
        except ToolFailure as second:
            raise NetworkFailure(
                f"commit {commit[:12]} cannot be got from {public(url)}",
                details=(*first.details[-3:], *second.details[-3:]),
                next="Look at the recipe's git_source: its URL, and all 40 digits of the commit.",
            ) from second


def _git(repository: Path, *words: str) -> None:
    env = environment({"GIT_TERMINAL_PROMPT": "0", "GIT_DIR": str(repository), "LC_ALL": "C.UTF-8"})
    run(["git", *QUIET, *words], cwd=repository, env=env, timeout=TIMEOUT)
