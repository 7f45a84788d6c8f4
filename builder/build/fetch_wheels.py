"""Build requirements as wheels for another Linux than this host: locked and downloaded here, installed there."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Sequence
from pathlib import Path

from builder.build.request import Uv
from builder.errors import BuildFailure
from builder.fetch import Fetcher
from builder.lock import parse
from builder.places import cache_root
from builder.profile import Profile
from builder.selection import FITS, Wanted, choose
from builder.uv import Question


def fetch_wheels(
    requirements: Sequence[str],
    profile: Profile,
    uv: Uv,
    *,
    constraints: Sequence[str] = (),
    as_of: str | None = None,
    offline: bool = False,
) -> tuple[Path, ...]:
    """The wheel files of everything that the requirements need on a profile, verified, in the cache.

    `as_of` (RFC 3339 date or time) hides what was uploaded later. Raises BuildFailure where a package has no wheel
    for the profile, and with uv's explanation.
    """
    question = Question(
        requirements=requirements,
        constraints=constraints,
        python=profile.python,
        as_of=as_of or datetime.datetime.now(datetime.UTC).date().isoformat(),
    )
    with tempfile.TemporaryDirectory(prefix="ot2-requirements-") as name:
        locked = Path(name) / "pylock.toml"
        uv.compile_lock(question, locked)
        wanted = choose(parse(locked.read_text(encoding="utf-8"), str(locked)), profile)
    chosen = [candidate for package in wanted for candidate in package.candidates[:1] if candidate.fit == FITS]
    if lacking := [package for package in wanted if not _fits(package)]:
        names = ", ".join(f"{package.name} {package.version}" for package in lacking)
        raise BuildFailure(
            f"its build requirements have no wheel for {profile.name}: {names}",
            why="In a container without network only wheels can be installed.",
            next="Constrain them in a recipe (constraints=[...]) to versions that have one, or use --toolchain zig.",
        )
    fetcher, paths = Fetcher(offline=offline), []
    for candidate in chosen:
        path = cache_root() / "toolchain" / "wheels" / candidate.sha256 / candidate.filename
        if not path.exists():
            fetcher.download(candidate.url, path, sha256=candidate.sha256)
        paths.append(path)
    return tuple(paths)


def _fits(package: Wanted) -> bool:
    return any(candidate.fit == FITS for candidate in package.candidates)
